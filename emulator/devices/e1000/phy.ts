// The transceiver in the controller, a Marvell 88E1011 at address 1, reached through MDIC. Reference: Intel 317453, §13.4.7 (MDIC)
// and chapter 11 "PHY functionality and features"; IEEE 802.3 clause 22 for registers 0 to 10.

const ADDRESS = 1;
const Operation = { write: 1, read: 2 } as const;
const READY = 0x1000_0000;
const ERROR = 0x4000_0000;
const INTERRUPT_ENABLE = 0x2000_0000;

const Register = { control: 0, status: 1, autonegotiation: 4, gigabitControl: 9 } as const;
/** Control: reset, restart autonegotiation: both clear themselves. */
const SELF_CLEARING = 0x8200;

/** As after a successful autonegotiation with a partner that can do 1000 Mbit/s in full duplex. */
const VALUES: Readonly<Record<number, number>> = {
	// Autonegotiation on, full duplex, 1000 Mbit/s.
	[Register.control]: 0x1140,
	// 10 and 100 Mbit/s, extended status, preamble suppression, autonegotiation complete and possible, link, extended registers.
	[Register.status]: 0x796d,
	2: 0x0141,
	3: 0x0c20,
	// Own and partner's abilities: 10 and 100 Mbit/s in both duplexes, pause; the partner acknowledges.
	[Register.autonegotiation]: 0x0de1,
	5: 0x4de1,
	// The partner can negotiate.
	6: 0x0001,
	// 1000 Mbit/s in both duplexes; the same of the partner, both receivers are well.
	[Register.gigabitControl]: 0x0300,
	10: 0x3c00,
	15: 0x3000,
	// Specific control; specific status: 1000 Mbit/s, full duplex, resolved, link.
	16: 0x0060,
	17: 0xac00,
	20: 0x0c60,
};
const WRITABLE = new Set<number>([
	Register.control,
	Register.autonegotiation,
	Register.gigabitControl,
	16,
	18,
	20,
	29,
	30,
]);

export class Phy {
	private registers = fresh();

	/** A command written to MDIC; the answer is what MDIC reads then. `done` says that an interrupt was asked for. */
	access(command: number): { value: number; interrupts: boolean } {
		const register = (command >>> 16) & 31;
		const operation = (command >>> 26) & 3;
		const interrupts = (command & INTERRUPT_ENABLE) !== 0;
		const kept = command & 0x2fff_0000;
		const known =
			((command >>> 21) & 31) === ADDRESS && (operation === Operation.read || operation === Operation.write);
		if (!known) return { value: (kept | READY | ERROR) >>> 0, interrupts };
		if (operation === Operation.read) return { value: (kept | READY | this.registers[register]!) >>> 0, interrupts };
		this.write(register, command & 0xffff);
		return { value: (kept | READY | (command & 0xffff)) >>> 0, interrupts };
	}

	private write(register: number, value: number): void {
		if (!WRITABLE.has(register)) return;
		this.registers[register] = register === Register.control ? value & ~SELF_CLEARING : value;
	}

	reset(): void {
		this.registers = fresh();
	}

	save(): number[] {
		return [...this.registers];
	}

	restore(state: readonly number[]): void {
		this.registers = [...state];
	}
}

function fresh(): number[] {
	return Array.from({ length: 32 }, (_, number) => VALUES[number] ?? 0);
}

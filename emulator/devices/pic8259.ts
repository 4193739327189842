// The two 8259A interrupt controllers of a PC, cascaded through input 2 of the master.
// References: Intel 8259A data sheet (order number 231468); Intel 82371SB (PIIX3) data sheet, ELCR1 and ELCR2 registers.

import type { Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";

/** Offsets within a controller's two ports: the A0 pin. */
const COMMAND = 0;
const DATA = 1;

// ICW1 (A0 = 0, D4 = 1)
const ICW1 = 0x10;
const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW1_LTIM = 0x08;
// ICW4
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
// OCW3 (A0 = 0, D4-D3 = 01)
const OCW3 = 0x08;
const OCW3_RIS = 0x01;
const OCW3_RR = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;
/** OCW2 commands, D7-D5: R, SL, EOI. */
const OCW2_ROTATE_IN_AEOI_CLEAR = 0;
const OCW2_EOI = 1;
const OCW2_NO_OPERATION = 2;
const OCW2_SPECIFIC_EOI = 3;
const OCW2_ROTATE_IN_AEOI_SET = 4;
const OCW2_ROTATE_EOI = 5;
const OCW2_SET_PRIORITY = 6;
const OCW2_ROTATE_SPECIFIC_EOI = 7;

/** The master's input that the slave's INT pin drives. */
const CASCADE = 2;
/** PIIX3, ELCR: IRQ 0, 1, 2, 8 and 13 are always edge triggered. */
const LEVEL_ALLOWED = [0xf8, 0xde] as const;

interface ChipState {
	/** The levels of the eight inputs. */
	lines: number;
	/** Edges seen and not yet acknowledged; an edge is forgotten when its input falls (data sheet, "Edge and level triggered modes"). */
	edges: number;
	/** In-service register. */
	isr: number;
	/** Interrupt mask register, OCW1. */
	imr: number;
	/** Which inputs the PIIX3's ELCR makes level triggered. */
	elcr: number;
	/** ICW1.LTIM: all inputs are level triggered. */
	levelMode: boolean;
	/** ICW2: bits 7-3 of the vector. */
	vectorBase: number;
	/** The initialization word that comes next at A0 = 1: 2, 3, 4; 0 when the sequence is complete. */
	expects: number;
	single: boolean;
	needsIcw4: boolean;
	icw3: number;
	autoEndOfInterrupt: boolean;
	rotateOnAutoEnd: boolean;
	specialFullyNested: boolean;
	specialMask: boolean;
	/** The input with the lowest priority; 7 after initialization. */
	lowest: number;
	readsIsr: boolean;
	poll: boolean;
	/** The INT output. */
	int: boolean;
}

function powerOn(): ChipState {
	return {
		lines: 0,
		edges: 0,
		isr: 0,
		imr: 0xff,
		elcr: 0,
		levelMode: false,
		vectorBase: 0,
		expects: 0,
		single: false,
		needsIcw4: false,
		icw3: 0,
		autoEndOfInterrupt: false,
		rotateOnAutoEnd: false,
		specialFullyNested: false,
		specialMask: false,
		lowest: 7,
		readsIsr: false,
		poll: false,
		int: false,
	};
}

/** One 8259A. Its INT pin calls `drive`. */
class Pic8259 implements RegisterBlock {
	readonly widestAccess = 1;
	state: ChipState = powerOn();

	constructor(
		private readonly isMaster: boolean,
		private readonly drive: (asserted: boolean) => void,
	) {}

	get irr(): number {
		const { lines, edges } = this.state;
		const level = this.levelTriggered();
		return (lines & level) | (edges & ~level);
	}

	setLine(input: number, asserted: boolean): void {
		const state = this.state;
		const bit = 1 << input;
		if (asserted === ((state.lines & bit) !== 0)) return;
		if (asserted) {
			state.lines |= bit;
			state.edges |= bit;
		} else {
			state.lines &= ~bit;
			state.edges &= ~bit;
		}
		this.update();
	}

	/** The INTA sequence: the input that is now in service; 7 when the request has gone (data sheet, "default IR7"). */
	acknowledge(): { input: number; spurious: boolean } {
		const input = this.candidate();
		if (input < 0) {
			this.update();
			return { input: 7, spurious: true };
		}
		const state = this.state;
		const bit = 1 << input;
		state.edges &= ~bit;
		if (state.autoEndOfInterrupt) {
			if (state.rotateOnAutoEnd) state.lowest = input;
		} else state.isr |= bit;
		// INT falls with every acknowledge, so that the master sees a new edge for what is left.
		if (state.int) {
			state.int = false;
			this.drive(false);
		}
		this.update();
		return { input, spurious: false };
	}

	vector(input: number): number {
		return this.state.vectorBase | input;
	}

	read(offset: number): number {
		const state = this.state;
		if (state.poll) {
			state.poll = false;
			const { input, spurious } = this.acknowledge();
			return spurious ? 0 : 0x80 | input;
		}
		if (offset === DATA) return state.imr;
		return state.readsIsr ? state.isr : this.irr;
	}

	write(offset: number, _size: number, value: number): void {
		const state = this.state;
		value &= 0xff;
		if (offset === COMMAND) {
			if (value & ICW1) this.initialize(value);
			else if (value & OCW3) {
				if (value & OCW3_ESMM) state.specialMask = (value & OCW3_SMM) !== 0;
				if (value & OCW3_POLL) state.poll = true;
				else if (value & OCW3_RR) state.readsIsr = (value & OCW3_RIS) !== 0;
			} else this.operate(value >> 5, value & 7);
		} else if (state.expects === 2) {
			state.vectorBase = value & 0xf8;
			state.expects = state.single ? (state.needsIcw4 ? 4 : 0) : 3;
		} else if (state.expects === 3) {
			state.icw3 = value;
			state.expects = state.needsIcw4 ? 4 : 0;
		} else if (state.expects === 4) {
			// Deviation: ICW4.uPM = 0 asks for the CALL sequence of an 8085, which no PC can use; the vector is given all the same.
			state.autoEndOfInterrupt = (value & ICW4_AEOI) !== 0;
			state.specialFullyNested = (value & ICW4_SFNM) !== 0;
			state.expects = 0;
		} else state.imr = value;
		this.update();
	}

	/** Brings INT in line with the requests. */
	update(): void {
		const wanted = this.candidate() >= 0;
		if (wanted === this.state.int) return;
		this.state.int = wanted;
		this.drive(wanted);
	}

	private levelTriggered(): number {
		return this.state.levelMode ? 0xff : this.state.elcr;
	}

	private initialize(value: number): void {
		const state = this.state;
		state.edges = 0;
		state.imr = 0;
		state.isr = 0;
		state.lowest = 7;
		state.specialMask = false;
		state.readsIsr = false;
		state.poll = false;
		state.levelMode = (value & ICW1_LTIM) !== 0;
		state.single = (value & ICW1_SNGL) !== 0;
		state.needsIcw4 = (value & ICW1_IC4) !== 0;
		// "If IC4 = 0 then all functions selected in ICW4 are set to zero."
		state.autoEndOfInterrupt = false;
		state.rotateOnAutoEnd = false;
		state.specialFullyNested = false;
		state.expects = 2;
	}

	private operate(command: number, input: number): void {
		const state = this.state;
		switch (command) {
			case OCW2_ROTATE_IN_AEOI_CLEAR:
			case OCW2_ROTATE_IN_AEOI_SET:
				state.rotateOnAutoEnd = command === OCW2_ROTATE_IN_AEOI_SET;
				break;
			case OCW2_EOI:
			case OCW2_ROTATE_EOI: {
				// With the special mask set, a masked in-service bit is not cleared by a non-specific EOI (data sheet, "EOI").
				const ended = this.highest(state.specialMask ? state.isr & ~state.imr : state.isr);
				if (ended < 0) break;
				state.isr &= ~(1 << ended);
				if (command === OCW2_ROTATE_EOI) state.lowest = ended;
				break;
			}
			case OCW2_SPECIFIC_EOI:
				state.isr &= ~(1 << input);
				break;
			case OCW2_ROTATE_SPECIFIC_EOI:
				state.isr &= ~(1 << input);
				state.lowest = input;
				break;
			case OCW2_SET_PRIORITY:
				state.lowest = input;
				break;
			case OCW2_NO_OPERATION:
				break;
		}
	}

	/** The set bit of `mask` with the highest priority, or -1. */
	private highest(mask: number): number {
		if (mask === 0) return -1;
		for (let i = 1; i <= 8; i++) {
			const input = (this.state.lowest + i) & 7;
			if (mask & (1 << input)) return input;
		}
		return -1;
	}

	/** The input that would be acknowledged now, or -1. */
	private candidate(): number {
		const state = this.state;
		if (state.expects !== 0) return -1;
		const requested = this.highest(this.irr & ~state.imr);
		if (requested < 0) return -1;
		// Special mask mode: a masked level in service holds nothing back.
		let blocking = state.specialMask ? state.isr & ~state.imr : state.isr;
		// Special fully nested mode: a further request of the slave in service passes.
		if (this.isMaster && state.specialFullyNested && requested === CASCADE) blocking &= ~(1 << CASCADE);
		const inService = this.highest(blocking);
		if (inService < 0) return requested;
		const rank = (input: number) => (input - state.lowest - 1) & 7;
		return rank(requested) < rank(inService) ? requested : -1;
	}
}

/** The pair as a PC has it: register blocks `master` (0x20), `slave` (0xa0), `elcr` (0x4d0), inputs `line(0..15)`. */
export class Pic8259Pair implements Device {
	readonly name = "8259A pair";
	readonly master: RegisterBlock;
	readonly slave: RegisterBlock;
	/** Edge/level control registers of the PIIX3. */
	readonly elcr: RegisterBlock = {
		widestAccess: 1,
		read: (offset) => this.chips[offset & 1]!.state.elcr,
		write: (offset, _size, value) => {
			const which = (offset & 1) as 0 | 1;
			this.chips[which].state.elcr = value & LEVEL_ALLOWED[which];
			this.chips[which].update();
		},
	};
	private readonly chips: readonly [Pic8259, Pic8259];

	/** @param intr the processor's INTR pin (or LINT0 of its local APIC). */
	constructor(private readonly intr: InterruptLine) {
		const master = new Pic8259(true, (asserted) => intr.set(asserted));
		const slave = new Pic8259(false, (asserted) => master.setLine(CASCADE, asserted));
		this.chips = [master, slave];
		this.master = master;
		this.slave = slave;
	}

	/** Input `irq`, 0 to 15; 2 is the cascade and has no outside pin. */
	line(irq: number): InterruptLine {
		if (!(irq >= 0 && irq < 16) || irq === CASCADE) throw new RangeError(`The 8259A pair has no input IRQ ${irq}.`);
		const chip = this.chips[irq >> 3]!;
		return { set: (asserted) => chip.setLine(irq & 7, asserted) };
	}

	/** The processor's interrupt acknowledge cycle: the vector, and the request goes in service. Spurious requests give IRQ 7 or 15. */
	acknowledge(): number {
		const [master, slave] = this.chips;
		const { input, spurious } = master.acknowledge();
		if (input !== CASCADE || spurious || master.state.single) return master.vector(input);
		return slave.vector(slave.acknowledge().input);
	}

	reset(): void {
		for (const chip of this.chips) chip.state = { ...powerOn(), lines: chip.state.lines };
		this.chips[0].state.lines &= ~(1 << CASCADE);
		this.intr.set(false);
	}

	save(): unknown {
		return structuredClone(this.chips.map((chip) => chip.state));
	}

	restore(state: unknown): void {
		const states = structuredClone(state as ChipState[]);
		this.chips.forEach((chip, i) => {
			chip.state = states[i]!;
		});
		this.intr.set(this.chips[0].state.int);
	}

	registers(): RegisterView[] {
		return this.chips.flatMap((chip, i) => {
			const { state } = chip;
			const of = i === 0 ? "master" : "slave";
			const irqs = (mask: number) =>
				bits(
					mask,
					[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `IRQ${n + 8 * i}`),
				);
			const modes = [
				state.autoEndOfInterrupt ? "automatic EOI" : "",
				state.specialFullyNested ? "special fully nested" : "",
				state.specialMask ? "special mask" : "",
				state.levelMode ? "level triggered" : "",
				state.expects ? `waits for ICW${state.expects}` : "",
				`lowest priority IRQ${state.lowest + 8 * i}`,
			];
			return [
				{ name: `${of} IRR`, width: 8, value: chip.irr, meaning: irqs(chip.irr) },
				{ name: `${of} ISR`, width: 8, value: state.isr, meaning: irqs(state.isr) },
				{ name: `${of} IMR`, width: 8, value: state.imr, meaning: `masked: ${irqs(state.imr)}` },
				{ name: `${of} ICW2`, width: 8, value: state.vectorBase, meaning: "vector base" },
				{ name: `${of} ICW3`, width: 8, value: state.icw3, meaning: "cascade" },
				{ name: `${of} ELCR`, width: 8, value: state.elcr, meaning: `level: ${irqs(state.elcr)}` },
				{ name: `${of} INT`, width: 1, value: state.int ? 1 : 0, meaning: modes.filter(Boolean).join(", ") },
			];
		});
	}
}

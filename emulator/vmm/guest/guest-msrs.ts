// The model-specific registers of a vCPU that no register of the host holds. What only keeps a value does so by the rows that
// the processor itself uses; the local APIC is the guest's own.

import { type LocalApicPort, TSC_DEADLINE_MSR, X2apicMsr } from "../../cpu/local-apic-port.ts";
import { STORED_MSRS, type StoredMsr, storedMsrAfter } from "../../cpu/stored-msrs.ts";

const APIC_BASE = 0x1b;
/** IA32_APIC_BASE: global enable (SDM Vol. 3A §10.4.4). */
const APIC_ENABLED = 0x800n;

/** Rows that the vCPU does not have: VMX is not given on, and 64-bit mode's system calls are not there (guest-cpuid.ts). SYSENTER's lie in the vCPU. */
const ABSENT = new Set([0x3a, 0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102]);

const ROWS: ReadonlyMap<number, StoredMsr> = new Map(
	STORED_MSRS.filter(({ address }) => !ABSENT.has(address)).map((row) => [row.address, row]),
);

export class GuestMsrs {
	private readonly values = new Map<number, bigint>();
	/** The local APIC of the guest's devices; without one IA32_APIC_BASE only keeps its value. */
	localApic: LocalApicPort | undefined;

	/** Power-on values. */
	reset(): void {
		this.values.clear();
	}

	/** CPUID.1:EDX.APIC follows it (SDM Vol. 3A §10.4.3). */
	get apicEnabled(): boolean {
		return this.localApic !== undefined && (this.read(APIC_BASE)! & APIC_ENABLED) !== 0n;
	}

	/** The value; undefined raises #GP(0). */
	read(address: number): bigint | undefined {
		const row = ROWS.get(address);
		if (row) return this.values.get(address) ?? row.reset;
		if (address === TSC_DEADLINE_MSR) return this.localApic?.tscDeadline;
		if (isX2apic(address)) return this.localApic?.readX2apic(address - X2apicMsr.first);
		return undefined;
	}

	/** False raises #GP(0). */
	write(address: number, value: bigint): boolean {
		const row = ROWS.get(address);
		if (row) {
			const after = storedMsrAfter(row, this.values.get(address) ?? row.reset, value);
			if (after === undefined) return false;
			if (address === APIC_BASE && this.localApic && !this.localApic.writeBaseMsr(value)) return false;
			this.values.set(address, after);
			return true;
		}
		if (!this.localApic) return false;
		if (address === TSC_DEADLINE_MSR) {
			this.localApic.writeTscDeadline(value);
			return true;
		}
		return isX2apic(address) && this.localApic.writeX2apic(address - X2apicMsr.first, value);
	}
}

function isX2apic(address: number): boolean {
	return address >= X2apicMsr.first && address <= X2apicMsr.last;
}

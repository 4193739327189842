// What the processor reaches of its local APIC other than through memory: IA32_APIC_BASE, CR8, the x2APIC registers and the
// TSC deadline (SDM Vol. 3A §10.4.4, §10.8.6, §10.12, §10.5.4.1). The device itself is the machine's to connect.

export interface LocalApicPort {
	/** Ends the interrupt in service, as a write to EOI does. */
	endOfInterrupt(): void;
	/** False for a value that raises #GP(0). */
	writeBaseMsr(value: bigint): boolean;
	/** RDMSR of 0x800 + `register`; undefined raises #GP(0). */
	readX2apic(register: number): bigint | undefined;
	/** WRMSR of 0x800 + `register`; false raises #GP(0). */
	writeX2apic(register: number, value: bigint): boolean;
	readonly tscDeadline: bigint;
	writeTscDeadline(value: bigint): void;
	/** CR8: 0 to 15. */
	taskPriorityClass: number;
}

/** The MSRs that reach the x2APIC registers (SDM Vol. 3A §10.12.1.2). */
export const X2apicMsr = { first: 0x800, last: 0x8ff } as const;
export const TSC_DEADLINE_MSR = 0x6e0;

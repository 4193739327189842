// How the guest's memory is translated under VT-x: the seam between the VMM and extended or shadow page tables.

import type { ProcessorState } from "../../cpu/processor-state.ts";
import type { ExtendedPageTables } from "../../cpu/vmx/extended-page-tables.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import type { Mapping, Walk } from "../../machine/virtual-machine.ts";

/** What became of an exit. "emulate": the VMM has to execute the guest's instruction in software. */
export type MmuOutcome = "resume" | "emulate";

/** An exception that the guest is to get. */
export interface GuestException {
	readonly vector: number;
	readonly errorCode?: number;
	/** Goes into CR2. */
	readonly address?: bigint;
}

/** The bits of an exit qualification or of a page-fault error code that say what was tried. */
export interface GuestMmu {
	readonly kind: "ept" | "shadow";
	/** Bits of CR0 and CR4 that the guest reads from the shadows and whose change causes a VM exit, beyond those that every MMU needs. */
	readonly ownedCr0: number;
	readonly ownedCr4: number;
	/** Vectors for the exception bitmap. */
	readonly interceptedExceptions: number;

	/** Sets the controls and pointers that it needs in a VMCS that has the others; called before the first entry and after a reset of the guest. */
	configure(vmcs: VmcsMemory): void;
	/**
	 * The guest's state was written to the VMCS as the guest believes it: puts what the hardware is to use in its place (CR3, CR0 and CR4 as
	 * far as owned, PDPTEs). Called after each change of them by the VMM.
	 */
	realize(vmcs: VmcsMemory, guest: ProcessorState): void;
	/** The state was loaded from the VMCS: puts back what the guest believes (CR3, PDPTEs). CR0 and CR4 are done already. */
	virtualize(guest: ProcessorState): void;

	/** Exit reason 48. */
	handleEptViolation(guestPhysical: number, qualification: bigint): MmuOutcome;
	/** An intercepted #PF: "resume" when it was hidden, the exception when it is the guest's. */
	handlePageFault(linear: bigint, errorCode: number): MmuOutcome | GuestException;
	/** Exits by INVLPG; `linear` from the qualification. */
	invalidatePage(linear: bigint): void;
	/** Exit reason 37. */
	monitorTrap(): void;
	/** Bytes of guest-physical memory were written by the VMM, a device or a debugger. */
	memoryWritten(address: number, length: number): void;
	/** What a guest-physical page is has changed (ROM shadowing): mappings of it are dropped. */
	pageChanged(page: number): void;

	/** The EPT that translates the guest's addresses; absent where none does. */
	readonly extendedPageTables?: ExtendedPageTables;
	/** The tables of its own that take part in the translation, after the guest's. */
	walk(
		linear: bigint,
		guestPhysical: bigint | undefined,
		access: { write?: boolean; user?: boolean; execute?: boolean },
	): Walk | undefined;
	/** Its tables as a whole. */
	mappings(from: bigint, limit: number): Mapping[];
	/** Its part of "mmu" in the statistics. */
	statistics(): Readonly<Record<string, number>>;
}

// Who looks on: a debugger's views and filters, and a VMM that runs above the host. Nothing here changes what a guest sees.

import type { VmcsMemory } from "./vmcs.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

/** The field of an entry that failed a check, and the rule as a sentence's end: "must be ...". */
export interface EntryFailureReport {
	readonly field: VmcsFieldName;
	readonly rule: string;
}

/** Each member is called if it is there. */
export interface VmxObserver {
	/** A VM exit, or an entry that fails after it was begun, is about to be stored in the VMCS. */
	leaving?(vmcs: VmcsMemory): void;
	/** The exit is stored and the host state is loaded; the next instruction is the hypervisor's first. */
	left?(vmcs: VmcsMemory): void;
	/** The guest state is loaded and the event is injected; the next instruction is the guest's first. */
	entered?(vmcs: VmcsMemory, launch: boolean): void;
	/**
	 * An entry failed a check. With an error it fails as an instruction does (VMfailValid); without one it was begun, and left()
	 * follows.
	 */
	entryFailed?(vmcs: VmcsMemory, report: EntryFailureReport, error: number | undefined): void;
	/** VMXON, VMXOFF or a reset: no region is active any more. */
	operationChanged?(): void;
	/** VMPTRLD of this region. */
	activated?(pointer: bigint): void;
	/** VMCLEAR of this region. */
	cleared?(pointer: bigint): void;
}

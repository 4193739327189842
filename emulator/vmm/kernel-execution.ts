// How the guest's kernel code runs at CPL 1 of the host: translated ("bt") or as it is ("trap"). All else of the VMM is the same.

import type { HostFrame } from "./host-control.ts";
import type { InstructionBytes } from "./translate/instruction-bytes.ts";
import type { VirtualSegment } from "./virtual-cpu.ts";

/** What the guest's state is while the host stands in kernel code. */
export interface KernelPosition {
	/** Guest EIP at the boundary. */
	readonly eip: number;
	/** The host stands between two guest instructions. */
	readonly boundary: boolean;
	/** No guest instruction is under way: the host runs code that only leads to the next. */
	readonly glue: boolean;
	/** General registers that the host holds other values of, by number. */
	readonly registers: readonly (readonly [register: number, value: number])[];
	/** The guest's TF; undefined when it is the host's. */
	readonly trapFlag: boolean | undefined;
}

/** What translations depend on. */
export interface TranslationHooks {
	/** True when translated code was read from this guest-physical page. */
	hasCode(page: number): boolean;
	/** Bytes `from` to `to` of a guest-physical page changed, or may be mapped elsewhere. */
	codeChanged(page: number, from: number, to: number): void;
	/** All of linear space may be mapped otherwise, or IOPL changed. */
	flush(): void;
	/** An entry of the current page directory may have changed. */
	directoryEntryChanged(index: number): void;
	/** Another page directory is in use. */
	rootChanged(): void;
}

export interface KernelExecution {
	readonly translations?: TranslationHooks;
	/** The host entered the VMM from kernel code, and it was no hidden page fault. */
	entered(frame: HostFrame): void;
	/** Back to where kernel code was interrupted, with nothing changed. */
	returnTo(frame: HostFrame): void;
	/**
	 * Runs kernel code at registers.eip.
	 * @param shadow the next instruction retires before an interrupt is taken
	 * @param at host address to go on at, when it is known that it belongs to registers.eip; else 0
	 */
	run(shadow: boolean, at: number): void;
	/** A privileged or sensitive instruction of directly running code trapped: executes it and goes on. False when it is none. */
	emulatePrivileged(instruction: InstructionBytes, next: number): boolean;
	/** The kernel instruction at EIP trapped on memory and was emulated. @param traced it wrote to a write-traced page */
	emulated(eip: number, instruction: InstructionBytes, traced: boolean): void;
	/** SS was loaded by the VMM. */
	stackSegmentLoaded(): void;
	/** The guest's state at an address where the host stands at CPL 1. */
	position(address: number): KernelPosition;
	/** Takes the guest's registers out of the host's, which stand at an address of kernel code. */
	takeRegisters(address: number): void;
	/** CS and SS of the guest while the host stands in kernel code, without any effect. */
	segments(): { readonly cs: VirtualSegment; readonly ss: VirtualSegment };
	/** User code is about to run. */
	leavesKernel(): void;
}

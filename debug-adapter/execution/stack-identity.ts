import type { Processor } from "../../emulator/machine/virtual-machine.ts";

/** Which stack a processor is on and how deep: what tells a return to the same activation from one to another. */
export interface StackIdentity {
	readonly stackPointer: bigint;
	/** CR3, CPL, SS and which side of a VM entry: another address space, ring, stack segment or guest is another stack. */
	readonly context: string;
}

/** A callee that pops its arguments returns this far above the place of the call at most. */
const MOST_POPPED = 4096n;

export function stackPointerOf(processor: Processor): bigint {
	const names = processor.codeSize() === 64 ? ["rsp"] : ["esp", "rsp", "sp"];
	for (const name of names) {
		const value = processor.register(name);
		if (value !== undefined) return value;
	}
	return 0n;
}

export function stackIdentity(processor: Processor): StackIdentity {
	const context = ["cr3", "cpl", "ss", "vmx_operation"].map((name) => processor.register(name) ?? "-").join(" ");
	return { stackPointer: stackPointerOf(processor), context };
}

/** The processor is back at the depth: every frame that was pushed since is gone. */
export function isBackAt(depth: StackIdentity, processor: Processor): boolean {
	const now = stackIdentity(processor);
	return (
		now.context === depth.context &&
		now.stackPointer >= depth.stackPointer &&
		now.stackPointer < depth.stackPointer + MOST_POPPED
	);
}

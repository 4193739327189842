// A compiled code fragment (CCF): what the translator knows of it.

import type { InstructionBytes } from "./instruction-bytes.ts";

/** How a guest instruction was translated, as the papers tag it. */
export type Tag = "IDENT" | "PCREL" | "JCC" | "JMP" | "CALL" | "RET" | "INDIRECT" | "PRIV" | "CALLOUT" | "SIMULATE";

/** What has to be undone so that the registers are the guest's at the start of the guest instruction. */
export const Undo = {
	/** %ecx lies in VcpuBlock.savedEcx. */
	ecx: 1,
	/** %eax lies in VcpuBlock.savedEax. */
	eax: 2,
	/** The guest's EIP lies in VcpuBlock.target, not in the entry. */
	target: 4,
	/** POPF has loaded the flags; what is left is to store the interrupt adjustment from %ecx and to restore %ecx. */
	finishPopf: 8,
	/** A simulated instruction is half done: a virtual interrupt waits for the callout that ends it. */
	hold: 16,
} as const;

/** What a host address inside a fragment means for the guest. */
export interface RecoveryEntry {
	/** Offset in the fragment of the first byte that this entry speaks of. */
	readonly offset: number;
	/** Linear address of the guest instruction. */
	readonly guest: number;
	/** Bits of Undo. */
	readonly undo: number;
	/** What to add to %esp. */
	readonly stackAdjust: number;
	/** True when the first byte is a boundary between guest instructions. */
	readonly boundary: boolean;
	/** True when the code executes no guest instruction: jumps between fragments, launches. */
	readonly glue: boolean;
	/** The guest instruction before this one holds interrupts off until this one has retired (STI, MOV SS; SDM Vol. 3A §6.8.3). */
	readonly shadowed: boolean;
}

export type ExitState = "continuation" | "chained" | "linked" | "elided" | "lookup";

export interface Exit {
	readonly kind: "taken" | "fallthrough" | "indirect";
	/** Linear address; -1 for an indirect exit. */
	readonly target: number;
	/** Linear address of the jump whose displacement is patched; -1 for an indirect exit. */
	readonly jump: number;
	/** Bytes of the jump: 5 for jmp, 6 for jcc. */
	readonly jumpLength: number;
	/** False when the jump is all there is of a guest instruction: debuggers have to find it. */
	readonly elidable: boolean;
	state: ExitState;
	/** Id of the fragment that it leads to, -1 when none. */
	fragment: number;
}

/** A place in the translation cache that calls the VMM. */
export interface CalloutSite {
	readonly kind: "callout" | "callout-end" | "continuation" | "popf" | "sti" | "invalidated";
	/** Linear address of the guest instruction. */
	readonly guest: number;
	/** Linear address of the guest instruction behind it. */
	readonly next: number;
	readonly instruction: InstructionBytes | undefined;
	/** The exit that a continuation stands for. */
	readonly exit: Exit | undefined;
	readonly fragment: Fragment;
}

export interface Line {
	readonly guest: number;
	readonly guestBytes: Uint8Array;
	/** Offset and length in the fragment's code. */
	readonly offset: number;
	length: number;
	readonly tag: Tag;
	readonly instruction: InstructionBytes;
}

export class Fragment {
	readonly lines: Line[] = [];
	readonly recovery: RecoveryEntry[] = [];
	readonly exits: Exit[] = [];
	/** Linear addresses of this fragment's callout sites, to forget them with it. */
	readonly sites: number[] = [];
	/** Exclusive ends. */
	guestEnd = 0;
	translatedEnd = 0;
	/** Times that the VMM dispatched to it. */
	entries = 0;
	valid = true;
	/** Guest-physical pages that hold its bytes, and where in each: [page, first offset, end offset]. */
	readonly pages: [number, number, number][] = [];
	/** Linear address of the code that checks the target of an indirect transfer before it enters; 0 = none yet. */
	launch = 0;

	constructor(
		readonly id: number,
		readonly guestStart: number,
		readonly translatedStart: number,
		readonly generation: number,
	) {}

	/** The recovery entry for a linear address in the translation cache. */
	recoveryAt(address: number): RecoveryEntry {
		const offset = address - this.translatedStart;
		const { recovery } = this;
		let low = 0;
		let high = recovery.length - 1;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (recovery[middle]!.offset <= offset) low = middle;
			else high = middle - 1;
		}
		return recovery[low]!;
	}
}

// Looks at each sensitive instruction that runs on the host in ring 1 or 3: what the guest gets, and what the bare machine would
// have given. Nothing here changes what the guest sees.

import { Segment } from "../../isa/state.ts";
import { mnemonicOf } from "../callout-names.ts";
import { instructionLength, LONGEST_INSTRUCTION } from "../guest-code.ts";
import type { Monitor } from "../monitor.ts";
import { InstructionBytes } from "../translate/instruction-bytes.ts";
import { SensitiveRules } from "./sensitive-rules.ts";

/** A sensitive instruction that ran and gave something else than the bare machine. */
export interface Misbehaviour {
	/** Guest-linear address. */
	readonly address: number;
	readonly instruction: string;
	/** What the guest got, and what the hardware would have given. */
	readonly got: string;
	readonly hardware: string;
}

/** An instruction that is about to run. */
export interface Observation {
	/** After it has run: undefined when it gave what it had to. */
	compare(): Misbehaviour | undefined;
}

export class SensitiveObserver {
	private readonly rules: SensitiveRules;
	/** Misbehaviours by mnemonic. */
	readonly counts = new Map<string, number>();
	total = 0;

	constructor(private readonly monitor: Monitor) {
		this.rules = new SensitiveRules(monitor);
	}

	/** The host stands at an instruction of guest code, which it has not begun. */
	begin(): Observation | undefined {
		const { monitor } = this;
		const { state } = monitor.control;
		if (state.cpl !== 1 && state.cpl !== 3) return undefined;
		const address = (state.eip + state.baseLow(Segment.cs)) >>> 0;
		const bytes = monitor.host.processor.core.memory.peekLinear(BigInt(address), LONGEST_INSTRUCTION);
		const length = bytes ? instructionLength(bytes) : 0;
		// What the host does not map yet faults first; then the host comes here again.
		if (bytes === undefined || length === 0) return undefined;
		const instruction = new InstructionBytes(bytes.slice(0, length));
		monitor.registers.esp = state.gpr32(4) >>> 0;
		const outcome = this.rules.expect(instruction);
		if (outcome === undefined) return undefined;
		const { hardware, got } = outcome;
		return {
			compare: () => {
				const seen = got();
				if (seen === undefined || seen === hardware) return undefined;
				const name = mnemonicOf(instruction.bytes);
				this.total++;
				this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
				return { address, instruction: name, got: seen, hardware };
			},
		};
	}
}

// Adaptive binary translation (Adams & Agesen, ASPLOS 2006, §3.3): an instruction is innocent until it has trapped often;
// then it is translated to call out at once, and back again when that is no longer needed.

import { AddressCounts } from "./address-counts.ts";
import type { InstructionBytes } from "./translate/instruction-bytes.ts";
import type { TranslationCache } from "./translate/translation-cache.ts";
import type { TranslationSource } from "./translate/translation-source.ts";

/** Traps of one instruction after which it is translated in its SIMULATE form. */
const ADAPTATION_LIMIT = 8;
/** Executions without need after which the SIMULATE form is given up: slower than the way into it. */
const READAPTATION_LIMIT = 256;

export class Adaptation {
	/** Instructions that got their SIMULATE form. */
	count = 0;
	private readonly traps = new AddressCounts();
	/** Executions in a row in which a simulated instruction needed no emulation. */
	private readonly idleSimulations = new AddressCounts();

	constructor(
		private readonly code: TranslationSource,
		private readonly cache: TranslationCache,
	) {}

	/** An instruction that traps again and again gets a translation that calls out at once. */
	trapped(eip: number, instruction: InstructionBytes): void {
		// A repeated string instruction does most of its work between traps.
		if (instruction.repeat !== 0) return;
		const traps = this.traps.get(eip) + 1;
		this.traps.set(eip, traps);
		if (traps !== ADAPTATION_LIMIT) return;
		this.count++;
		this.code.simulate(eip);
		this.dropTranslationsOf(eip);
	}

	private dropTranslationsOf(eip: number): void {
		for (const fragment of [...this.cache.all()])
			if (fragment.valid && fragment.lines.some((line) => line.guest === eip)) this.cache.invalidate(fragment);
	}

	/** A simulated instruction ran: one that found nothing to emulate many times in a row is translated as it is again. */
	simulated(eip: number, needed: boolean): void {
		const idle = needed ? 0 : this.idleSimulations.get(eip) + 1;
		this.idleSimulations.set(eip, idle);
		if (idle < READAPTATION_LIMIT) return;
		this.idleSimulations.delete(eip);
		this.traps.delete(eip);
		this.code.unsimulate(eip);
		this.dropTranslationsOf(eip);
	}
}

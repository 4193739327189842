// From a host address in the translation cache to the guest's state: the guest address and what to undo.

import { Area, CONTINUATION_BYTES, LAUNCH_BYTES, VcpuBlock, VMM_BASE } from "../layout.ts";
import type { VmmMemory } from "../vmm-memory.ts";
import { type Fragment, Undo } from "./fragment.ts";
import type { TranslationCache } from "./translation-cache.ts";

/** How the guest's state follows from the host's at one address. */
export interface Recovered {
	/** Guest EIP. */
	readonly eip: number;
	readonly undo: number;
	readonly stackAdjust: number;
	/** The host stands between two guest instructions. */
	readonly boundary: boolean;
	/** No guest instruction is under way: a jump between fragments, a launch, a continuation. */
	readonly glue: boolean;
	readonly shadowed: boolean;
	readonly fragment: Fragment | undefined;
}

/** Offset of the last instruction of a launch: %ecx is the guest's again. */
const LAUNCH_JUMP = 24;

/** @throws {RangeError} for an address that no translated code has. */
export function recover(cache: TranslationCache, memory: VmmMemory, address: number): Recovered {
	const fragment = cache.at(address);
	if (fragment !== undefined) {
		const entry = fragment.recoveryAt(address);
		const eip = entry.undo & Undo.target ? memory.read32(VcpuBlock.target) >>> 0 : entry.guest;
		const atEntry = address === fragment.translatedStart + entry.offset;
		return {
			eip,
			undo: entry.undo,
			stackAdjust: entry.stackAdjust,
			boundary: entry.boundary && atEntry,
			glue: entry.glue,
			shadowed: entry.shadowed && atEntry,
			fragment,
		};
	}
	const site = cache.site(address);
	if (site !== undefined || address >= VMM_BASE + Area.continuations) {
		const continuation = site ?? cache.site(address - (address % CONTINUATION_BYTES));
		if (continuation === undefined) throw new RangeError(`No guest state at ${address.toString(16)}.`);
		return glue(continuation.next, 0);
	}
	const launch = cache.launchAt(address);
	if (launch === undefined) throw new RangeError(`No guest state at ${address.toString(16)}.`);
	const target = memory.read32(VcpuBlock.target) >>> 0;
	return glue(target, (address - VMM_BASE - Area.launches) % LAUNCH_BYTES >= LAUNCH_JUMP ? 0 : Undo.ecx);
}

function glue(eip: number, undo: number): Recovered {
	return { eip, undo, stackAdjust: 0, boundary: undo === 0, glue: true, shadowed: false, fragment: undefined };
}

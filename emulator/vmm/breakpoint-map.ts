// Execution breakpoints of a guest whose linear space is the host's: a guest-linear one holds at the address itself and, under
// binary translation, at every translation of its instruction, present and future; one on an address of the translation
// cache belongs to the physical CPU.

import type { CodeCache } from "../engine/code-cache.ts";
import type { ExecutionBreakpoint, Processor, Stop } from "../machine/virtual-machine.ts";
import type { Fragment } from "./translate/fragment.ts";
import type { TranslationCache } from "./translate/translation-cache.ts";

const VCPU = 1;
const PCPU = 2;

export class BreakpointMap {
	private breakpoints: readonly ExecutionBreakpoint[] = [];
	private code: CodeCache | undefined;
	private cache: TranslationCache | undefined;
	/** Page offsets that the engine stops at. */
	private readonly offsets = new Set<number>();

	attach(code: CodeCache, cache: TranslationCache | undefined): void {
		this.code = code;
		this.cache = cache;
		this.set(this.breakpoints);
	}

	set(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints = breakpoints;
		this.offsets.clear();
		for (const { address } of breakpoints) this.offsets.add(Number(address.value & 0xfffn));
		for (const fragment of this.cache?.all() ?? []) if (fragment.valid) this.addTranslations(fragment);
		this.code?.setBreakpointOffsets(this.offsets);
	}

	/** A fragment was made: its copies of instructions with breakpoints get theirs. */
	translated(fragment: Fragment): void {
		const before = this.offsets.size;
		this.addTranslations(fragment);
		if (this.offsets.size !== before) this.code?.setBreakpointOffsets(this.offsets);
	}

	private addTranslations(fragment: Fragment): void {
		for (const { address } of this.breakpoints) {
			if (address.space !== "lin" && address.space !== "gpa") continue;
			for (const line of fragment.lines) {
				const matches =
					address.space === "lin"
						? BigInt(line.guest) === address.value
						: (BigInt(line.guest) & 0xfffn) === (address.value & 0xfffn);
				if (matches) this.offsets.add((fragment.translatedStart + line.offset) & 0xfff);
			}
		}
	}

	/** The stop for the place where the machine stands; undefined when no breakpoint is there. */
	hits(
		vcpu: Processor & { readonly view: { position(): { boundary: boolean; glue: boolean } | undefined } },
		pcpu: Processor,
	): Stop | undefined {
		const host = pcpu.linearInstructionPointer();
		const own = this.breakpoints.filter(
			({ address }) =>
				(address.space === "lin" && address.value === host && this.isTranslated(host)) ||
				(address.space === "hpa" && address.value === pcpu.translate(host, "hpa")),
		);
		if (own.length > 0) return { reason: "breakpoint", processor: PCPU, ids: own.map(({ id }) => id) };
		const position = vcpu.view.position();
		if (position !== undefined && (!position.boundary || position.glue)) return undefined;
		const guest = vcpu.linearInstructionPointer();
		const ids = this.breakpoints
			.filter(({ address }) =>
				address.space === "lin"
					? address.value === guest
					: address.space === "gpa" && address.value === vcpu.translate(guest, "gpa"),
			)
			.map(({ id }) => id);
		return ids.length > 0 ? { reason: "breakpoint", processor: VCPU, ids } : undefined;
	}

	private isTranslated(linear: bigint): boolean {
		return this.cache !== undefined && linear >= BigInt(this.cache.start) && linear < BigInt(this.cache.end);
	}
}

// The checks of a VM entry in the manual's order. A check whose fields are as they were when it last passed passes again, so that only what
// has changed since the last entry is looked at: most exits change a handful of fields.

import { controlRules } from "./control-checks.ts";
import { EntryContext, type EntryRule } from "./entry-rule.ts";
import { guestRules } from "./guest-checks.ts";
import { guestSegmentRules } from "./guest-segment-checks.ts";
import { hostRules } from "./host-checks.ts";
import type { VmcsMemory } from "./vmcs.ts";
import { VmcsRegion, vmcsFields } from "./vmcs-fields.ts";

/** What a failed check makes of the entry (SDM Vol. 3C §27.2, §27.3). */
export type CheckedArea = "controls" | "host state" | "guest state";

const RULES: readonly (readonly [area: CheckedArea, rule: EntryRule])[] = [
	...controlRules.map((rule) => ["controls", rule] as const),
	...hostRules.map((rule) => ["host state", rule] as const),
	...[...guestRules, ...guestSegmentRules].map((rule) => ["guest state", rule] as const),
];
const FIELDS = vmcsFields.length;
const NO_WORDS = new Int32Array(0);

export class EntryChecks {
	/** The fields as they were when all checks passed, two words each; empty: every check is to be made. */
	private passed = NO_WORDS;
	private address = -1;
	private hostLongMode = false;
	/** Numbers of the rules that have looked at a field, by the number of the field. */
	private readonly readers: Set<number>[] = Array.from({ length: FIELDS }, () => new Set());
	/** Rules that look at other memory than the VMCS. */
	private readonly unsteady = new Set<number>();

	constructor(
		private readonly cr4Allowed: number,
		private readonly addressBits: number,
	) {}

	/** The first rule that does not hold. */
	firstBroken(vmcs: VmcsMemory, hostLongMode: boolean): { area: CheckedArea; rule: EntryRule } | undefined {
		const words = vmcs.words(VmcsRegion.fields, FIELDS * 2);
		const known = vmcs.address === this.address && hostLongMode === this.hostLongMode && words.length > 0;
		const due = known && this.passed.length > 0 ? this.dueSince(words) : undefined;
		const context = new EntryContext(vmcs, this.cr4Allowed, this.addressBits, hostLongMode);
		const broken = due ? this.run(context, due) : this.run(context, RULES.keys());
		if (broken) return broken;
		this.passed = words.length === this.passed.length ? this.passed : new Int32Array(words.length);
		this.passed.set(words);
		this.address = vmcs.address;
		this.hostLongMode = hostLongMode;
		return undefined;
	}

	/** The rules that depend on what has changed, in order. */
	private dueSince(words: Int32Array): number[] {
		const due = new Set(this.unsteady);
		for (let field = 0; field < FIELDS; field++) {
			const at = field * 2;
			if (words[at] === this.passed[at] && words[at + 1] === this.passed[at + 1]) continue;
			for (const rule of this.readers[field]!) due.add(rule);
		}
		return [...due].sort((a, b) => a - b);
	}

	private run(context: EntryContext, rules: Iterable<number>): { area: CheckedArea; rule: EntryRule } | undefined {
		for (const number of rules) {
			const [area, rule] = RULES[number]!;
			context.onRead = (offset) => {
				if (offset === undefined) this.unsteady.add(number);
				else this.readers[(offset - VmcsRegion.fields) >> 3]!.add(number);
			};
			if (!rule.holds(context)) return { area, rule };
		}
		return undefined;
	}
}

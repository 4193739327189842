// The VM-event timeline: what took the machine out of the guest's own code, kept in bounded rings and counted by reason.

/** What happened. "exception": any exception of the guest but a page fault. */
export type VmEventKind =
	| "exit"
	| "entry"
	| "callout"
	| "hidden-fault"
	| "true-fault"
	| "exception"
	| "hypercall"
	| "interrupt"
	| "dma-fault"
	| "translation"
	| "mode-switch"
	| "misbehaviour";

export const vmEventKinds: readonly VmEventKind[] = [
	"exit",
	"entry",
	"callout",
	"hidden-fault",
	"true-fault",
	"exception",
	"hypercall",
	"interrupt",
	"dma-fault",
	"translation",
	"mode-switch",
	"misbehaviour",
];

/** A decoded part of an event: an exit qualification's field, an argument of a hypercall, a list of batched requests. */
export interface VmEventField {
	readonly name: string;
	readonly value: bigint | number | string | readonly VmEventField[];
}

export interface VmEvent {
	/** One more for each event since power-on, from 0. */
	readonly sequence: number;
	/** Retired host instructions when it happened. */
	readonly instructionCount: number;
	readonly kind: VmEventKind;
	/** Id of the processor on which it happened; 0 for a device. */
	readonly processor: number;
	/** Guest-linear address of the instruction; absent when no instruction is the cause (DMA). */
	readonly instruction?: bigint;
	/** The word that events are counted by: "CPUID", "#GP", "mmu_update", "vector 32". From a bounded set. */
	readonly reason: string;
	readonly detail: readonly VmEventField[];
}

/** Which events to read. */
export interface VmEventQuery {
	/** Only these kinds; all when left out. */
	readonly kinds?: readonly VmEventKind[];
	/** Only this reason. */
	readonly reason?: string;
	/** Only events with a lower sequence number: where the next older page starts. */
	readonly before?: number;
	/** The most events in the answer. */
	readonly limit: number;
}

export interface VmEventCount {
	readonly kind: VmEventKind;
	readonly reason: string;
	readonly count: number;
}

/** What a debugger reads of a timeline. */
export interface VmEventTimeline {
	/** Events since power-on, those that the rings no longer hold included. */
	readonly total: number;
	/** The latest events that fit, newest first. */
	read(query: VmEventQuery): VmEvent[];
	/** Per kind and reason since power-on; the most frequent first. */
	counts(): VmEventCount[];
	/** Calls back for each event from now on, as it is recorded. */
	onEvent(listener: (event: VmEvent) => void): void;
}

interface Entry {
	readonly sequence: number;
	readonly instructionCount: number;
	readonly processor: number;
	readonly instruction: bigint | number | undefined;
	readonly reason: string;
	readonly detail: readonly VmEventField[];
}

interface Ring {
	readonly kind: VmEventKind;
	readonly entries: Entry[];
	/** Events of this kind so far. */
	count: number;
	readonly reasons: Map<string, number>;
}

interface SavedLog {
	readonly total: number;
	readonly rings: readonly Ring[];
}

/** Events of each kind that are kept. A kind has its own ring, so that a flood of faults does not push the hypercalls out. */
const CAPACITY = 4096;
/** Reasons of one kind that are counted apart; what is beyond is counted as "other". */
const MOST_REASONS = 512;
const NO_DETAIL: readonly VmEventField[] = [];

/** A register may have been read as a signed number: addresses are not. */
function eventOf(kind: VmEventKind, { instruction, ...entry }: Entry): VmEvent {
	const address = instruction === undefined ? {} : { instruction: BigInt.asUintN(64, BigInt(instruction)) };
	return { ...entry, kind, ...address };
}

/** Where a machine writes its events. Recording never changes what the guest sees. */
export class VmEventLog implements VmEventTimeline {
	total = 0;
	private readonly rings: Readonly<Record<VmEventKind, Ring>>;
	private readonly listeners: ((event: VmEvent) => void)[] = [];

	/** @param now retired host instructions */
	constructor(
		private readonly now: () => number,
		private readonly capacity = CAPACITY,
	) {
		const ring = (kind: VmEventKind): Ring => ({ kind, entries: [], count: 0, reasons: new Map() });
		this.rings = Object.fromEntries(vmEventKinds.map((kind) => [kind, ring(kind)])) as Record<VmEventKind, Ring>;
	}

	/** Forgets all, as at power-on. */
	clear(): void {
		this.total = 0;
		for (const ring of Object.values(this.rings)) {
			ring.entries.length = ring.count = 0;
			ring.reasons.clear();
		}
	}

	/** The log as it is, for restore(). */
	save(): unknown {
		const rings = Object.values(this.rings).map(({ kind, entries, count, reasons }) => ({
			kind,
			entries: entries.slice(),
			count,
			reasons: new Map(reasons),
		}));
		return { total: this.total, rings } satisfies SavedLog;
	}

	restore(state: unknown): void {
		const { total, rings } = state as SavedLog;
		this.total = total;
		for (const { kind, entries, count, reasons } of rings) {
			const ring = this.rings[kind];
			ring.entries.splice(0, ring.entries.length, ...entries);
			ring.count = count;
			ring.reasons.clear();
			for (const [reason, number] of reasons) ring.reasons.set(reason, number);
		}
	}

	record(
		kind: VmEventKind,
		reason: string,
		processor: number,
		instruction?: bigint | number,
		detail: readonly VmEventField[] = NO_DETAIL,
	): void {
		const ring = this.rings[kind];
		const entry: Entry = {
			sequence: this.total++,
			instructionCount: this.now(),
			processor,
			instruction,
			reason,
			detail,
		};
		ring.entries[ring.count++ % this.capacity] = entry;
		const known = ring.reasons.get(reason);
		if (known === undefined && ring.reasons.size >= MOST_REASONS)
			ring.reasons.set("other", (ring.reasons.get("other") ?? 0) + 1);
		else ring.reasons.set(reason, (known ?? 0) + 1);
		for (const listener of this.listeners) listener(eventOf(kind, entry));
	}

	onEvent(listener: (event: VmEvent) => void): void {
		this.listeners.push(listener);
	}

	read({ kinds = vmEventKinds, reason, before = this.total, limit }: VmEventQuery): VmEvent[] {
		const found: { readonly kind: VmEventKind; readonly entry: Entry }[] = [];
		for (const kind of new Set(kinds)) {
			const { entries, count } = this.rings[kind];
			let taken = 0;
			for (let index = count - 1; index >= Math.max(0, count - this.capacity) && taken < limit; index--) {
				const entry = entries[index % this.capacity]!;
				if (entry.sequence >= before || (reason !== undefined && entry.reason !== reason)) continue;
				found.push({ kind, entry });
				taken++;
			}
		}
		found.sort((a, b) => b.entry.sequence - a.entry.sequence);
		return found.slice(0, limit).map(({ kind, entry }) => eventOf(kind, entry));
	}

	counts(): VmEventCount[] {
		return Object.values(this.rings)
			.flatMap(({ kind, reasons }) => [...reasons].map(([reason, count]) => ({ kind, reason, count })))
			.sort((a, b) => b.count - a.count);
	}
}

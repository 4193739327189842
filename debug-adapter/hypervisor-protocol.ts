// The part of protocol.ts that shows what virtualization adds: events, VMCS, nested walks, domains, IOMMU, and the
// comparison of techniques. The same conventions hold. It imports types of protocol.ts and nothing else.
import type { Hex, Technique, WalkInfo, WalkStepInfo } from "./protocol.ts";

// ---- VM-event timeline ---------------------------------------------------------------------------------------------

export type EventKind =
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

/** A decoded part of an event; `value` is absent when there are `parts`. */
export interface EventField {
	readonly name: string;
	readonly value?: string;
	readonly parts?: readonly EventField[];
}

export interface EventInfo {
	/** One more for each event since power-on. */
	readonly sequence: number;
	readonly instructionCount: number;
	readonly kind: EventKind;
	/** Thread of the processor; 0 for a device. */
	readonly threadId: number;
	/** Linear address of the guest instruction; absent when no instruction is the cause. */
	readonly instruction?: Hex;
	/** "main+0x12" */
	readonly symbol?: string;
	readonly reason: string;
	readonly detail: readonly EventField[];
}

/** `hyperscope/events`: the latest events, newest first. */
export interface EventsArguments {
	/** All kinds when left out. */
	readonly kinds?: readonly EventKind[];
	readonly reason?: string;
	/** Only events with a lower sequence number. */
	readonly before?: number;
	/** 1 to 1024; 256 when left out. */
	readonly limit?: number;
}

export interface EventsBody {
	/** Events since power-on; the oldest of them are no longer kept. */
	readonly total: number;
	readonly events: readonly EventInfo[];
	/** Where to go on (`before` of the next request); absent when nothing older is kept. */
	readonly next?: number;
}

/** Body of `hyperscope/eventCounts` (no arguments): per kind and reason since power-on, the most frequent first. */
export interface EventCountsBody {
	readonly total: number;
	readonly counts: readonly { readonly kind: EventKind; readonly reason: string; readonly count: number }[];
}

// ---- VMCS ----------------------------------------------------------------------------------------------------------

/** `hyperscope/vmcs` */
export interface VmcsArguments {
	/** Host-physical address of a region ("0x…"); the current VMCS when left out. */
	readonly address?: Hex;
}

export interface VmcsFieldInfo {
	readonly name: string;
	readonly encoding: Hex;
	/** Bits. */
	readonly width: number;
	readonly value: Hex;
	readonly meaning?: string;
	/** Differs from the value before the last VM exit was recorded. */
	readonly changed: boolean;
	readonly bits: readonly {
		readonly name: string;
		/** Lowest bit. */
		readonly bit: number;
		readonly width: number;
		readonly value: Hex;
		readonly meaning?: string;
	}[];
}

export interface VmcsBody {
	/** The processor is in VMX operation. */
	readonly enabled: boolean;
	readonly regions: readonly { readonly address: Hex; readonly current: boolean }[];
	/** Absent when there is no current VMCS and none was asked for. */
	readonly vmcs?: {
		readonly address: Hex;
		readonly launchState: "clear" | "launched";
		readonly inGuest: boolean;
		readonly lastExit?: { readonly reason: string; readonly detail: readonly EventField[] };
		/** The check that the last VM entry failed: the field, and the rule as a sentence's end ("must be …"). */
		readonly entryFailure?: { readonly field: string; readonly rule: string };
		readonly groups: readonly { readonly name: string; readonly fields: readonly VmcsFieldInfo[] }[];
	};
}

// ---- nested walk ---------------------------------------------------------------------------------------------------

export interface NestedReferenceInfo {
	/** From 1; 24 for 4 × 4 levels. */
	readonly number: number;
	readonly dimension: "guest" | "ept";
	/** The guest level whose table or page is looked up: the row of the two-dimensional picture. */
	readonly row: string;
	readonly guestPhysical: Hex;
	readonly step: WalkStepInfo;
}

/** Body of `hyperscope/nestedWalk` (the arguments of `hyperscope/pageWalk`). */
export interface NestedWalkBody {
	readonly linear: Hex;
	readonly symbol?: string;
	/** Absent when EPT does not translate now. */
	readonly walk?: {
		readonly references: readonly NestedReferenceInfo[];
		readonly guestPhysical?: Hex;
		readonly hostPhysical?: Hex;
		readonly failure?: string;
		/** Whose walk it is, when that is not what runs now: a sentence's beginning. */
		readonly note?: string;
	};
}

// ---- domains -------------------------------------------------------------------------------------------------------

/** Body of `hyperscope/domains` (no arguments). */
export interface DomainsBody {
	readonly domains: readonly DomainInfo[];
}

export interface DomainInfo {
	readonly id: number;
	readonly name: string;
	readonly state: string;
	readonly pages: number;
	readonly maximumPages: number;
	readonly pageTypes: readonly { readonly type: string; readonly pages: number; readonly pinned: number }[];
	readonly eventChannels: readonly {
		readonly port: number;
		readonly kind: string;
		readonly target: string;
		readonly pending: boolean;
		readonly masked: boolean;
	}[];
	readonly grants: readonly {
		readonly reference: number;
		readonly domain: number;
		readonly frame: Hex;
		readonly writable: boolean;
		readonly mapped: number;
	}[];
	readonly detail: readonly EventField[];
}

/** `hyperscope/domainPages` */
export interface DomainPagesArguments {
	readonly domain: number;
	/** First page number; 0 when left out. */
	readonly from?: Hex;
	/** 1 to 4096; 256 when left out. */
	readonly limit?: number;
	/** Only pages of this type. */
	readonly type?: string;
}

export interface DomainPagesBody {
	readonly pages: readonly {
		readonly page: Hex;
		readonly frame: Hex;
		readonly type: string;
		readonly typeCount: number;
		readonly referenceCount: number;
		readonly pinned: boolean;
	}[];
	/** Where to go on; absent at the end. */
	readonly next?: Hex;
}

// ---- IOMMU ---------------------------------------------------------------------------------------------------------

/** Body of `hyperscope/iommus` (no arguments). */
export interface IommusBody {
	readonly units: readonly IommuInfo[];
}

export interface IommuInfo {
	readonly name: string;
	readonly enabled: boolean;
	readonly rootTable?: Hex;
	readonly translated: number;
	readonly blocked: number;
	readonly devices: readonly {
		/** "00:05.0" */
		readonly source: string;
		readonly name: string;
		readonly treatment: string;
		readonly domain?: number;
		readonly levels?: number;
		readonly table?: Hex;
	}[];
	/** Newest first. */
	readonly faults: readonly {
		readonly instructionCount: number;
		readonly source: string;
		readonly address: Hex;
		readonly access: "read" | "write" | "interrupt";
		readonly reason: number;
		readonly meaning: string;
	}[];
}

/** `hyperscope/iommuWalk` */
export interface IommuWalkArguments {
	/** Index of the unit; 0 when left out. */
	readonly unit?: number;
	/** "00:05.0" */
	readonly source: string;
	/** A device address: a number, or an expression. */
	readonly address: string;
	readonly write?: boolean;
}

export interface IommuWalkBody {
	readonly walk: WalkInfo;
}

// ---- compare techniques --------------------------------------------------------------------------------------------

/** `hyperscope/compare`: runs a guest under every technique that can run it. Needs no launch. */
export interface CompareArguments {
	readonly program: string;
	readonly memory?: number | string;
	readonly initrd?: string;
	readonly append?: string;
	/** Each run ends after so many instructions at the latest. */
	readonly maxInstructions?: number;
}

/** One way to run the guest: a column of the table. */
export interface ComparedTechnique {
	/** "none", "bt", "hvm + ept" */
	readonly name: string;
	readonly vmm: Technique;
	readonly mmu?: "shadow" | "ept";
	/** The image's paravirtual twin, where that ran in its place. */
	readonly image?: string;
	/** Why it was not run, in one sentence; absent when it was. */
	readonly refused?: string;
	/** Why it stopped, as `--stats` has it. */
	readonly stop?: string;
	/** Whether it said on the serial line what the first column said; absent where a twin said something else. */
	readonly sameOutput?: boolean;
}

/** What happened in one operation, or in the whole run, under one technique. */
export interface ComparedCounts {
	readonly instructions: number;
	readonly exits: number;
	readonly callouts: number;
	readonly hypercalls: number;
	readonly hiddenFaults: number;
	readonly trueFaults: number;
	/** Exceptions of the guest other than page faults. */
	readonly exceptions: number;
	/** Guest stores into write-traced page tables that the VMM emulated after a fault. */
	readonly traceWrites: number;
	/** Times that directly executed user code gave way to the guest's kernel through the VMM. */
	readonly switches: number;
	/** Translation units translated. */
	readonly translations: number;
	/** Cycles under the cost model. */
	readonly cost: number;
}

export interface CompareBody {
	readonly program: string;
	readonly techniques: readonly ComparedTechnique[];
	/** One row an operation that the guest marked, the whole run first; `counts` in the order of `techniques`, null where there is none. */
	readonly operations: readonly {
		readonly name: string;
		/** Repetitions that the counts are divided by. */
		readonly repetitions?: number;
		readonly counts: readonly (ComparedCounts | null)[];
	}[];
	/** What the cost model charges, in words, with where the figures come from. */
	readonly costModel: readonly string[];
}

// What only some techniques have to show: VMCS, nested page walks, domains, IOMMU. A machine implements the parts that it
// has; reading them has no side effect and reads the bytes that the hardware uses.

import type { Address, Walk, WalkStep } from "./virtual-machine.ts";
import type { VmEventField } from "./vm-events.ts";

// ---- VMCS (SDM Vol. 3C Chapter 24) ---------------------------------------------------------------------------------

export interface VmcsBit {
	/** As the SDM names it: "Use MSR bitmaps", "PE". */
	readonly name: string;
	/** Lowest bit of the field. */
	readonly bit: number;
	/** Bits; 1 for a flag. */
	readonly width: number;
	readonly value: bigint;
	/** Decoded for people: "external interrupt"; absent when the number says it all. */
	readonly meaning?: string;
}

export interface VmcsField {
	readonly name: string;
	/** SDM Vol. 3D Appendix B. */
	readonly encoding: number;
	/** Bits. */
	readonly width: 16 | 32 | 64;
	readonly value: bigint;
	/** Empty when the field is a plain number. */
	readonly bits: readonly VmcsBit[];
	readonly meaning?: string;
	/** The value differs from the one before the last VM exit was recorded. */
	readonly changed: boolean;
}

export interface VmcsGroup {
	/** "Guest-state area", "Host-state area", "VM-execution control fields", "VM-exit control fields", "VM-entry control fields", "VM-exit information fields". */
	readonly name: string;
	readonly fields: readonly VmcsField[];
}

export interface VmcsView {
	/** Host-physical address of the region. */
	readonly address: bigint;
	/** "clear", "launched" (SDM Vol. 3C §24.1) */
	readonly launchState: "clear" | "launched";
	/** Whether the processor is in VMX non-root operation under it. */
	readonly inGuest: boolean;
	/** The last VM exit in words, when there was one. */
	readonly lastExit?: { readonly reason: string; readonly detail: readonly VmEventField[] };
	/** The check that the last VM entry failed: the field, and the rule as a sentence's end ("must be ..."). Absent when it succeeded. */
	readonly entryFailure?: { readonly field: string; readonly rule: string };
	readonly groups: readonly VmcsGroup[];
}

/** The VMCSs of whichever hypervisor is loaded: the VMM's own under "hvm", the guest's under "none". */
export interface VmxView {
	/** Not in VMX operation: the other members have nothing to say. */
	readonly enabled: boolean;
	/** Host-physical addresses of the regions that have been made active and not cleared since (at most 64), the current one marked. */
	regions(): { readonly address: bigint; readonly current: boolean }[];
	/** The VMCS at an address, the current one when it is left out; undefined when there is none. */
	read(address?: bigint): VmcsView | undefined;
	/** Where the next VM exit under the current VMCS goes on: the host's RIP, in a code segment with base 0. Undefined without one. */
	exitTarget(): bigint | undefined;
}

// ---- nested walk (SDM Vol. 3C §28.3) -------------------------------------------------------------------------------

/** One memory reference of a two-dimensional walk. */
export interface NestedReference {
	/** From 1; 24 for 4 × 4 levels. */
	readonly number: number;
	/** Which table the entry belongs to. */
	readonly dimension: "guest" | "ept";
	/** For "ept": the guest level whose table (or, last, whose page) is looked up; else the same as `step.level`. */
	readonly row: string;
	/** The guest-physical address that an "ept" reference helps to translate, or where the guest entry lies. */
	readonly guestPhysical: bigint;
	/** Where the entry lies is host-physical. */
	readonly step: WalkStep;
}

export interface NestedWalk {
	readonly linear: bigint;
	readonly references: readonly NestedReference[];
	/** The guest's part alone and the final EPT walk alone, as other walks are. */
	readonly guestPhysical?: bigint;
	readonly hostPhysical?: bigint;
	/** Why there is no result. */
	readonly failure?: string;
	/** Whose walk it is, when that is not what runs now: a sentence's beginning. */
	readonly note?: string;
}

// ---- domains (Xen) -------------------------------------------------------------------------------------------------

export interface DomainPage {
	/** Number of the guest's pseudo-physical page. */
	readonly page: bigint;
	/** Machine frame. */
	readonly frame: bigint;
	/** "none", "L1 page table" ... "L4 page table", "LDT/GDT", "writable", "shared". */
	readonly type: string;
	readonly typeCount: number;
	readonly referenceCount: number;
	readonly pinned: boolean;
}

export interface DomainView {
	readonly id: number;
	readonly name: string;
	/** "running", "runnable", "blocked", "crashed", "shut down" */
	readonly state: string;
	/** Pages that it has now, and its quota. */
	readonly pages: number;
	readonly maximumPages: number;
	/** Pages of each type. */
	readonly pageTypes: readonly { readonly type: string; readonly pages: number; readonly pinned: number }[];
	readonly eventChannels: readonly {
		readonly port: number;
		/** "unbound", "interdomain", "virq", "pirq", "ipi", "xenstore", "console" */
		readonly kind: string;
		/** "domain 0 port 3", "VIRQ_TIMER" */
		readonly target: string;
		readonly pending: boolean;
		readonly masked: boolean;
	}[];
	readonly grants: readonly {
		readonly reference: number;
		readonly domain: number;
		readonly frame: bigint;
		readonly writable: boolean;
		/** Mappings of it now. */
		readonly mapped: number;
	}[];
	/** Scheduling, console ring, shared rings, ...: what else is worth a line. */
	readonly detail: readonly VmEventField[];
}

export interface DomainsView {
	list(): DomainView[];
	/** Pages in order from page number `from` on, at most `limit`; only those of one type when it is given. */
	pages(domain: number, from: bigint, limit: number, type?: string): DomainPage[];
}

// ---- IOMMU (VT-d) --------------------------------------------------------------------------------------------------

/** A requester: bus << 8 | device << 3 | function. */
export type SourceId = number;

export interface IommuDevice {
	readonly source: SourceId;
	readonly name: string;
	/** How its requests are treated: "translated", "pass-through", "blocked: ..." (why: no root entry, ...). */
	readonly treatment: string;
	/** Domain identifier of its context entry. */
	readonly domain?: number;
	/** Levels of its second-level tables. */
	readonly levels?: number;
	/** Host-physical address of its second-level tables. */
	readonly table?: bigint;
}

export interface IommuFault {
	/** Retired host instructions when it was recorded. */
	readonly instructionCount: number;
	readonly source: SourceId;
	readonly address: bigint;
	readonly access: "read" | "write" | "interrupt";
	/** Fault reason number and words (VT-d specification, fault reason encodings). */
	readonly reason: number;
	readonly meaning: string;
}

export interface IommuView {
	readonly name: string;
	readonly enabled: boolean;
	/** Host-physical address of the root table; absent when it was never set. */
	readonly rootTable?: bigint;
	/** Requests that were translated and that were stopped. */
	readonly translated: number;
	readonly blocked: number;
	devices(): IommuDevice[];
	/** The latest faults, newest first, at most 256. */
	faults(): IommuFault[];
	/** Root entry, context entry, second-level entries. `linear` of the walk is the device address. */
	walk(source: SourceId, address: bigint, access?: { readonly write?: boolean }): Walk;
	/** Host-physical address of a device address; undefined when a read there would be stopped. */
	translate(source: SourceId, address: bigint): Address | undefined;
}

// A check at VM entry: the field that it is about, the rule in words, and the check itself.

import type { VmcsMemory } from "./vmcs.ts";
import { Vmcs, type VmcsFieldName } from "./vmcs-fields.ts";

/** Offset of the task priority in the virtual-APIC page. */
export const VIRTUAL_TPR = 0x80;

/** What checks look at: the fields, and what the processor can do. */
export class EntryContext {
	/** Told the offset of each field that is looked at; undefined for other memory. */
	onRead: (offset: number | undefined) => void = () => {};

	constructor(
		readonly vmcs: VmcsMemory,
		/** Bits that CR4 may have. */
		readonly cr4Allowed: number,
		/** Width of physical addresses. */
		readonly addressBits: number,
		/** EFER.LMA before the entry: the processor is in IA-32e mode. */
		readonly hostLongMode: boolean,
	) {}

	/** The low 32 bits of a field, signed. */
	word(name: VmcsFieldName): number {
		const offset = Vmcs[name];
		this.onRead(offset);
		return this.vmcs.read32(offset);
	}

	wide(name: VmcsFieldName): bigint {
		const offset = Vmcs[name];
		this.onRead(offset);
		return this.vmcs.read(offset);
	}

	get pin(): number {
		return this.word("pinControls");
	}

	get primary(): number {
		return this.word("primaryControls");
	}

	/** 0 while the secondary controls are not activated. */
	get secondary(): number {
		return this.primary < 0 ? this.word("secondaryControls") : 0;
	}

	/** VTPR, in the virtual-APIC page. */
	get virtualTaskPriority(): number {
		this.onRead(undefined);
		return this.vmcs.physical.read(Number(this.wide("virtualApicAddress")) + VIRTUAL_TPR, 1);
	}

	get entry(): number {
		return this.word("entryControls");
	}

	get exit(): number {
		return this.word("exitControls");
	}

	/** An aligned address within the physical-address width. */
	isAddress(name: VmcsFieldName, alignment: number): boolean {
		const address = this.wide(name);
		return address % BigInt(alignment) === 0n && address >> BigInt(this.addressBits) === 0n;
	}
}

export interface EntryRule {
	readonly field: VmcsFieldName;
	/** What must hold, as a sentence's end: "must be ...". */
	readonly rule: string;
	readonly holds: (context: EntryContext) => boolean;
	/** Exit qualification when it fails, where the manual gives one (Vol. 3C §27.8). */
	readonly qualification?: bigint;
}

export const rule = (
	field: VmcsFieldName,
	text: string,
	holds: (context: EntryContext) => boolean,
	qualification?: bigint,
): EntryRule => ({ field, rule: text, holds, ...(qualification === undefined ? {} : { qualification }) });

/** An address whose bits 63:47 are all equal. */
export const isCanonical64 = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;

const MEMORY_TYPES = [0n, 1n, 4n, 5n, 6n, 7n];

/** IA32_PAT: eight memory types (SDM Vol. 3A §11.12.2). */
export function isPat(value: bigint): boolean {
	for (let field = 0n; field < 8n; field++) if (!MEMORY_TYPES.includes((value >> (field * 8n)) & 0xffn)) return false;
	return true;
}

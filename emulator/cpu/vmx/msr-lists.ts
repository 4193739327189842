// The lists of MSRs that VM entries load and VM exits store and load (SDM Vol. 3C §25.7.2, §27.4, §28.4, §28.6).

import { Fault } from "../../engine/fault.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { ModelSpecificRegisters } from "../model-specific-registers.ts";

/** MSRs that no list may load: the bases of FS and GS. */
const NOT_LOADED: readonly number[] = [0xc0000100, 0xc0000101];
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;
/** IA32_SMM_MONITOR_CTL, IA32_SMBASE. */
const SMM: readonly number[] = [0x9b, 0x9e];
const ENTRY_BYTES = 16;

const isForbidden = (index: number): boolean => SMM.includes(index) || (index >= X2APIC_FIRST && index <= X2APIC_LAST);

/** Loads a list. @returns 0, or the number (from 1) of the entry that cannot be loaded. */
export function loadMsrs(
	msrs: ModelSpecificRegisters,
	physical: PhysicalMemory,
	address: number,
	count: number,
): number {
	for (let entry = 0; entry < count; entry++) {
		const at = address + entry * ENTRY_BYTES;
		const index = physical.read(at, 4) >>> 0;
		if (physical.read(at + 4, 4) !== 0 || isForbidden(index) || NOT_LOADED.includes(index)) return entry + 1;
		const value = (BigInt(physical.read(at + 12, 4) >>> 0) << 32n) | BigInt(physical.read(at + 8, 4) >>> 0);
		try {
			msrs.write(index, value);
		} catch (fault) {
			if (!(fault instanceof Fault)) throw fault;
			return entry + 1;
		}
	}
	return 0;
}

/** Stores a list. @returns false when an entry cannot be stored: a VMX abort. */
export function storeMsrs(
	msrs: ModelSpecificRegisters,
	physical: PhysicalMemory,
	address: number,
	count: number,
): boolean {
	for (let entry = 0; entry < count; entry++) {
		const at = address + entry * ENTRY_BYTES;
		const index = physical.read(at, 4) >>> 0;
		const value = physical.read(at + 4, 4) !== 0 || isForbidden(index) ? undefined : msrs.read(index);
		if (value === undefined) return false;
		physical.write(at + 8, 4, Number(value & 0xffffffffn));
		physical.write(at + 12, 4, Number(value >> 32n));
	}
	return true;
}

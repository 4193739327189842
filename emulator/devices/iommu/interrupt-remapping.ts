// Interrupt requests in remappable format and the entries that they name.
// Reference: Intel VT-d specification 3.3, §5.1 and §9.10 "Interrupt Remapping Table Entry (IRTE) for remapped interrupts".

import { DeliveryMode, type InterruptMessage } from "../apic-bus.ts";
import { FaultReason } from "./fault-reason.ts";
import { type ReadQuadword, WalkFault } from "./table-walk.ts";

/** Address bit 4: the request is in remappable format. */
const REMAPPABLE = 0x10;
/** Address bit 3: the data holds a subhandle. */
const SUBHANDLE_VALID = 0x08;

/** The parts of an entry, checked. */
export interface InterruptEntry {
	readonly message: InterruptMessage;
	readonly sourceId: number;
	readonly sourceQualifier: number;
	readonly validation: number;
	readonly silent: boolean;
}

export function isRemappable(address: number): boolean {
	return (address & REMAPPABLE) !== 0;
}

/** Index of the entry that a request names. @throws {WalkFault} */
export function interruptIndex(address: number, data: number): number {
	const handle = ((address >>> 5) & 0x7fff) | ((address & 4) << 13);
	if (!(address & SUBHANDLE_VALID)) return handle;
	if (data >>> 16)
		throw new WalkFault(
			FaultReason.interruptRequestReserved,
			`the data 0x${data.toString(16)} of the request has bits 31 to 16 set`,
		);
	return handle + data;
}

/** Reads and checks an entry. @throws {WalkFault} */
export function readInterruptEntry(
	read: ReadQuadword,
	table: bigint,
	entries: number,
	index: number,
	extended: boolean,
): InterruptEntry {
	if (index >= entries)
		throw new WalkFault(FaultReason.interruptIndexTooLarge, `index ${index} in a table of ${entries} entries`);
	const address = table + BigInt(16 * index);
	const low = read(address);
	const high = read(address + 8n);
	const where = `entry ${index} at 0x${address.toString(16)}`;
	if (low === undefined || high === undefined) throw new WalkFault(FaultReason.interruptTableAccess, where);
	const silent = (low & 2n) !== 0n;
	if (!(low & 1n)) throw new WalkFault(FaultReason.interruptEntryNotPresent, where, silent);
	// Without extended mode only bits 47 to 40 name a destination. Posted interrupts (bit 15) are not in this unit.
	const reserved = (low & (0xff00_f000n | (extended ? 0n : 0xffff_00ff_0000_0000n))) | (high & 0xffff_ffff_fff0_0000n);
	const validation = Number((high >> 18n) & 3n);
	if (reserved !== 0n || validation === 3)
		throw new WalkFault(
			FaultReason.interruptEntryReserved,
			`${where} is 0x${high.toString(16)}:0x${low.toString(16)}`,
			silent,
		);
	const deliveryMode = Number((low >> 5n) & 7n);
	return {
		message: {
			destination: Number((low >> (extended ? 32n : 40n)) & (extended ? 0xffff_ffffn : 0xffn)),
			logical: (low & 4n) !== 0n,
			// A redirection hint stands for lowest priority.
			deliveryMode: deliveryMode === DeliveryMode.fixed && low & 8n ? DeliveryMode.lowestPriority : deliveryMode,
			vector: Number((low >> 16n) & 0xffn),
			levelTriggered: (low & 0x10n) !== 0n,
		},
		sourceId: Number(high & 0xffffn),
		sourceQualifier: Number((high >> 16n) & 3n),
		validation,
		silent,
	};
}

/** Whether the entry may be used by a requester (§9.10, SVT, SQ and SID). */
export function sourceAllowed(entry: InterruptEntry, source: number): boolean {
	const { sourceId, sourceQualifier, validation } = entry;
	if (validation === 1) {
		const ignored = [0, 4, 6, 7][sourceQualifier]!;
		return (source & ~ignored) === (sourceId & ~ignored);
	}
	if (validation === 2) return source >> 8 >= sourceId >> 8 && source >> 8 <= (sourceId & 0xff);
	return true;
}

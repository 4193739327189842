// Grants and memory management: references to granted frames, and their mappings in the tables of the domain that maps them.

import { State } from "../../../isa/state.ts";
import { type GrantMemory, GrantStatus, type MappingPlace } from "../grant-tables.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { PageType } from "./frame-table.ts";
import { Entry, findLeaf } from "./page-tables.ts";

/** A mapping that is in use from the start, so that the hardware need not note it. */
const IN_USE = Entry.accessed | Entry.dirty;

export function grantMemory(hypervisor: Hypervisor): GrantMemory {
	const { tables, frames, memory, domains } = hypervisor;
	const { paging } = hypervisor.host.processor.core;

	/** The entry of a level-1 table of the caller that a mapping goes into. */
	const entryOf = (caller: number, { address, isEntry }: MappingPlace): readonly [number, number] | undefined => {
		const found = isEntry
			? address < BigInt(memory.frames) << 12n && (address & 7n) === 0n
				? ([Number(address >> 12n), Number(address & 0xfffn) >> 3] as const)
				: undefined
			: findLeaf(memory, hypervisor.control.state.i32[State.cr3 >> 2]! >>> 12, address);
		if (found === undefined) return undefined;
		const [frame] = found;
		const isTable = frames.type[frame] === PageType.l1 && frames.typeCount[frame]! > 0;
		return isTable && frames.owner[frame] === caller ? found : undefined;
	};

	const forget = ({ address, isEntry }: MappingPlace): void => {
		if (isEntry) paging.flush();
		else paging.flushPage(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
	};

	return {
		take: (domain, frame, writable) => {
			if (!memory.isRam(frame)) return false;
			return writable ? tables.getPageAndType(frame, domain, PageType.writable) === 0 : tables.getPage(frame, domain);
		},
		release: (frame, writable) => {
			if (writable) tables.putPageAndType(frame);
			else tables.putPage(frame);
		},
		map: (caller, place, frame, writable, application) => {
			const domain = domains.get(caller);
			const found = entryOf(caller, place);
			if (domain === undefined || found === undefined)
				return place.isEntry ? GrantStatus.generalError : GrantStatus.badVirtualAddress;
			const rights = IN_USE | (writable ? Entry.writable : 0) | (application ? Entry.user : 0);
			const low = (frame * 4096) | Entry.present | rights;
			const result = tables.changeEntry(found[0], found[1], low, 0, domain, frames.owner[frame]!);
			forget(place);
			return result < 0 ? GrantStatus.generalError : GrantStatus.okay;
		},
		unmap: (caller, place, frame) => {
			const domain = domains.get(caller);
			const found = entryOf(caller, place);
			if (domain === undefined || found === undefined) return GrantStatus.badVirtualAddress;
			const low = memory.read(found[0], found[1] * 2);
			if ((low & Entry.present) === 0 || low >>> 12 !== frame) return GrantStatus.generalError;
			tables.changeEntry(found[0], found[1], 0, 0, domain, caller);
			forget(place);
			return GrantStatus.okay;
		},
	};
}

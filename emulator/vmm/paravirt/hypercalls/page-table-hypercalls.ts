// mmu_update, mmuext_op, update_va_mapping and update_va_mapping_otherdomain (xen.h). Batches are done in portions: after so much work
// the instruction is executed again with what is left, so that no hypercall holds the machine up.

import { State } from "../../../isa/state.ts";
import type { VmEventField } from "../../../machine/vm-events.ts";
import type { Domain } from "../domain.ts";
import { failure } from "../domain.ts";
import { isCanonicalAddress } from "../guest-msrs.ts";
import type { HypercallContext, HypercallHandler, HypercallResult } from "../hypercall.ts";
import { type Hypervisor, PAGE_WORK } from "../hypervisor.ts";
import { PageType } from "../memory/frame-table.ts";
import { findLeaf, isTable } from "../memory/page-tables.ts";
import { Domid, type HypercallName } from "../xen-abi.ts";

/** Entries looked at in one portion of a batch, and requests. */
const PORTION_WORK = 1 << 18;
const PORTION_REQUESTS = 1024;
/** In the count: the batch goes on, and the number of requests done so far lies where the guest wants it. */
const GOES_ON = 0x80000000;
/** Requests of a batch that the log keeps. */
const LOGGED = 16;
const MMU_UPDATE_BYTES = 16;

const UPDATE_NAMES = ["normal", "machphys", "preserve A/D", "no translate"];
const EXTENDED_NAMES: readonly string[] = [
	...["pin L1", "pin L2", "pin L3", "pin L4", "unpin", "new baseptr", "TLB flush local", "INVLPG local"],
	...["TLB flush multi", "INVLPG multi", "TLB flush all", "INVLPG all", "flush cache", "set LDT", "reserved"],
	...["new user baseptr", "clear page", "copy page", "flush cache global", "mark super", "unmark super"],
];
const PIN_TYPES = [PageType.l1, PageType.l2, PageType.l3, PageType.l4];
/** UVMF_* flush types. */
const FLUSH_ALL = 1;
const FLUSH_PAGE = 2;

interface Extended {
	readonly command: number;
	readonly first: bigint;
	readonly second: bigint;
}

export class PageTableHypercalls {
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		mmu_update: (call) => this.batch(call, MMU_UPDATE_BYTES, (view, at, list) => this.update(call, view, at, list)),
		mmuext_op: (call) =>
			this.batch(call, call.domain.wide ? 24 : 12, (view, at, list) => this.extended(call, view, at, list)),
		update_va_mapping: (call) => this.updateMapping(call, Domid.self),
		update_va_mapping_otherdomain: (call) => this.updateMapping(call, call.int(call.domain.wide ? 3 : 4)),
	};

	constructor(private readonly hypervisor: Hypervisor) {}

	/** Does requests from an array in guest memory in order, until one fails. Arguments: array, count, where the number done goes, domain. */
	private batch(
		call: HypercallContext,
		bytes: number,
		perform: (view: DataView, at: number, list: VmEventField[] | undefined) => number,
	): HypercallResult {
		const { memory } = call;
		const { tables } = this.hypervisor;
		let address = call.long(0);
		const asked = call.int(1);
		const doneAt = call.long(2);
		let count = asked & ~GOES_ON;
		let done = 0;
		if (asked & GOES_ON) {
			if (count === 0) return failure("EINVAL");
			done = (doneAt !== 0n && memory.view(doneAt, 4)?.getUint32(0, true)) || 0;
		}
		const list: VmEventField[] = [];
		call.note("requests", count);
		const start = tables.work;
		let result = 0;
		for (let request = 0; count > 0; request++) {
			if (request >= PORTION_REQUESTS || tables.work - start > PORTION_WORK) {
				call.continuation = [address, BigInt((count | GOES_ON) >>> 0), doneAt, call.long(3)];
				break;
			}
			const view = memory.view(address, bytes);
			result = view === undefined ? failure("EFAULT") : perform(view, 0, request < LOGGED ? list : undefined);
			if (result < 0) break;
			address += BigInt(bytes);
			count--;
			done++;
		}
		if (list.length > 0) call.note("list", list);
		if (doneAt !== 0n && !memory.writeWords(doneAt, 4, done) && result === 0) result = failure("EFAULT");
		if (result < 0) call.continuation = undefined;
		return result;
	}

	/** The domain whose frames a request of the caller may name. */
	private foreign(caller: Domain, id: number): Domain | undefined {
		const domain = this.hypervisor.domainOf(caller, id);
		return domain === caller || caller.privileged ? domain : undefined;
	}

	private update(call: HypercallContext, view: DataView, at: number, list: VmEventField[] | undefined): number {
		const { domain } = call;
		const { tables, frames, memory } = this.hypervisor;
		const low = view.getUint32(at, true);
		const command = low & 3;
		const frameNumber = view.getBigUint64(at, true) >> 12n;
		const valueLow = view.getInt32(at + 8, true);
		const valueHigh = view.getInt32(at + 12, true);
		list?.push({
			name: UPDATE_NAMES[command]!,
			value: [
				{ name: "pointer", value: view.getBigUint64(at, true) & ~3n },
				{ name: "value", value: view.getBigUint64(at + 8, true) },
			],
		});
		if (frameNumber >= BigInt(memory.frames)) return failure("EINVAL");
		const frame = Number(frameNumber);
		const asked = call.int(3);
		const tableOwner = asked >>> 16 ? this.foreign(domain, (asked >>> 16) - 1) : domain;
		const named = asked & 0xffff;
		const pageOwner = named === Domid.io ? domain : this.foreign(domain, named);
		if (tableOwner === undefined || pageOwner === undefined) return failure("ESRCH");
		if (command === 1) {
			if (!tables.getPage(frame, pageOwner.id)) return failure("EINVAL");
			this.hypervisor.setPhysical(pageOwner, frame, valueHigh === 0 ? valueLow : -1);
			tables.putPage(frame);
			return 0;
		}
		if (command === 3) return failure("ENOSYS");
		if (!tables.getPage(frame, tableOwner.id)) return failure("EINVAL");
		const index = (low & 0xff8) >> 3;
		let result: number;
		if (isTable(frames.type[frame]!) && frames.typeCount[frame]! > 0)
			result = tables.changeEntry(frame, index, valueLow, valueHigh, tableOwner, pageOwner.id, command === 2);
		else {
			result = tables.getType(frame, PageType.writable);
			if (result === 0) {
				memory.writeEntry(frame, index, valueLow, valueHigh);
				tables.putType(frame);
			}
		}
		tables.putPage(frame);
		return result;
	}

	private readExtended(wide: boolean, view: DataView, at: number): Extended {
		const command = view.getUint32(at, true);
		if (wide) return { command, first: view.getBigUint64(at + 8, true), second: view.getBigUint64(at + 16, true) };
		return { command, first: BigInt(view.getUint32(at + 4, true)), second: BigInt(view.getUint32(at + 8, true)) };
	}

	private extended(call: HypercallContext, view: DataView, at: number, list: VmEventField[] | undefined): number {
		const { hypervisor } = this;
		const { tables, memory } = hypervisor;
		const { domain } = call;
		const { command, first, second } = this.readExtended(domain.wide, view, at);
		list?.push({ name: EXTENDED_NAMES[command] ?? `command ${command}`, value: first });
		const { paging } = hypervisor.host.processor.core;
		const owner = this.foreign(domain, call.int(3));
		if (owner === undefined) return failure("ESRCH");
		const frame = first < BigInt(memory.frames) ? Number(first) : -1;
		switch (command) {
			case 0:
			case 1:
			case 2:
			case 3:
				if (frame < 0 || (command === 3 && !owner.wide)) return failure("EINVAL");
				return tables.pin(frame, owner, PIN_TYPES[command]!);
			case 4:
				return tables.unpin(frame, owner.id);
			case 5:
				return owner === domain ? hypervisor.loadGuestRoot(domain, frame) : failure("EPERM");
			case 6:
			case 8:
			case 10:
				paging.flush();
				return 0;
			case 7:
			case 9:
			case 11:
				if (isCanonicalAddress(first)) this.flushPage(first);
				return 0;
			case 12:
			case 18:
				// No cache is modelled; only a domain with devices has a use for it.
				return domain.privileged ? 0 : failure("EACCES");
			case 13: {
				const entries = Number(second);
				if (first & 0xfffn || entries > 8192 || !isCanonicalAddress(first)) return failure("EINVAL");
				hypervisor.unmapLocalDescriptorTable(domain);
				domain.vcpu.ldtBase = first;
				domain.vcpu.ldtEntries = entries;
				hypervisor.control.loadLocalDescriptorTable(entries);
				return 0;
			}
			case 15:
				return this.newUserRoot(domain, frame, first);
			case 16:
			case 17: {
				const source = command === 17 ? (second < BigInt(memory.frames) ? Number(second) : -1) : undefined;
				if (source !== undefined && !tables.getPage(source, owner.id)) return failure("EINVAL");
				const result = tables.getPageAndType(frame, owner.id, PageType.writable);
				tables.work += PAGE_WORK;
				if (result === 0) {
					if (source === undefined) memory.clear(frame);
					else memory.copy(source, frame);
					tables.putPageAndType(frame);
				}
				if (source !== undefined) tables.putPage(source);
				return result;
			}
			default:
				return failure("ENOSYS");
		}
	}

	private newUserRoot(domain: Domain, frame: number, asked: bigint): number {
		const { hypervisor } = this;
		if (!domain.wide) return failure("EOPNOTSUPP");
		if (asked !== 0n) return hypervisor.loadGuestRoot(domain, frame, true);
		const old = domain.vcpu.userRoot;
		domain.vcpu.userRoot = -1;
		if (old >= 0) hypervisor.tables.putPageAndType(old);
		return 0;
	}

	private flushPage(address: bigint): void {
		const high = Number(BigInt.asIntN(32, address >> 32n));
		this.hypervisor.host.processor.core.paging.flushPage(Number(BigInt.asIntN(32, address)), high);
	}

	/** One entry of a level-1 table, by the address that it maps. */
	private updateMapping(call: HypercallContext, foreign: number): HypercallResult {
		const { hypervisor } = this;
		const { tables, memory, frames } = hypervisor;
		const { domain } = call;
		const address = call.long(0);
		const value = domain.wide ? call.long(1) : call.long(1) | (call.long(2) << 32n);
		const flags = call.int(domain.wide ? 2 : 3);
		call.note("address", address);
		call.note("value", value);
		const owner = foreign === Domid.io ? domain : this.foreign(domain, foreign);
		if (owner === undefined) return failure("ESRCH");
		if (!isCanonicalAddress(address)) return failure("EINVAL");
		const leaf = findLeaf(memory, hypervisor.control.state.i32[State.cr3 >> 2]! >>> 12, address);
		if (leaf === undefined) return failure("EINVAL");
		const [frame, index] = leaf;
		if (frames.owner[frame] !== domain.id || frames.type[frame] !== PageType.l1) return failure("EINVAL");
		const low = Number(BigInt.asIntN(32, value));
		const high = Number(BigInt.asIntN(32, value >> 32n));
		const result = tables.changeEntry(frame, index, low, high, domain, owner.id);
		if ((flags & 3) === FLUSH_ALL) hypervisor.host.processor.core.paging.flush();
		else if ((flags & 3) === FLUSH_PAGE) this.flushPage(address);
		return result;
	}
}

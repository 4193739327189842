// memory_op (memory.h): reservations within the domain's quota, which is how a balloon works; the machine-to-physical table; the
// memory map. vm_assist (xen.h).

import { failure } from "../domain.ts";
import type { HypercallContext, HypercallHandler, HypercallResult } from "../hypercall.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { FrameFlag } from "../memory/frame-table.ts";
import { COMPAT_VIRT_END, COMPAT_VIRT_START, HYPERVISOR_VIRT_START, type HypercallName } from "../xen-abi.ts";

/** The command is in the low bits, the first extent that is left to do above them. */
const COMMAND_BITS = 6;
const EXTENTS_AT_ONCE = 4096;
const MAP_ENTRY_BYTES = 20;
const NAMES: Readonly<Record<number, string>> = {
	0: "increase_reservation",
	1: "decrease_reservation",
	2: "maximum_ram_page",
	3: "current_reservation",
	4: "maximum_reservation",
	5: "machphys_mfn_list",
	6: "populate_physmap",
	9: "memory_map",
	10: "machine_memory_map",
	11: "exchange",
	12: "machphys_mapping",
	14: "maximum_gpfn",
};
/** vm_assist types that may be on: those that do nothing here, and those that are on anyway. */
const ASSISTS = [0, 1, 2, 3, 4, 5];

/** struct xen_memory_reservation */
interface Reservation {
	readonly extents: bigint;
	readonly count: number;
	readonly order: number;
	readonly domain: number;
}

export class MemoryHypercalls {
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		memory_op: (call) => this.operation(call),
		vm_assist: (call) => {
			const type = call.int(1);
			if (!ASSISTS.includes(type)) return failure("EINVAL");
			call.note(call.int(0) === 0 ? "enable" : "disable", type);
			if (call.int(0) === 0) call.domain.assists |= 1 << type;
			else if (call.int(0) === 1) call.domain.assists &= ~(1 << type);
			else return failure("ENOSYS");
			return 0;
		},
	};

	constructor(private readonly hypervisor: Hypervisor) {}

	private operation(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain, memory } = call;
		const size = domain.longBytes;
		const command = call.int(0) & ((1 << COMMAND_BITS) - 1);
		const start = call.int(0) >>> COMMAND_BITS;
		const at = call.long(1);
		call.note("command", NAMES[command] ?? command);
		switch (command) {
			case 0:
			case 1:
			case 6:
				return this.reservation(call, command, start);
			case 2:
				return hypervisor.memory.frames - 1;
			case 3:
			case 4:
			case 14: {
				const view = memory.view(at, 2);
				if (view === undefined) return failure("EFAULT");
				const named = hypervisor.domainOf(domain, view.getUint16(0, true));
				if (named === undefined) return failure("ESRCH");
				if (named !== domain && !domain.privileged) return failure("EPERM");
				if (command === 14) return named.physicalToMachine.length - 1;
				return command === 3 ? named.pages : named.maximumPages;
			}
			case 9:
				return this.memoryMap(call, [[0, domain.maximumPages * 4096, 1]]);
			case 10: {
				if (!domain.privileged) return failure("EPERM");
				const bytes = hypervisor.memory.frames * 4096;
				return this.memoryMap(call, [
					[0, 0x9fc00, 1],
					[0x9fc00, 0x60400, 2],
					[0x100000, bytes - 0x100000, 1],
				]);
			}
			case 12: {
				const [first, end] = domain.wide
					? [HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_START + BigInt(hypervisor.memory.frames * 8)]
					: [BigInt(COMPAT_VIRT_START), BigInt(COMPAT_VIRT_END)];
				const last = hypervisor.memory.frames - 1;
				return memory.writeWords(at, size, first, end, last) ? 0 : failure("EFAULT");
			}
			default:
				return failure("ENOSYS");
		}
	}

	private readReservation(call: HypercallContext): Reservation | undefined {
		const { wide } = call.domain;
		const view = call.memory.view(call.long(1), wide ? 32 : 20);
		if (view === undefined) return undefined;
		const at = wide ? 16 : 8;
		return {
			extents: wide ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true)),
			count: wide ? Number(view.getBigUint64(8, true) & 0xffffffffn) : view.getUint32(4, true),
			order: view.getUint32(at, true),
			domain: view.getUint16(at + 8, true),
		};
	}

	/** Returns the number of extents done. */
	private reservation(call: HypercallContext, command: number, start: number): HypercallResult {
		const { hypervisor } = this;
		const { memory } = call;
		const asked = this.readReservation(call);
		if (asked === undefined) return failure("EFAULT");
		const named = hypervisor.domainOf(call.domain, asked.domain);
		if (named === undefined) return failure("ESRCH");
		if (named !== call.domain && !call.domain.privileged) return failure("EPERM");
		call.note("extents", asked.count);
		call.note("order", asked.order);
		// Frames of a higher order would have to lie side by side: none are promised.
		if (asked.order !== 0) return start;
		const size = call.domain.longBytes;
		let done = start;
		for (; done < asked.count; done++) {
			if (done - start >= EXTENTS_AT_ONCE) {
				call.continuation = [BigInt((command | (done << COMMAND_BITS)) >>> 0)];
				return done;
			}
			const extent = asked.extents + BigInt(done * size);
			const value = asked.extents === 0n && command === 0 ? 0n : memory.readLong(extent);
			if (value === undefined) break;
			if (command === 1) {
				if (!this.give(named.id, value)) break;
				continue;
			}
			const frame = hypervisor.allocate(named);
			if (frame < 0) break;
			if (command === 6)
				hypervisor.setPhysical(named, frame, value < BigInt(hypervisor.memory.frames * 4) ? Number(value) : -1);
			if (asked.extents !== 0n && !memory.writeWords(extent, size, frame)) {
				this.give(named.id, BigInt(frame));
				break;
			}
		}
		return done;
	}

	/** The domain no longer has the frame; it is free once nothing maps it any more. */
	private give(owner: number, value: bigint): boolean {
		const { frames, tables, memory } = this.hypervisor;
		if (value >= BigInt(memory.frames)) return false;
		const frame = Number(value);
		if (!tables.getPage(frame, owner)) return false;
		const own = frames.has(frame, FrameFlag.allocated) && !frames.has(frame, FrameFlag.shared);
		if (own) {
			frames.clearFlag(frame, FrameFlag.allocated);
			tables.putPage(frame);
		}
		tables.putPage(frame);
		return own;
	}

	/** struct xen_memory_map: number of entries, buffer. Entries as in the BIOS's INT 15h AX=E820h. */
	private memoryMap(call: HypercallContext, ranges: readonly (readonly [number, number, number])[]): HypercallResult {
		const { domain, memory } = call;
		const view = memory.view(call.long(1), domain.wide ? 16 : 8);
		if (view === undefined) return failure("EFAULT");
		const room = view.getUint32(0, true);
		const buffer = domain.wide ? view.getBigUint64(8, true) : BigInt(view.getUint32(4, true));
		const count = Math.min(room, ranges.length);
		const bytes = new Uint8Array(count * MAP_ENTRY_BYTES);
		const map = new DataView(bytes.buffer);
		ranges.slice(0, count).forEach(([base, length, type], index) => {
			map.setBigUint64(index * MAP_ENTRY_BYTES, BigInt(base), true);
			map.setBigUint64(index * MAP_ENTRY_BYTES + 8, BigInt(length), true);
			map.setUint32(index * MAP_ENTRY_BYTES + 16, type, true);
		});
		if (!memory.write(buffer, bytes) || !memory.writeWords(call.long(1), 4, count)) return failure("EFAULT");
		return 0;
	}
}

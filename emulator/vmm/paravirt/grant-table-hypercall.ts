// HYPERVISOR_grant_table_op: arrays of structures in guest memory, and their words for the hypercall log.
// Reference: Xen public header grant_table.h. The layouts differ between 32- and 64-bit guests only where a pointer or a frame
// number stands in them.

import type { VmEventField } from "../../machine/vm-events.ts";
import { type CopySide, GrantStatus, type GrantTables, MOST_GRANT_FRAMES } from "./grant-tables.ts";
import { GuestStructure, type HypercallMemory } from "./hypercall-memory.ts";
import { Errno } from "./xen-abi.ts";

const operationNames = [
	"map_grant_ref",
	"unmap_grant_ref",
	"setup_table",
	"dump_table",
	"transfer",
	"copy",
	"query_size",
	"unmap_and_replace",
	"set_version",
	"get_status_frames",
	"get_version",
	"swap_grant_ref",
	"cache_flush",
];
/** Deviation: the hypervisor that the header belongs to takes any count, in portions; here one call does at most so many. */
const MOST_ELEMENTS = 0x4000;
const COPY_SOURCE_REFERENCE = 1;
const COPY_DESTINATION_REFERENCE = 2;

interface Call {
	readonly tables: GrantTables;
	readonly caller: number;
	readonly wordBytes: 4 | 8;
	readonly memory: HypercallMemory;
}

type Element = (call: Call, view: DataView) => number;

const element: Readonly<Record<number, { readonly bytes: (wordBytes: 4 | 8) => number; readonly perform: Element }>> = {
	0: {
		bytes: () => 32,
		perform: ({ tables, caller }, view) => {
			const address = view.getBigUint64(0, true);
			const result = tables.map(
				caller,
				view.getUint16(16, true),
				view.getUint32(12, true),
				view.getUint32(8, true),
				address,
			);
			view.setInt16(18, result.status, true);
			if (result.handle === undefined) return 0;
			view.setUint32(20, result.handle, true);
			view.setBigUint64(24, BigInt(result.frame!) << 12n, true);
			return 0;
		},
	},
	1: {
		bytes: () => 24,
		perform: ({ tables, caller }, view) => {
			const handle = view.getUint32(16, true);
			const status = tables.unmap(caller, handle, view.getBigUint64(0, true), view.getBigUint64(8, true));
			view.setInt16(20, status, true);
			return 0;
		},
	},
	2: { bytes: (wordBytes) => (wordBytes === 4 ? 16 : 24), perform: setupTable },
	5: {
		bytes: (wordBytes) => (wordBytes === 4 ? 24 : 40),
		perform: ({ tables, caller, wordBytes }, view) => {
			const half = wordBytes === 4 ? 8 : 16;
			const flags = view.getUint16(2 * half + 2, true);
			const source = copySide(view, 0, wordBytes, (flags & COPY_SOURCE_REFERENCE) !== 0);
			const destination = copySide(view, half, wordBytes, (flags & COPY_DESTINATION_REFERENCE) !== 0);
			const status = tables.copy(caller, source, destination, view.getUint16(2 * half, true));
			view.setInt16(2 * half + 4, status, true);
			return 0;
		},
	},
	6: {
		bytes: () => 16,
		perform: ({ tables, caller }, view) => {
			const found = tables.size(caller, view.getUint16(0, true));
			view.setInt16(12, typeof found === "number" ? found : GrantStatus.okay, true);
			if (typeof found === "number") return 0;
			view.setUint32(4, found.frames, true);
			view.setUint32(8, MOST_GRANT_FRAMES, true);
			return 0;
		},
	},
	8: {
		bytes: () => 4,
		perform: (_call, view) => {
			const wanted = view.getUint32(0, true);
			view.setUint32(0, 1, true);
			// Version 2 is not there: kernels go on with version 1.
			return wanted === 1 ? 0 : wanted === 2 ? -Errno.ENOSYS : -Errno.EINVAL;
		},
	},
	10: {
		bytes: () => 8,
		perform: (_call, view) => {
			view.setUint32(4, 1, true);
			return 0;
		},
	},
};

function setupTable({ tables, caller, wordBytes, memory }: Call, view: DataView): number {
	const frames = tables.setup(caller, view.getUint16(0, true), view.getUint32(4, true));
	view.setInt16(8, typeof frames === "number" ? frames : GrantStatus.okay, true);
	if (typeof frames === "number") return 0;
	const list = new DataView(new ArrayBuffer(frames.length * wordBytes));
	frames.forEach((frame, i) => {
		if (wordBytes === 4) list.setUint32(4 * i, frame, true);
		else list.setBigUint64(8 * i, BigInt(frame), true);
	});
	const pointer = wordBytes === 4 ? BigInt(view.getUint32(12, true)) : view.getBigUint64(16, true);
	if (frames.length > 0 && !memory.write(pointer, new Uint8Array(list.buffer))) return -Errno.EFAULT;
	return 0;
}

function copySide(view: DataView, offset: number, wordBytes: 4 | 8, isReference: boolean): CopySide {
	const page = wordBytes === 8 && !isReference ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true);
	const domain = view.getUint16(offset + wordBytes, true);
	return { domain, isReference, page, offset: view.getUint16(offset + wordBytes + 2, true) };
}

/** GNTTABOP_transfer, unmap_and_replace, dump_table, get_status_frames, swap_grant_ref and cache_flush are not there: -ENOSYS. */
export function grantTableOperation(
	tables: GrantTables,
	caller: number,
	wordBytes: 4 | 8,
	command: number,
	argument: bigint,
	count: number,
	memory: HypercallMemory,
): number {
	const operation = element[command];
	if (!operation) return -Errno.ENOSYS;
	if (count > MOST_ELEMENTS) return -Errno.E2BIG;
	const call = { tables, caller, wordBytes, memory };
	const bytes = operation.bytes(wordBytes);
	for (let i = 0; i < count; i++) {
		const structure = GuestStructure.read(memory, argument + BigInt(i * bytes), bytes);
		if (!structure) return -Errno.EFAULT;
		const result = operation.perform(call, structure.view);
		if (!structure.store()) return -Errno.EFAULT;
		if (result !== 0) return result;
	}
	return 0;
}

/** Elements of a batch that are decoded for the log. */
const MOST_DESCRIBED = 16;

/** Words for the hypercall log. */
export function describeGrantTableOperation(
	wordBytes: 4 | 8,
	command: number,
	argument: bigint,
	count: number,
	memory: HypercallMemory,
): readonly VmEventField[] {
	const fields: VmEventField[] = [
		{ name: "command", value: operationNames[command] ?? command },
		{ name: "count", value: count },
	];
	const bytes = element[command]?.bytes(wordBytes);
	for (let i = 0; bytes !== undefined && i < Math.min(count, MOST_DESCRIBED); i++) {
		const structure = GuestStructure.read(memory, argument + BigInt(i * bytes), bytes);
		if (!structure) break;
		const decoded = describeElement(command, wordBytes, structure.view);
		if (decoded.length > 0) fields.push({ name: `${i}`, value: decoded });
	}
	return fields;
}

function describeElement(command: number, wordBytes: 4 | 8, view: DataView): VmEventField[] {
	switch (command) {
		case 0:
			return [
				{ name: "dom", value: view.getUint16(16, true) },
				{ name: "ref", value: view.getUint32(12, true) },
				{ name: "flags", value: view.getUint32(8, true) },
				{ name: "host_addr", value: view.getBigUint64(0, true) },
			];
		case 1:
			return [
				{ name: "handle", value: view.getUint32(16, true) },
				{ name: "host_addr", value: view.getBigUint64(0, true) },
			];
		case 2:
			return [
				{ name: "dom", value: view.getUint16(0, true) },
				{ name: "nr_frames", value: view.getUint32(4, true) },
			];
		case 5: {
			const half = wordBytes === 4 ? 8 : 16;
			const flags = view.getUint16(2 * half + 2, true);
			const side = (name: string, offset: number, reference: boolean): VmEventField => {
				const { domain, page, offset: within } = copySide(view, offset, wordBytes, reference);
				return { name, value: `domain ${domain} ${reference ? "ref" : "frame"} ${page} + ${within}` };
			};
			return [
				side("source", 0, (flags & COPY_SOURCE_REFERENCE) !== 0),
				side("dest", half, (flags & COPY_DESTINATION_REFERENCE) !== 0),
				{ name: "len", value: view.getUint16(2 * half, true) },
			];
		}
		default:
			return [];
	}
}

// HYPERVISOR_event_channel_op: its structures in guest memory, and their words for the hypercall log.
// Reference: Xen public header event_channel.h.

import type { VmEventField } from "../../machine/vm-events.ts";
import type { EventChannels } from "./event-channels.ts";
import { GuestStructure, type HypercallMemory } from "./hypercall-memory.ts";
import { Domid, Errno } from "./xen-abi.ts";

interface Operation {
	readonly name: string;
	/** Bytes of its structure. */
	readonly bytes: number;
	/** Input fields: name, offset, bytes. */
	readonly inputs: readonly (readonly [string, number, 2 | 4])[];
	/** Where the port that a positive result names is stored. */
	readonly portAt?: number;
	perform(channels: EventChannels, caller: number, view: DataView): number;
}

const dword = (view: DataView, offset: number) => view.getUint32(offset, true);
const word = (view: DataView, offset: number) => view.getUint16(offset, true);

const operations: Readonly<Record<number, Operation>> = {
	0: {
		name: "bind_interdomain",
		bytes: 12,
		inputs: [
			["remote_dom", 0, 2],
			["remote_port", 4, 4],
		],
		portAt: 8,
		perform: (channels, caller, view) => channels.bindInterdomain(caller, word(view, 0), dword(view, 4)),
	},
	1: {
		name: "bind_virq",
		bytes: 12,
		inputs: [
			["virq", 0, 4],
			["vcpu", 4, 4],
		],
		portAt: 8,
		perform: (channels, caller, view) => channels.bindVirq(caller, dword(view, 0), dword(view, 4)),
	},
	2: {
		name: "bind_pirq",
		bytes: 12,
		inputs: [
			["pirq", 0, 4],
			["flags", 4, 4],
		],
		portAt: 8,
		perform: (channels, caller, view) => channels.bindPirq(caller, dword(view, 0)),
	},
	3: {
		name: "close",
		bytes: 4,
		inputs: [["port", 0, 4]],
		perform: (channels, caller, view) => channels.close(caller, dword(view, 0)),
	},
	4: {
		name: "send",
		bytes: 4,
		inputs: [["port", 0, 4]],
		perform: (channels, caller, view) => channels.send(caller, dword(view, 0)),
	},
	5: {
		name: "status",
		bytes: 24,
		inputs: [
			["dom", 0, 2],
			["port", 4, 4],
		],
		perform: (channels, caller, view) => {
			const found = channels.status(caller, word(view, 0), dword(view, 4));
			if (typeof found === "number") return found;
			view.setUint32(8, found.status, true);
			view.setUint32(12, 0, true);
			if (found.remote !== undefined) view.setUint16(16, found.remote, true);
			if (found.remotePort !== undefined) view.setUint32(20, found.remotePort, true);
			if (found.line !== undefined) view.setUint32(16, found.line, true);
			return 0;
		},
	},
	6: {
		name: "alloc_unbound",
		bytes: 8,
		inputs: [
			["dom", 0, 2],
			["remote_dom", 2, 2],
		],
		portAt: 4,
		perform: (channels, caller, view) => channels.allocateUnbound(caller, word(view, 0), word(view, 2)),
	},
	7: {
		name: "bind_ipi",
		bytes: 8,
		inputs: [["vcpu", 0, 4]],
		portAt: 4,
		perform: (channels, caller, view) => channels.bindIpi(caller, dword(view, 0)),
	},
	8: {
		name: "bind_vcpu",
		bytes: 8,
		inputs: [
			["port", 0, 4],
			["vcpu", 4, 4],
		],
		perform: (channels, caller, view) => channels.bindVcpu(caller, dword(view, 0), dword(view, 4)),
	},
	9: {
		name: "unmask",
		bytes: 4,
		inputs: [["port", 0, 4]],
		perform: (channels, caller, view) => channels.unmask(caller, dword(view, 0)),
	},
	10: {
		name: "reset",
		bytes: 2,
		inputs: [["dom", 0, 2]],
		perform: (channels, caller, view) => {
			const domain = word(view, 0);
			return domain === Domid.self || domain === caller ? channels.reset(caller) : -Errno.EPERM;
		},
	},
};

/** The FIFO ABI's operations are not there; kernels that get -ENOSYS stay with two levels. */
export function eventChannelOperation(
	channels: EventChannels,
	caller: number,
	command: number,
	argument: bigint,
	memory: HypercallMemory,
): number {
	const operation = operations[command];
	if (!operation) return -Errno.ENOSYS;
	const structure = GuestStructure.read(memory, argument, operation.bytes);
	if (!structure) return -Errno.EFAULT;
	const result = operation.perform(channels, caller, structure.view);
	if (result < 0) return result;
	if (operation.portAt !== undefined) {
		structure.view.setUint32(operation.portAt, result, true);
		if (!structure.store()) {
			channels.close(caller, result);
			return -Errno.EFAULT;
		}
	} else if (operation.name === "status" && !structure.store()) return -Errno.EFAULT;
	return 0;
}

/** Words for the hypercall log. */
export function describeEventChannelOperation(
	command: number,
	argument: bigint,
	memory: HypercallMemory,
): readonly VmEventField[] {
	const operation = operations[command];
	if (!operation) return [{ name: "command", value: command }];
	const structure = GuestStructure.read(memory, argument, operation.bytes);
	const fields: VmEventField[] = [{ name: "command", value: operation.name }];
	for (const [name, offset, bytes] of structure ? operation.inputs : [])
		fields.push({ name, value: bytes === 2 ? word(structure!.view, offset) : dword(structure!.view, offset) });
	return fields;
}

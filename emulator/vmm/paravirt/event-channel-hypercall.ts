// HYPERVISOR_event_channel_op: its structures in guest memory, and their words for the hypercall log.
// Reference: Xen public header event_channel.h.

import type { VmEventField } from "../../machine/vm-events.ts";
import type { EventChannels } from "./event-channels.ts";
import { GuestStructure, type HypercallMemory } from "./hypercall-memory.ts";
import { Domid, Errno } from "./xen-abi.ts";

type Input = readonly [name: string, offset: number, bytes: 2 | 4];

interface Operation {
	readonly name: string;
	/** Bytes of its structure. */
	readonly bytes: number;
	readonly inputs: readonly Input[];
	/** Where the port that a positive result names is stored. */
	readonly portAt: number | undefined;
	/** @param inputs their values, in order. @param view the structure, for results beyond the port. */
	perform(channels: EventChannels, caller: number, inputs: readonly number[], view: DataView): number;
}

const numberOf = (view: DataView, [, offset, bytes]: Input) =>
	bytes === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true);

/** An operation whose result is a port, stored behind its inputs. */
function binding(name: string, bytes: number, inputs: readonly Input[], perform: Operation["perform"]): Operation {
	return { name, bytes, inputs, portAt: bytes - 4, perform };
}

function command(name: string, bytes: number, inputs: readonly Input[], perform: Operation["perform"]): Operation {
	return { name, bytes, inputs, portAt: undefined, perform };
}

const PORT: Input = ["port", 0, 4];

/** By the number of the command. */
const operations: readonly Operation[] = [
	binding(
		"bind_interdomain",
		12,
		[
			["remote_dom", 0, 2],
			["remote_port", 4, 4],
		],
		(channels, caller, [domain, port]) => channels.bindInterdomain(caller, domain!, port!),
	),
	binding(
		"bind_virq",
		12,
		[
			["virq", 0, 4],
			["vcpu", 4, 4],
		],
		(channels, caller, [virq, vcpu]) => channels.bindVirq(caller, virq!, vcpu!),
	),
	binding(
		"bind_pirq",
		12,
		[
			["pirq", 0, 4],
			["flags", 4, 4],
		],
		(channels, caller, [line]) => channels.bindPirq(caller, line!),
	),
	command("close", 4, [PORT], (channels, caller, [port]) => channels.close(caller, port!)),
	command("send", 4, [PORT], (channels, caller, [port]) => channels.send(caller, port!)),
	command(
		"status",
		24,
		[
			["dom", 0, 2],
			["port", 4, 4],
		],
		(channels, caller, [domain, port], view) => {
			const found = channels.status(caller, domain!, port!);
			if (typeof found === "number") return found;
			view.setUint32(8, found.status, true);
			view.setUint32(12, 0, true);
			if (found.remote !== undefined) view.setUint16(16, found.remote, true);
			if (found.remotePort !== undefined) view.setUint32(20, found.remotePort, true);
			if (found.line !== undefined) view.setUint32(16, found.line, true);
			return 0;
		},
	),
	binding(
		"alloc_unbound",
		8,
		[
			["dom", 0, 2],
			["remote_dom", 2, 2],
		],
		(channels, caller, [domain, remote]) => channels.allocateUnbound(caller, domain!, remote!),
	),
	binding("bind_ipi", 8, [["vcpu", 0, 4]], (channels, caller, [vcpu]) => channels.bindIpi(caller, vcpu!)),
	command("bind_vcpu", 8, [PORT, ["vcpu", 4, 4]], (channels, caller, [port, vcpu]) =>
		channels.bindVcpu(caller, port!, vcpu!),
	),
	command("unmask", 4, [PORT], (channels, caller, [port]) => channels.unmask(caller, port!)),
	command("reset", 2, [["dom", 0, 2]], (channels, caller, [domain]) =>
		domain === Domid.self || domain === caller ? channels.reset(caller) : -Errno.EPERM,
	),
];

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
	const { view } = structure;
	const inputs = operation.inputs.map((input) => numberOf(view, input));
	const result = operation.perform(channels, caller, inputs, view);
	if (result < 0) return result;
	if (operation.portAt !== undefined) {
		view.setUint32(operation.portAt, result, true);
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
	if (!structure) return fields;
	return [...fields, ...operation.inputs.map((input) => ({ name: input[0], value: numberOf(structure.view, input) }))];
}

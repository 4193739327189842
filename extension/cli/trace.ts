// `--trace EVENTS`: each VM event as one line on standard error, in the order in which they happen.

import { MachineError, type VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { type VmEvent, type VmEventField, type VmEventKind, vmEventKinds } from "../../emulator/machine/vm-events.ts";

/** @throws {MachineError} for a word that is no kind of event. */
export function traceKinds(words: readonly string[]): ReadonlySet<VmEventKind> {
	const kinds = new Set<VmEventKind>();
	for (const word of words) {
		if (word === "all") for (const kind of vmEventKinds) kinds.add(kind);
		else if ((vmEventKinds as readonly string[]).includes(word)) kinds.add(word as VmEventKind);
		else throw new MachineError(`--trace: there are no events "${word}": choose of ${vmEventKinds.join(",")} or all.`);
	}
	return kinds;
}

function fieldText({ name, value }: VmEventField): string {
	if (typeof value === "object") return `${name} [${value.map(fieldText).join("; ")}]`;
	return `${name} ${typeof value === "string" ? value : `0x${value.toString(16)}`}`;
}

/** "120533 exit CPUID at 0x100080: leaf 0x1" */
export function traceLine({ instructionCount, kind, reason, instruction, detail }: VmEvent): string {
	const place = instruction === undefined ? "" : ` at 0x${instruction.toString(16)}`;
	const fields = detail.length === 0 ? "" : `: ${detail.map(fieldText).join(", ")}`;
	return `${instructionCount} ${kind} ${reason}${place}${fields}`;
}

/** @throws {MachineError} when the machine has no events. */
export function trace(machine: VirtualMachine, kinds: ReadonlySet<VmEventKind>, write: (line: string) => void): void {
	if (kinds.size === 0) return;
	if (!machine.events) throw new MachineError(`--trace: there are no events under "${machine.technique}".`);
	machine.events.onEvent((event) => {
		if (kinds.has(event.kind)) write(traceLine(event));
	});
}

// What user code can see is the same under binary translation as on the bare machine: at every system call of the sample the
// user's registers and all of its writable memory are compared.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Processor, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { root } from "../tools/command-line.ts";
import { symbolAddress } from "../tools/image-symbols.ts";

const image = join(root, "extension/samples/kernel32/kernel32.elf");
/** struct interrupt_frame of the sample (interrupts.h): words in order. */
const FRAME = [
	"gs",
	"fs",
	"es",
	"ds",
	"edi",
	"esi",
	"ebp",
	"unused",
	"ebx",
	"edx",
	"ecx",
	"eax",
	"vector",
	"error",
	"eip",
	"cs",
	"eflags",
	"esp",
	"ss",
];
const SYSTEM_CALL_VECTOR = 0x80;

/** Registers in the frame that `interrupt_dispatch` was called with, and a hash of the user's writable pages; undefined when it is no system call. */
function userState(processor: Processor): Record<string, string> | undefined {
	const stack = processor.readMemory({ space: "lin", value: processor.register("esp")! + 4n }, 4)!;
	const address = new DataView(stack.buffer, stack.byteOffset).getUint32(0, true);
	const frame = processor.readMemory({ space: "lin", value: BigInt(address) }, FRAME.length * 4)!;
	const view = new DataView(frame.buffer, frame.byteOffset);
	const words = Object.fromEntries(FRAME.map((name, index) => [name, view.getUint32(index * 4, true)]));
	if (words.vector !== SYSTEM_CALL_VECTOR || (words.cs! & 3) !== 3) return undefined;
	const hash = createHash("sha256");
	for (const mapping of processor.mappings("guest", 0n, 10_000)) {
		if (!mapping.user || !mapping.writable) continue;
		const length = Number(mapping.end - mapping.start);
		hash
			.update(`${mapping.start}:${length}`)
			.update(processor.readMemory({ space: "lin", value: mapping.start }, length)!);
	}
	const visible = FRAME.filter((name) => name !== "unused" && name !== "error").map((name) => [
		name,
		words[name]!.toString(16),
	]);
	return { ...Object.fromEntries(visible), memory: hash.digest("hex") };
}

function systemCalls(machine: VirtualMachine): Record<string, string>[] {
	machine.setExecutionBreakpoints([
		{ id: 1, address: { space: "lin", value: symbolAddress(image, "interrupt_dispatch") } },
	]);
	const found: Record<string, string>[] = [];
	for (;;) {
		const stop = machine.run(1_000_000);
		if (stop?.reason === "breakpoint") {
			const state = userState(machine.processors()[0]!);
			if (state) found.push(state);
		} else if (stop) {
			assert.equal(stop.reason, "debug-exit");
			return found;
		}
	}
}

test("the user's state is equal under none and bt at every system call", () => {
	const [none, bt] = (["none", "bt"] as const).map((vmm) =>
		systemCalls(createMachine({ vmm, memory: 32 << 20, image: { name: "kernel32.elf", bytes: readFileSync(image) } })),
	);
	assert.ok(none!.length > 50, `only ${none!.length} system calls`);
	for (const [index, state] of none!.entries()) assert.deepEqual(bt![index], state, `system call ${index}`);
	assert.equal(bt!.length, none!.length);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { words } from "./loaders/boot-state.ts";
import { NativeMachine } from "./native-machine.ts";

const LOAD = 0x100000;

/** A multiboot image whose code runs at LOAD + 0x20 in flat 32-bit protected mode. */
function machine(...code: number[]): NativeMachine {
	const header = words(0x1badb002, 1 << 16, -(0x1badb002 + (1 << 16)), LOAD, LOAD, 0, 0, LOAD + 0x20);
	const bytes = Uint8Array.from([...header, ...code]);
	return new NativeMachine({ vmm: "none", memory: 4 << 20, image: { name: "test", bytes } });
}

/** mov al, v; out 0xf4, al */
const exit = (value: number) => [0xb0, value, 0xe6, 0xf4];

test("a stop at an exception shows the instruction that caused it, and going on delivers it", () => {
	// nop; ud2 - without an IDT the exception ends in a triple fault.
	const vm = machine(0x90, 0x0f, 0x0b);
	vm.setEventFilters([{ id: 7, event: "exception", vector: 6 }]);
	const stop = vm.run(1000);
	assert.equal(stop?.reason, "event");
	assert.deepEqual(stop?.reason === "event" && stop.ids, [7]);
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), BigInt(LOAD + 0x21));
	assert.equal(vm.instructionCount(), 1);
	assert.equal(vm.run(1000)?.reason, "triple-fault");
});

test("a breakpoint stops before its instruction, once for each time it is reached", () => {
	// mov ecx, 3; L: inc edx; loop L; exit
	const vm = machine(0xb9, 3, 0, 0, 0, 0x42, 0xe2, 0xfd, ...exit(5));
	vm.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: BigInt(LOAD + 0x25) } }]);
	const seen: bigint[] = [];
	for (;;) {
		const stop = vm.run(1000);
		if (stop?.reason !== "breakpoint") {
			assert.deepEqual(stop, { reason: "debug-exit", value: 5 });
			break;
		}
		assert.deepEqual(stop.ids, [1]);
		seen.push(vm.processors()[0]!.register("edx")!);
	}
	assert.deepEqual(seen, [0n, 1n, 2n]);
});

test("a breakpoint where a budget ends is not lost", () => {
	for (const budget of [1, 2, 3, 5]) {
		const vm = machine(0xb9, 3, 0, 0, 0, 0x42, 0xe2, 0xfd, ...exit(5));
		vm.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: BigInt(LOAD + 0x25) } }]);
		const seen: bigint[] = [];
		for (;;) {
			const stop = vm.run(budget);
			if (stop?.reason === "debug-exit") break;
			if (stop?.reason === "breakpoint") seen.push(vm.processors()[0]!.register("edx")!);
		}
		assert.deepEqual(seen, [0n, 1n, 2n], `in pieces of ${budget}`);
	}
});

test("budgets are exact, and a run in pieces equals a run in one", () => {
	const code = [0xb9, 0xe8, 3, 0, 0, 0x40, 0x31, 0xc3, 0xe2, 0xfb, ...exit(0)];
	const whole = machine(...code);
	whole.run(1500);
	const pieces = machine(...code);
	for (let left = 1500, size = 1; left > 0; left -= size, size = Math.min(left, (size * 7) % 13 || 1)) {
		pieces.run(size);
	}
	assert.equal(whole.instructionCount(), 1500);
	assert.equal(pieces.instructionCount(), 1500);
	for (const name of ["eax", "ebx", "ecx", "eip", "eflags"]) {
		assert.equal(pieces.processors()[0]!.register(name), whole.processors()[0]!.register(name), name);
	}
	assert.equal(pieces.memoryHash(), whole.memoryHash());
});

test("a data breakpoint stops after the write with old and new value", () => {
	// mov dword [0x200000], 0x11223344; exit
	const vm = machine(0xc7, 0x05, 0, 0, 0x20, 0, 0x44, 0x33, 0x22, 0x11, ...exit(0));
	vm.setWatchpoints([{ id: 3, address: { space: "gpa", value: 0x200002n }, length: 1, access: "write" }]);
	const stop = vm.run(1000);
	assert.equal(stop?.reason, "watchpoint");
	if (stop?.reason === "watchpoint") {
		assert.equal(stop.id, 3);
		assert.equal(stop.oldValue, 0n);
		assert.equal(stop.newValue, 0x11223344n);
		assert.equal(stop.instruction, BigInt(LOAD + 0x20));
	}
	assert.equal(vm.instructionCount(), 1);
	assert.deepEqual(vm.run(1000), { reason: "debug-exit", value: 0 });
});

test("code that changes the instruction behind it runs the new one", () => {
	// mov byte [LOAD+0x29], 7 (7 bytes); mov al, 1 (at +0x27, its immediate at +0x28)
	const vm = machine(0xc6, 0x05, 0x28, 0, 0x10, 0, 7, 0xb0, 1, 0xe6, 0xf4);
	assert.deepEqual(vm.run(1000), { reason: "debug-exit", value: 7 });
});

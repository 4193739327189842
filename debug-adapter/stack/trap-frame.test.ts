import assert from "node:assert/strict";
import { test } from "node:test";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";
import { findTrapFrame } from "./trap-frame.ts";

/** A stack at 0x1000 with the words, lowest address first; code lies from 0x4000 to 0x5000. */
function search(words: readonly number[], framePointer?: bigint) {
	const machine = new ScriptedMachine();
	machine.vcpu.values.set("cs", 0x8n);
	const view = new DataView(machine.memory.buffer);
	words.forEach((word, index) => {
		view.setUint32(0x1000 + index * 4, word, true);
	});
	return findTrapFrame(machine.vcpu, 0x1000n, framePointer, (address) => address >= 0x4000n && address < 0x5000n);
}

test("a trap within the kernel: EIP, CS and EFLAGS on the same stack", () => {
	assert.deepEqual(search([1, 2, 3, 0x0e, 0x4123, 0x08, 0x246, 0x4999]), {
		instructionPointer: 0x4123n,
		codeSelector: 0x08n,
		stackPointer: 0x101cn,
		address: 0x1010n,
	});
});

test("a trap from user mode brings the user's stack pointer along", () => {
	assert.deepEqual(search([0, 0x6000, 0x1b, 0x202, 0x9ff0, 0x23]), {
		instructionPointer: 0x6000n,
		codeSelector: 0x1bn,
		stackPointer: 0x9ff0n,
		address: 0x1004n,
	});
});

test("words that only look alike are passed over", () => {
	// Flags with a reserved bit, without bit 1, a null selector, a selector that is not in use, an address that is no code.
	assert.equal(search([0x4000, 0x08, 0x248, 0x4000, 0x08, 0x244, 0x4000, 0, 0x202]), undefined);
	assert.equal(search([0x4000, 0x10, 0x202]), undefined);
	assert.equal(search([0x3000, 0x08, 0x202]), undefined);
	// A user's CS without a user's SS behind it.
	assert.equal(search([0x4000, 0x1b, 0x202, 0x9ff0, 0x10]), undefined);
});

test("what lies above the frame pointer belongs to frames farther out", () => {
	const words = [1, 2, 3, 4, 0x4123, 0x08, 0x246];
	assert.notEqual(search(words, 0x1010n), undefined);
	assert.equal(search(words, 0x1008n), undefined);
});

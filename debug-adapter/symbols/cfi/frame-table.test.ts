import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SymbolError } from "../errors.ts";
import { unwindRow } from "./call-frame-instructions.ts";
import { FrameTable } from "./frame-table.ts";
import { registerModel } from "./registers.ts";
import { isEndOfStack, unwindByCallFrameInformation } from "./unwinder.ts";

function u32(value: number): number[] {
	return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

function entry(id: number, body: readonly number[]): number[] {
	const padded = [...body, ...new Array((4 - (body.length % 4)) % 4).fill(0)];
	return [...u32(padded.length + 4), ...u32(id), ...padded];
}

/** A .debug_frame for i386 with one CIE and one FDE for 0x1000 to 0x1040. */
function frameSection(instructions: readonly number[], augmentation = ""): Uint8Array {
	const letters = [...new TextEncoder().encode(augmentation), 0];
	// Version 1; code alignment 1, data alignment -4, return address in column 8; CFA = esp + 4, eip at CFA - 4.
	const common = entry(0xffffffff, [1, ...letters, 1, 0x7c, 8, 0x0c, 4, 4, 0x88, 1]);
	return Uint8Array.from([...common, ...entry(0, [...u32(0x1000), ...u32(0x40), ...instructions])]);
}

function table(bytes: Uint8Array): FrameTable {
	return new FrameTable({ name: ".debug_frame", bytes, address: 0n }, "test", 4, () => true);
}

const model = registerModel("i386");

/** Memory whose word at an address is the address plus 1. */
function readMemory(address: bigint, length: number): Uint8Array {
	return Uint8Array.from({ length }, (_, i) => Number(((address + 1n) >> BigInt(8 * i)) & 0xffn));
}

function unwind(bytes: Uint8Array, pc: bigint) {
	const registers = new Map(model.names.map((_, number) => [number, 0x10000n * BigInt(number + 1)]));
	const description = table(bytes).at(pc);
	assert.ok(description);
	return unwindByCallFrameInformation(description, pc, registers, model, readMemory, (address) => address, "test");
}

/** push ebp; mov ebp, esp; then the body; leave at +0x30. */
const usual = [...[0x41, 0x0e, 8, 0x85, 2], ...[0x42, 0x0d, 5], ...[0x0a, 0x6d, 0xc5, 0x0c, 4, 4, 0x41, 0x0b]];

test("the rules of each instruction of a function", () => {
	const bytes = frameSection(usual);
	const cfa = (pc: bigint) => unwind(bytes, pc)!.cfa;
	assert.equal(cfa(0x1000n), 0x50004n);
	assert.equal(cfa(0x1001n), 0x50008n);
	assert.equal(cfa(0x1003n), 0x60008n);
	assert.equal(cfa(0x102fn), 0x60008n);
	assert.equal(cfa(0x1030n), 0x50004n);
	assert.equal(cfa(0x1031n), 0x60008n);
	const caller = unwind(bytes, 0x1010n)!;
	assert.equal(caller.returnAddress, 0x60005n);
	assert.equal(caller.registers.get(4), 0x60008n);
	assert.equal(caller.registers.get(5), 0x60001n);
	assert.equal(caller.registers.get(3), 0x40000n);
	// A callee may change eax, so its value in the caller is not known.
	assert.equal(caller.registers.get(0), undefined);
	assert.equal(caller.isSignalFrame, false);
	assert.equal(table(bytes).at(0xfffn), undefined);
	assert.equal(table(bytes).at(0x1040n), undefined);
});

test("expressions, other registers, undefined return addresses, signal frames", () => {
	const DW_OP_breg4 = 0x74;
	// CFA = *(esp + 8); ebx stored at CFA + 16; esi = CFA + 4; edi in ecx; eax kept.
	const rules = [0x0f, 3, DW_OP_breg4, 8, 0x06, 0x10, 3, 2, 0x23, 16, 0x16, 6, 2, 0x23, 4, 0x09, 7, 1, 0x08, 0];
	const caller = unwind(frameSection(rules, "S"), 0x1000n)!;
	assert.equal(caller.cfa, 0x50009n);
	assert.equal(caller.registers.get(3), 0x5001an);
	assert.equal(caller.registers.get(6), 0x5000dn);
	assert.equal(caller.registers.get(7), 0x20000n);
	assert.equal(caller.registers.get(0), 0x10000n);
	assert.equal(caller.isSignalFrame, true);
	const last = unwind(frameSection([0x07, 8]), 0x1000n)!;
	assert.equal(last.returnAddress, undefined);
	assert.equal(
		isEndOfStack(last, 0n, () => true),
		true,
	);
	assert.equal(
		isEndOfStack(caller, 0x60000n, () => true),
		false,
	);
	assert.equal(
		isEndOfStack({ ...caller, isSignalFrame: false }, 0x60000n, () => true),
		true,
	);
	assert.equal(
		isEndOfStack(caller, 0n, () => false),
		true,
	);
});

test("malformed call frame information is refused by a typed error", () => {
	const refuse = (instructions: number[], why: RegExp) =>
		assert.throws(
			() => unwind(frameSection(instructions), 0x1010n),
			(error) => error instanceof SymbolError && why.test(error.message),
		);
	refuse([0x0b], /restore a state that was not remembered/);
	refuse(new Array(80).fill(0x0a), /remember more states than are allowed/);
	refuse([0x3f], /unknown instruction 0x3f/);
	refuse([0x0f, 100], /is truncated|are truncated/);
	refuse([0x0f, 1, 0x96, 0x0e, 4], /change the offset of a CFA that has no register/);
	assert.throws(() => table(frameSection(usual, "w")).at(0x1000n), /unknown augmentation "w"/);
});

test("any bytes end in a row, nothing, or a typed error", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, isEh) => {
			const name = isEh ? ".eh_frame" : ".debug_frame";
			for (const section of [bytes, frameSection([...bytes])]) {
				try {
					const frames = new FrameTable({ name, bytes: section, address: 0x2000n }, "test", 4, () => true);
					const description = frames.at(0x1010n);
					if (description) unwindRow(description, 0x1010n, "test");
				} catch (error) {
					assert.ok(error instanceof SymbolError, String(error));
				}
			}
		}),
		{ numRuns: 1000 },
	);
});

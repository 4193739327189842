// A guest that pages by PAE, the same under every technique: A and D, NX, remapping, reserved bits, the PDPTE registers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine } from "../create-machine.ts";

const BASE = 0x100000;
const IMAGE_BYTES = 0x6000;
const CODE = 0x40;
const PAGE_FAULT = 0x800;
const PROTECTION = 0x880;
const GDT = 0xc00;
const POINTERS = 0x1000;
const DIRECTORY = 0x2000;
const TABLE = 0x3000;
const PAGE = 0x4000;
const IDT = 0x5000;
const RESULTS = 0x5800;
/** The linear address that the page table's first entry maps. */
const LINEAR = 0x200000;

const dword = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
const at = (offset: number): number[] => dword(BASE + offset);

// The code's few instructions.
const loadEax = (address: number) => [0xa1, ...dword(address)];
const storeImmediate = (address: number, value: number) => [0xc7, 0x05, ...dword(address), ...dword(value)];
/** mov %eax, (%ebx); add $4, %ebx */
const record = [0x89, 0x03, 0x83, 0xc3, 4];
const invalidate = [0x0f, 0x01, 0x3d, ...dword(LINEAR)];
const loadRoot = [0xb8, ...at(POINTERS), 0x0f, 0x22, 0xd8];

function program(): number[] {
	const code: number[] = [];
	const add = (...parts: readonly (readonly number[])[]): void => {
		for (const part of parts) code.push(...part);
	};
	/** The handlers go on behind the instruction: its address is in EDI. */
	const faulting = (instruction: readonly number[]): void =>
		add([0xbf, ...at(CODE + code.length + 5 + instruction.length)], instruction);
	add([0x0f, 0x01, 0x15, ...at(GDT + 0x40)], [0x0f, 0x01, 0x1d, ...at(GDT + 0x48)]);
	add([0xea, ...at(CODE + code.length + 7), 0x08, 0x00]);
	add([0xb8, ...dword(0x10)], [0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], [0xbc, ...at(0x1000)], [0xbb, ...at(RESULTS)]);
	// EFER.NXE, CR4.PAE, CR3, CR0.PG and WP.
	add([0xb9, ...dword(0xc0000080), 0x0f, 0x32, 0x0d, ...dword(0x800), 0x0f, 0x30]);
	add([0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0], loadRoot);
	add([0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80010000), 0x0f, 0x22, 0xc0]);
	// A by a read, D by a write.
	add(loadEax(LINEAR), loadEax(BASE + TABLE), record);
	add(storeImmediate(LINEAR, 0x12345678), loadEax(BASE + TABLE), record, loadEax(BASE + DIRECTORY + 8), record);
	// A fetch from an execute-disabled page.
	faulting([0xb8, ...dword(LINEAR), 0xff, 0xe0]);
	// Another page, read-only.
	add(storeImmediate(BASE + TABLE, BASE | 1), invalidate, loadEax(LINEAR), record);
	faulting(storeImmediate(LINEAR, 0));
	// Reserved bits in the table entry, then none at all.
	add(storeImmediate(BASE + TABLE + 4, 0x100), invalidate);
	faulting(loadEax(LINEAR));
	add(storeImmediate(BASE + TABLE, 0), invalidate);
	faulting(loadEax(LINEAR));
	// The second GByte appears with the PDPTE registers, not with the table that they are loaded from.
	add(storeImmediate(BASE + POINTERS + 8, (BASE + DIRECTORY) | 1));
	faulting(loadEax(0x40000000 + BASE));
	add(loadRoot, loadEax(0x40000000 + BASE), record);
	// A PDPTE with a reserved bit.
	add(storeImmediate(BASE + POINTERS + 8, (BASE + DIRECTORY) | 3));
	faulting(loadRoot);
	add(loadEax(0x40000000 + BASE), record);
	add([0x31, 0xc0, 0xe6, 0xf4, 0xf4]);
	assert.ok(CODE + code.length <= PAGE_FAULT, "the code fits");
	return code;
}

function image(): Uint8Array {
	const bytes = new Uint8Array(IMAGE_BYTES);
	const view = new DataView(bytes.buffer);
	const words = (offset: number, ...values: number[]): void =>
		values.forEach((value, index) => {
			view.setUint32(offset + index * 4, value >>> 0, true);
		});
	words(
		0,
		0x1badb002,
		0x10000,
		-(0x1badb002 + 0x10000),
		BASE,
		BASE,
		BASE + IMAGE_BYTES,
		BASE + IMAGE_BYTES,
		BASE + CODE,
	);
	bytes.set(program(), CODE);
	// pop %edx; mov %edx, (%ebx); mov %cr2, %eax; mov %eax, 4(%ebx); add $8, %ebx; mov %edi, (%esp); iret
	const back = [0x83, 0xc3, 8, 0x89, 0x3c, 0x24, 0xcf];
	bytes.set([0x5a, 0x89, 0x13, 0x0f, 0x20, 0xd0, 0x89, 0x43, 4, ...back], PAGE_FAULT);
	bytes.set([0x5a, 0x89, 0x13, 0xc7, 0x43, 4, ...dword(0x0d0d0d0d), ...back], PROTECTION);
	words(GDT + 8, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300);
	view.setUint16(GDT + 0x40, 0x17, true);
	view.setUint32(GDT + 0x42, BASE + GDT, true);
	view.setUint16(GDT + 0x48, 0x7ff, true);
	view.setUint32(GDT + 0x4a, BASE + IDT, true);
	for (const [vector, handler] of [
		[13, PROTECTION],
		[14, PAGE_FAULT],
	] as const)
		words(IDT + vector * 8, (0x08 << 16) | ((BASE + handler) & 0xffff), ((BASE + handler) & 0xffff0000) | 0x8e00);
	words(POINTERS, (BASE + DIRECTORY) | 1);
	words(DIRECTORY, 0x83, 0, (BASE + TABLE) | 7);
	words(TABLE, (BASE + PAGE) | 3, 0x80000000);
	return bytes;
}

function run(vmm: "none" | "bt" | "trap" | "hvm", mmu?: "ept" | "shadow") {
	const machine = createMachine({
		image: { name: "pae", bytes: image() },
		vmm,
		memory: 4 << 20,
		...(mmu ? { mmu } : {}),
	});
	const stop = machine.run(100_000);
	assert.equal(stop?.reason, "debug-exit", stop && "description" in stop ? stop.description : "no stop");
	const [processor] = machine.processors();
	const words = (offset: number, count: number): string[] => {
		const bytes = processor!.readMemory({ space: "gpa", value: BigInt(BASE + offset) }, count * 4)!;
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		return Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true).toString(16));
	};
	return { machine, results: words(RESULTS, 18), tables: [words(POINTERS, 8), words(DIRECTORY, 4), words(TABLE, 2)] };
}

test("a PAE guest sees the same on the bare machine, under bt and under hvm", () => {
	const bare = run("none");
	const code = new DataView(image().buffer).getUint32(0, true).toString(16);
	assert.deepEqual(bare.results, [
		// A; A and D; A of the page-directory entry.
		"104023",
		"104063",
		"103027",
		// Fetch, execute-disabled; the other page; a write to it.
		"11",
		"200000",
		code,
		"3",
		"200000",
		// A reserved bit; not present.
		"9",
		"200000",
		"0",
		"200000",
		// The second GByte, before and after the load of CR3; #GP(0); as before.
		"0",
		"40100000",
		code,
		"0",
		"d0d0d0d",
		code,
	]);
	for (const [vmm, mmu] of [
		["bt", "shadow"],
		["hvm", "shadow"],
		["hvm", "ept"],
	] as const) {
		const guest = run(vmm, mmu);
		assert.deepEqual(guest.results, bare.results, `${vmm} ${mmu}`);
		assert.deepEqual(guest.tables, bare.tables, `${vmm} ${mmu}`);
		if (mmu !== "shadow") continue;
		const { hiddenFaults, trueFaults, traceWrites } = guest.machine.statistics().mmu as Record<string, number>;
		assert.equal(trueFaults, 5);
		assert.ok(hiddenFaults! > 0 && traceWrites! > 0);
		const [vcpu] = guest.machine.processors();
		const walks = vcpu!.walk(BigInt(BASE));
		assert.deepEqual(
			walks.map(({ table, steps }) => [table, steps.map(({ level }) => level)]),
			[
				["guest", ["PDPTE", "PDE"]],
				["shadow", ["PDPTE", "PDE", "PTE"]],
			],
		);
		assert.equal(walks[1]!.result?.address.value, vcpu!.translate(BigInt(BASE), "hpa"));
		const [first] = vcpu!.mappings("shadow", BigInt(BASE), 1);
		assert.equal(first?.target.value, walks[1]!.result?.address.value);
	}
});

test("hidden and true page faults stop at their filters under hvm, and the guest sees nothing of it", () => {
	const bare = run("none");
	const machine = createMachine({
		image: { name: "pae", bytes: image() },
		vmm: "hvm",
		mmu: "shadow",
		memory: 4 << 20,
	});
	machine.setEventFilters([
		{ id: 1, event: "hidden-page-fault" },
		{ id: 2, event: "true-page-fault" },
	]);
	const seen: Record<string, number> = { "hidden-page-fault": 0, "true-page-fault": 0 };
	for (let stops = 0; stops < 100; stops++) {
		const stop = machine.run(100_000);
		if (stop?.reason !== "event") {
			assert.equal(stop?.reason, "debug-exit");
			break;
		}
		seen[stop.event]!++;
		assert.notEqual(stop.faultAddress, undefined);
	}
	const { hiddenFaults, trueFaults } = machine.statistics().mmu as Record<string, number>;
	assert.deepEqual(seen, { "hidden-page-fault": hiddenFaults, "true-page-fault": trueFaults });
	const [vcpu] = machine.processors();
	const bytes = vcpu!.readMemory({ space: "gpa", value: BigInt(BASE + RESULTS) }, 4)!;
	assert.equal(new DataView(bytes.buffer).getUint32(0, true).toString(16), bare.results[0]);
	const kinds = new Set(machine.events!.read({ limit: 1000 }).map(({ kind }) => kind));
	for (const kind of ["exit", "hidden-fault", "true-fault"] as const) assert.ok(kinds.has(kind), kind);
});

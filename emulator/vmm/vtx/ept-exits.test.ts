// Under EPT the guest's own memory management is its own: no exit for page faults, INVLPG and CR3 writes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, dword, guestMachine } from "../../../test/tools/hvm-guest.ts";

const [GDT, IDT, DIRECTORY, TABLE, COUNTER, STACK, END] = [
	0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x7000, 0x8000,
] as const;
const PAGE = 0x300000;
const TURNS = 100_000;

/** Faults on one page again and again: the handler maps it, the loop takes it away, with INVLPG and a write to CR3. */
function image(): { bytes: Uint8Array; loop: number } {
	const bytes = new Uint8Array(END);
	const view = new DataView(bytes.buffer);
	const entry = TABLE + (PAGE >> 12) * 4;
	const begin = [
		[0x0f, 0x01, 0x15, ...dword(CODE + GDT + 0x100)], // lgdt
		[0x0f, 0x01, 0x1d, ...dword(CODE + GDT + 0x108)], // lidt
		[0xbc, ...dword(CODE + STACK)], // mov $stack, %esp
		[0xb8, ...dword(CODE + DIRECTORY), 0x0f, 0x22, 0xd8], // mov $directory, %eax; mov %eax, %cr3
		[0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0], // CR0.PG
		[0xb9, ...dword(TURNS)], // mov $turns, %ecx
	].flat();
	const loop = [
		[0x89, 0x0d, ...dword(PAGE)], // mov %ecx, page
		[0xc7, 0x05, ...dword(CODE + entry), ...dword(0)], // movl $0, entry
		[0x0f, 0x01, 0x3d, ...dword(PAGE)], // invlpg page
		[0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], // mov %cr3, %eax; mov %eax, %cr3
		[0x49], // dec %ecx
	].flat();
	const jump = [0x0f, 0x85, ...dword(-loop.length - 6)]; // jnz loop
	const end = [0xb0, 0x00, 0xe6, 0xf4, 0xf4]; // mov $0, %al; out %al, $0xf4; hlt
	bytes.set([...begin, ...loop, ...jump, ...end]);
	const handler = 0x800;
	bytes.set(
		[
			[0xc7, 0x05, ...dword(CODE + entry), ...dword(PAGE | 3)], // movl $page|3, entry
			[0xff, 0x05, ...dword(CODE + COUNTER)], // incl counter
			[0x83, 0xc4, 0x04, 0xcf], // add $4, %esp; iret
		].flat(),
		handler,
	);
	const descriptors = [0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300];
	for (const [n, word] of descriptors.entries()) view.setUint32(GDT + 8 + n * 4, word, true);
	view.setUint16(GDT + 0x100, 0x17, true);
	view.setUint32(GDT + 0x102, CODE + GDT, true);
	view.setUint16(GDT + 0x108, 0x7f, true);
	view.setUint32(GDT + 0x10a, CODE + IDT, true);
	view.setUint32(IDT + 14 * 8, (0x08 << 16) | ((CODE + handler) & 0xffff), true);
	view.setUint32(IDT + 14 * 8 + 4, ((CODE + handler) & 0xffff0000) | 0x8e00, true);
	view.setUint32(DIRECTORY, (CODE + TABLE) | 3, true);
	for (let page = 0; page < 1024; page++) view.setUint32(TABLE + page * 4, (page << 12) | 3, true);
	view.setUint32(entry, 0, true);
	return { bytes, loop: CODE + begin.length };
}

test(`no exit for ${TURNS} page faults, INVLPGs and CR3 writes`, () => {
	const { bytes, loop } = image();
	const machine = guestMachine(bytes);
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: BigInt(loop) } }]);
	// The first turn, which begins a second time behind its fault, touches every page that the guest uses.
	for (let hit = 0; hit < 3; hit++) assert.equal(machine.run(10_000)?.reason, "breakpoint");
	machine.setExecutionBreakpoints([]);
	const before = machine.statistics();
	assert.deepEqual(machine.run(20_000_000), { reason: "debug-exit", value: 0 });
	const after = machine.statistics();
	const counter = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(CODE + COUNTER) }, 4)!;
	assert.equal(new DataView(counter.buffer).getUint32(0, true), TURNS);
	type Counts = { exits: { total: number; byReason: Record<string, number> }; mmu: { trueFaults: number } };
	const [start, end] = [before as unknown as Counts, after as unknown as Counts];
	assert.equal(end.mmu.trueFaults - start.mmu.trueFaults, TURNS - 1);
	assert.equal(end.exits.total - start.exits.total, 1, "only the exit of the last OUT");
	assert.equal(end.exits.byReason["I/O instruction"], 1);
});

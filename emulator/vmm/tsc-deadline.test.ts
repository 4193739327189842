// The APIC timer in TSC-deadline mode (SDM Vol. 3A §10.5.4.1) fires when the guest's time-stamp counter has reached the deadline, also after the
// processor has stood idle, whatever technique runs the guest.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, dword, elfImage } from "../../test/tools/hvm-guest.ts";
import { createMachine } from "./create-machine.ts";

const [GDT, IDT, HANDLER, STACK, END] = [0x1000, 0x2000, 0x800, 0x4000, 0x4000] as const;
const VECTOR = 0x40;
const WAIT = 1_000_000;
const TURNS = 8;

/** Waits TURNS times in HLT for a deadline WAIT ticks away. @param offset is added to the time-stamp counter first. */
function image(offset: number): Uint8Array {
	const bytes = new Uint8Array(END);
	const view = new DataView(bytes.buffer);
	const begin = [
		[
			0x0f,
			0x01,
			0x15,
			...dword(CODE + GDT + 0x100),
			0x0f,
			0x01,
			0x1d,
			...dword(CODE + GDT + 0x108),
			0xbc,
			...dword(CODE + STACK),
		],
		// The counter begins at `offset`: WRMSR of IA32_TIME_STAMP_COUNTER.
		offset === 0 ? [] : [0xb9, ...dword(0x10), 0xb8, ...dword(offset), 0x31, 0xd2, 0x0f, 0x30],
		// Spurious-interrupt vector register: enabled; LVT timer: TSC deadline.
		[0xc7, 0x05, ...dword(0xfee000f0), ...dword(0x1ff), 0xc7, 0x05, ...dword(0xfee00320), ...dword(0x40000 | VECTOR)],
		[0x0f, 0x31, 0x89, 0xc6, 0xbf, ...dword(TURNS)], // rdtsc; mov %eax, %esi; mov $turns, %edi
	].flat();
	const turn = [
		0xb9,
		...dword(0x6e0),
		0x0f,
		0x31,
		0x05,
		...dword(WAIT),
		0x83,
		0xd2,
		0x00,
		0x0f,
		0x30,
		0xfb,
		0xf4,
		0xfa,
		0x4f,
	];
	const end = [0x0f, 0x31, 0x29, 0xf0, 0x89, 0xc3, 0xb0, 0x00, 0xe6, 0xf4, 0xf4]; // rdtsc; sub %esi, %eax; mov %eax, %ebx; exit
	bytes.set([...begin, ...turn, 0x75, -turn.length - 2, ...end]);
	bytes.set([0xc7, 0x05, ...dword(0xfee000b0), ...dword(0), 0xcf], HANDLER); // EOI; iret
	const descriptors = [0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300];
	for (const [n, word] of descriptors.entries()) view.setUint32(GDT + 8 + n * 4, word, true);
	view.setUint16(GDT + 0x100, 0x17, true);
	view.setUint32(GDT + 0x102, CODE + GDT, true);
	view.setUint16(GDT + 0x108, 0x7ff, true);
	view.setUint32(GDT + 0x10a, CODE + IDT, true);
	view.setUint32(IDT + VECTOR * 8, (0x08 << 16) | ((CODE + HANDLER) & 0xffff), true);
	view.setUint32(IDT + VECTOR * 8 + 4, ((CODE + HANDLER) & 0xffff0000) | 0x8e00, true);
	return elfImage(bytes);
}

// The counter of a guest under bt cannot be written.
for (const vmm of ["none", "hvm", "bt"] as const)
	for (const offset of vmm === "bt" ? [0] : [0, 0x10000000])
		test(`a TSC deadline comes when the counter that was set to ${offset} reaches it, under ${vmm}`, () => {
			const machine = createMachine({ vmm, memory: 4 << 20, image: { name: "guest", bytes: image(offset) } });
			assert.deepEqual(machine.run(1_000_000), { reason: "debug-exit", value: 0 });
			const ticks = Number(machine.processors()[0]!.register("ebx"));
			assert.ok(ticks >= TURNS * WAIT && ticks < TURNS * (WAIT + 10_000), `${ticks} ticks`);
		});

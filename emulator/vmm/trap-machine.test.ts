import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { dword, END, TinyGuest, tinyGuest } from "../../test/tools/tiny-guest.ts";
import type { Stop, VirtualMachine } from "../machine/virtual-machine.ts";
import { createMachine } from "./create-machine.ts";

const { code: CODE, results: R } = TinyGuest;
const TECHNIQUES = ["none", "bt", "trap"] as const;
type Technique = (typeof TECHNIQUES)[number];

function start(code: readonly number[], vmm: Technique = "trap"): VirtualMachine {
	return createMachine({ image: tinyGuest(code), vmm, memory: 4 << 20 });
}

function word(machine: VirtualMachine, address: number): number {
	const bytes = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(address) }, 4)!;
	return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function runToEnd(machine: VirtualMachine): Stop | undefined {
	const stop = machine.run(1_000_000);
	assert.equal(stop?.reason, "debug-exit", JSON.stringify(stop));
	return stop;
}

/** The vector that ended the guest and where. */
function ended(machine: VirtualMachine): { vector: number; eip: number; cs: number } {
	runToEnd(machine);
	return {
		vector: word(machine, TinyGuest.fault) - 1,
		eip: word(machine, TinyGuest.fault + 4),
		cs: word(machine, TinyGuest.fault + 8),
	};
}

const misbehaviours = (machine: VirtualMachine) => machine.events!.read({ kinds: ["misbehaviour"], limit: 100 });
const lin = (value: number) => ({ space: "lin", value: BigInt(value) }) as const;

/** PUSHF; POP to the results; then the end. */
const PUSHF = [0x9c, 0x8f, 0x05, ...dword(R)];

test("a breakpoint on a sensitive instruction stops before it, and what it gives is reported once", () => {
	const machine = start([0x90, ...PUSHF]);
	machine.setExecutionBreakpoints([{ id: 7, address: lin(CODE + 1) }]);
	assert.deepEqual(machine.run(100_000), { reason: "breakpoint", processor: 1, ids: [7] });
	assert.equal(misbehaviours(machine).length, 0);
	runToEnd(machine);
	assert.deepEqual(
		misbehaviours(machine).map(({ instruction, reason, processor }) => ({ instruction, reason, processor })),
		[{ instruction: BigInt(CODE + 1), reason: "PUSHFD", processor: 1 }],
	);
});

test("a step of either processor over it reports it too", () => {
	for (const processor of [1, 2]) {
		const machine = start([0x90, ...PUSHF]);
		machine.setExecutionBreakpoints([{ id: 1, address: lin(CODE) }]);
		machine.run(100_000);
		machine.setExecutionBreakpoints([]);
		const [vcpu] = machine.processors();
		const places = [1, 2, 3].map(() => {
			assert.deepEqual(machine.step(processor), { reason: "step", processor });
			return Number(vcpu!.linearInstructionPointer()) - CODE;
		});
		assert.deepEqual(places, [1, 2, 8]);
		assert.equal(misbehaviours(machine).length, 1);
	}
});

test("the filter stops behind the instruction and says what it gave", () => {
	const machine = start([0x31, 0xc0, ...PUSHF]);
	machine.setEventFilters([{ id: 3, event: "misbehaviour" }]);
	assert.deepEqual(machine.run(100_000), {
		reason: "event",
		processor: 1,
		ids: [3],
		event: "misbehaviour",
		description:
			"PUSHFD at 0x00100202 did not trap and ran wrongly: the guest got 0x00000246; the hardware would have given 0x00000046.",
		faultAddress: BigInt(CODE + 2),
	});
	const [vcpu, pcpu] = machine.processors();
	assert.equal(vcpu!.linearInstructionPointer(), BigInt(CODE + 3));
	assert.match(vcpu!.describe(), /CPL 0, CR3 0x0, direct execution in ring 1/);
	assert.match(pcpu!.describe(), /CPL 1, .*guest kernel, directly/);
	runToEnd(machine);
});

test("a trap is an event before the instruction is emulated", () => {
	const machine = start([0xfb, 0xfa]);
	machine.setEventFilters([{ id: 1, event: "callout" }]);
	const names: string[] = [];
	for (let stop = machine.run(100_000); stop?.reason === "event"; stop = machine.run(100_000))
		names.push(stop.description);
	assert.deepEqual(names.slice(-3), [
		"Trap of the STI at 0x00100200",
		"Trap of the CLI at 0x00100201",
		"Trap of the OUT at 0x00100204",
	]);
	const { traps } = machine.statistics() as unknown as { traps: { byInstruction: Record<string, number> } };
	assert.deepEqual(traps.byInstruction, { CLI: 1, LGDT: 1, LIDT: 1, LTR: 1, MOV: 1, OUT: 1, STI: 1 });
});

test("the vCPU has the guest's selectors and flags, the physical CPU the hardware's", () => {
	const machine = start([0x90]);
	machine.setExecutionBreakpoints([{ id: 1, address: lin(CODE) }]);
	machine.run(100_000);
	const [vcpu, pcpu] = machine.processors();
	const seen = (name: string) => [vcpu!.register(name), pcpu!.register(name)];
	assert.deepEqual(seen("cs"), [8n, 9n]);
	assert.deepEqual(seen("ss"), [0x10n, 0x11n]);
	assert.deepEqual(seen("gs"), [0x10n, 0x10n]);
	assert.deepEqual(
		seen("eflags").map((flags) => flags! & 0x200n),
		[0n, 0x200n],
	);
	vcpu!.setRegister("eflags", 0x202n);
	assert.equal(vcpu!.register("eflags"), 0x202n);
	vcpu!.setRegister("eip", BigInt(CODE + 1));
	runToEnd(machine);
});

const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
/** 8259A: vectors from 0x20, only IRQ 0 open; 8254: IRQ 0 every 100 ticks; then a wait until it asserts. */
const TIMER = [
	...out(0x20, 0x11),
	...out(0x21, 0x20),
	...out(0x21, 0x04),
	...out(0x21, 0x01),
	...out(0x21, 0xfe),
	...out(0x43, 0x34),
	...out(0x40, 100),
	...out(0x40, 0),
	...[0xb9, ...dword(200_000), 0xe2, 0xfe],
];

for (const [name, code, behind] of [
	["an ordinary instruction", [0x40, 0x40, 0xeb, 0xfe], 1],
	["HLT", [0xf4, 0x40, 0xeb, 0xfe], 1],
	["a port access", [0xe4, 0x80, 0x40, 0xeb, 0xfe], 2],
	["PUSHF", [0x9c, 0x40, 0xeb, 0xfe], 1],
	["POPF", [0x9d, 0x40, 0xeb, 0xfe], 1],
	["a page fault that only the VMM sees", [0x8b, 0x1d, ...dword(0x300000), 0x40, 0xeb, 0xfe], 6],
] as const)
	test(`an interrupt that waits for STI comes behind the next instruction: ${name}`, () => {
		for (const vmm of TECHNIQUES) {
			const machine = start([...TIMER, 0x6a, 0x02, 0xfb, ...code], vmm);
			const at = CODE + TIMER.length + 3 + behind;
			// POPF clears IF where it is not lost.
			if (name === "POPF" && vmm !== "trap") assert.equal(machine.run(1_000_000), undefined);
			else assert.deepEqual(ended(machine), { vector: 0x20, eip: at, cs: 8 }, vmm);
			if (name === "PUSHF") {
				const image = word(machine, Number(machine.processors()[0]!.register("esp")) + 12);
				assert.equal(image & 0x100, 0, `${vmm}: TF is not the guest's`);
			}
		}
	});

test("the guest steps itself: TF that POPF loads is the hardware's", () => {
	// The handler of #DB ends the guest at the first trap: behind the instruction that follows POPF.
	const code = [0x9c, 0x81, 0x0c, 0x24, ...dword(0x100), 0x9d, 0x40, 0x40, ...END];
	for (const vmm of TECHNIQUES) assert.deepEqual(ended(start(code, vmm)), { vector: 1, eip: CODE + 10, cs: 8 }, vmm);
});

test("code segments that are no longer in the table stay loaded", () => {
	// The guest overwrites its own code descriptor, goes on, traps, and takes an interrupt vector's fault at last.
	const clear = [0xc7, 0x05, ...dword(TinyGuest.gdt + 12), ...dword(0)];
	const code = [...clear, 0xfa, 0x8c, 0xd8, 0xa3, ...dword(R)];
	for (const vmm of ["none", "trap"] as const) {
		const machine = start(code, vmm);
		runToEnd(machine);
		assert.equal(word(machine, R), 0x10);
	}
});

const kernel32 = new Uint8Array(
	readFileSync(fileURLToPath(new URL("../../extension/samples/kernel32/kernel32.elf", import.meta.url))),
);

test("the run does not depend on how it is sliced, nor on who looks", () => {
	const make = () =>
		createMachine({
			image: { name: "kernel32.elf", bytes: kernel32 },
			vmm: "trap",
			memory: 16 << 20,
			append: "sensitive",
		});
	const whole = make();
	whole.run(3_000_000);
	const sliced = make();
	sliced.setEventFilters([{ id: 1, event: "misbehaviour" }]);
	let slice = 1;
	while (sliced.instructionCount() < 3_000_000) {
		sliced.run(Math.min(slice, 3_000_000 - sliced.instructionCount()));
		slice = (slice * 7919) % 20011;
	}
	assert.equal(sliced.instructionCount(), whole.instructionCount());
	assert.equal(sliced.memoryHash(), whole.memoryHash());
	assert.deepEqual(sliced.statistics().misbehaviours, whole.statistics().misbehaviours);
});

test("INVPCID, which the host's CPUID announces, empties the TLB; its descriptor is checked", () => {
	// mov $type, %eax; invpcid R, %eax
	const invalidate = (type: number) => [0xb8, ...dword(type), 0x66, 0x0f, 0x38, 0x82, 0x05, ...dword(R)];
	const identifier = [0xc7, 0x05, ...dword(R), ...dword(1)];
	for (const vmm of ["none", "trap"] as const) {
		for (let type = 0; type <= 3; type++)
			assert.equal(ended(start(invalidate(type), vmm)).vector, -1, `${vmm}, ${type}`);
		assert.equal(ended(start(invalidate(4), vmm)).vector, 13, vmm);
		assert.equal(ended(start([...identifier, ...invalidate(1)], vmm)).vector, 13, vmm);
		assert.equal(ended(start([...identifier, ...invalidate(3)], vmm)).vector, -1, vmm);
	}
	// Under "bt" CPUID does not announce it.
	assert.equal(ended(start(invalidate(2), "bt")).vector, 6);
});

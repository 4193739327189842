import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Activity, Internal } from "../cpu/processor-state.ts";
import { State } from "../isa/state.ts";
import { useHostHash } from "./hash.ts";
import { NativeMachine } from "./native-machine.ts";
import { RecordedMachine } from "./recorded-machine.ts";
import type { MachineConfiguration, MachineSnapshot, Stop } from "./virtual-machine.ts";

useHostHash((bytes) => createHash("sha256").update(bytes).digest("hex"));

const path = fileURLToPath(new URL("../../extension/samples/smp/smp.elf", import.meta.url));
const image = { name: "smp.elf", bytes: new Uint8Array(readFileSync(path)) };

/** Where a processor takes the lock: XCHG with memory, the only one of the image. */
const lockedAddress = (() => {
	const { bytes } = image;
	for (let at = 0x1000; at < 0x3000; at++)
		if (bytes[at] === 0x87 && (bytes[at + 1]! & 0xc7) === 0x05) return BigInt(0x100000 + at - 0x1000);
	throw new Error("smp.elf has no XCHG with memory");
})();

const seed = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 1_000_000);

/** A small generator of numbers, the same for the same seed (xorshift32). */
function generator(start: number): (below: number) => number {
	let state = start * 2 + 1;
	return (below) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
}

function machineOf(options: Partial<MachineConfiguration> = {}): { machine: NativeMachine; output: () => string } {
	const machine = new NativeMachine({ vmm: "none", memory: 2 << 20, processors: 3, image, ...options });
	let text = "";
	machine.onSerialOutput((bytes) => {
		text += Buffer.from(bytes).toString("latin1");
	});
	return { machine, output: () => text };
}

function runToEnd(machine: NativeMachine | RecordedMachine, budget: () => number): Stop {
	for (;;) {
		const stop = machine.run(budget());
		if (stop) return stop;
		assert.ok(machine.instructionCount() < 200_000_000, "the guest does not come to its end");
	}
}

const end = (machine: NativeMachine) => ({
	instructions: machine.instructionCount(),
	memory: machine.memoryHash(),
	processors: machine.statistics().processors,
});

test(`the same run however it is cut, in either tier; seed ${seed}`, () => {
	const random = generator(seed);
	const first = machineOf();
	assert.deepEqual(
		runToEnd(first.machine, () => 10_000_000),
		{ reason: "debug-exit", value: 0 },
	);
	assert.match(first.output(), /^3 processors\n.*counted to 15000\n.*NMIs: 2\n$/s);
	for (const engine of ["compiled", "interpreter"] as const) {
		const { machine, output } = machineOf({ engine });
		runToEnd(machine, () => 1 + random(200_000));
		assert.deepEqual(end(machine), end(first.machine), engine);
		assert.equal(output(), first.output());
	}
});

test(`a spin lock counts right whatever the turns are; seed ${seed}`, () => {
	const random = generator(seed);
	const interleavings = new Set<number>();
	for (let round = 0; round < 6; round++) {
		const { machine, output } = machineOf({ processors: 2 + (round % 3) });
		const { turns } = machine.host;
		// Around the length of the section that the lock guards, and far above.
		const longest = [30, 3000, 60_000][round % 3]!;
		const stop = runToEnd(machine, () => {
			turns.length = 5 + random(longest);
			return 1000 + random(50_000);
		});
		assert.deepEqual(stop, { reason: "debug-exit", value: 0 }, output());
		interleavings.add(machine.instructionCount());
	}
	assert.ok(interleavings.size > 3, "the turns make a difference");
});

test("a snapshot holds all processors: the run that goes on from any of them ends like the first", () => {
	const { machine } = machineOf();
	const snapshots: MachineSnapshot[] = [];
	runToEnd(machine, () => {
		snapshots.push(machine.takeSnapshot!(snapshots.at(-1)));
		return 1_777_777;
	});
	const wanted = end(machine);
	for (const snapshot of [...snapshots].reverse().slice(0, 8)) {
		machine.restoreSnapshot(snapshot);
		runToEnd(machine, () => 5_000_000);
		assert.deepEqual(end(machine), wanted);
	}
});

test("a breakpoint stops whichever processor comes to it, a step moves that one alone", () => {
	const { machine } = machineOf();
	machine.host.turns.length = 700;
	const seen = new Map<number, number>();
	while (machine.running === 1) assert.equal(machine.run(1000), undefined);
	const started = machine.running;
	const others = () =>
		machine
			.processors()
			.filter(({ id }) => id !== started)
			.map(({ id }) => [id, machine.processors()[id - 1]!.instructionPointer()]);
	const before = others();
	const count = machine.instructionCount();
	for (let n = 0; n < 10; n++) assert.deepEqual(machine.step(started), { reason: "step", processor: started });
	assert.equal(machine.instructionCount(), count + 10);
	assert.deepEqual(others(), before);
	machine.setExecutionBreakpoints([{ id: 7, address: { space: "lin", value: lockedAddress } }]);
	for (let hits = 0; hits < 400; hits++) {
		const stop = machine.run(100_000_000);
		assert.ok(stop?.reason === "breakpoint");
		assert.deepEqual(stop.ids, [7]);
		assert.equal(machine.processors()[stop.processor - 1]!.linearInstructionPointer(), lockedAddress);
		seen.set(stop.processor, (seen.get(stop.processor) ?? 0) + 1);
	}
	assert.equal(seen.size, 3, `hits by processor: ${[...seen]}`);
});

test("a data breakpoint names the processor that wrote", () => {
	const { machine } = machineOf();
	machine.host.turns.length = 700;
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: lockedAddress } }]);
	assert.equal(machine.run(200_000_000)?.reason, "breakpoint");
	machine.setExecutionBreakpoints([]);
	const lock = new DataView(image.bytes.buffer).getUint32(Number(lockedAddress) - 0x100000 + 0x1000 + 2, true);
	machine.setWatchpoints([{ id: 3, address: { space: "lin", value: BigInt(lock) }, length: 4, access: "write" }]);
	const writers = new Set<number>();
	for (let n = 0; n < 3000 && writers.size < 3; n++) {
		const stop = machine.run(200_000_000);
		assert.ok(stop?.reason === "watchpoint", JSON.stringify(stop?.reason));
		assert.equal(stop.processor, machine.running);
		writers.add(stop.processor);
	}
	assert.deepEqual([...writers].sort(), [1, 2, 3]);
});

test("stops of several processors, steps among them, can be gone back to", () => {
	const { machine: native } = machineOf();
	const machine = new RecordedMachine(native, 400_000);
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: lockedAddress } }]);
	const look = () => ({
		at: machine.position(),
		memory: machine.memoryHash(),
		registers: machine.processors().map((one) => one.registers().map(({ name, value }) => `${name}=${value}`)),
	});
	const seen: ReturnType<typeof look>[] = [];
	for (let round = 0; round < 12; round++) {
		const stop = machine.run(200_000_000);
		assert.equal(stop?.reason, "breakpoint");
		seen.push(look());
		for (let n = 0; n < 3; n++) machine.step(1 + (round % 3));
		seen.push(look());
		machine.setExecutionBreakpoints([]);
		assert.equal(machine.run(7_321), undefined);
		machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: lockedAddress } }]);
	}
	for (const { at, memory, registers } of [...seen].reverse()) {
		machine.disarm();
		machine.rewind(at.instructions);
		assert.equal(machine.runTo(at), undefined);
		machine.arm();
		assert.deepEqual(look(), { at, memory, registers });
	}
});

/** Where the random code of the next test lies, and what all change. */
const CODE = 0x180000;
const SHARED = 0x17d000;
/** Of each processor there: code, and behind it handlers, the interrupt table, the stack. */
const STRETCH = 0x4000;
const Part = { handlers: 0x1000, table: 0x2000, stack: 0x4000 } as const;

const dword = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
/** mov dword [address], value */
const store = (address: number, value: number): number[] => [0xc7, 0x05, ...dword(address), ...dword(value)];
const apic = (register: number, value: number): number[] => store(0xfee00000 + register, value);

/** What processors do to each other and to themselves. */
function fragment(random: (below: number) => number): number[] {
	// INIT is rare: most of what follows it is the end.
	const mode = random(100) === 0 ? 5 : [0, 0, 0, 1, 1, 2, 4, 6, 3, 7][random(10)]!;
	const command = (random(4) << 18) | (random(2) << 15) | (1 << 14) | (random(2) << 11) | (mode << 8) | random(256);
	switch (random(16)) {
		case 0:
		case 1:
			// sti; hlt
			return [0xfb, 0xf4];
		case 2:
			return [random(4) ? 0xfb : 0xfa];
		case 3:
			return [0xf3, 0x90];
		case 4:
		case 5:
			return [...apic(0x310, random(5) << 24), ...apic(0x300, command)];
		case 6:
			return apic([0x20, 0x80, 0xb0, 0xd0, 0xe0, 0x380][random(6)]!, random(0x4000));
		case 7:
			// lock inc dword [shared]
			return [0xf0, 0xff, 0x05, ...dword(SHARED + 4 * random(16))];
		case 8:
			// Into somebody's code: nop, sti, int3.
			return [0xc6, 0x05, ...dword(CODE + random(3) * STRETCH + random(0x1000)), [0x90, 0xfb, 0xcc][random(3)]!];
		case 9:
			return [0xcd, 32 + random(224)];
		case 10:
		case 11:
			// mov ecx, n; loop $
			return [0xb9, ...dword(random(300) + 1), 0xe2, 0xfe];
		case 12:
			// mov eax, 1; cpuid; rdtsc
			return [0xb8, ...dword(1), 0x0f, 0xa2, 0x0f, 0x31];
		case 13:
			// mov [shared], eax; mov ss, [shared]: a selector that faults
			return random(4) ? [0xa3, ...dword(SHARED + 64)] : [0x8e, 0x15, ...dword(SHARED + 64)];
		case 14:
			// lock xadd [shared], eax
			return [0xf0, 0x0f, 0xc1, 0x05, ...dword(SHARED + 4 * random(16))];
		default:
			return random(8) ? [0x90] : [random(256), random(256), random(256)];
	}
}

/** Random code for a processor, gates that go on with it after exceptions, and a timer that wakes it. */
function furnish(machine: NativeMachine, number: number, random: (below: number) => number): void {
	const processor = machine.processors()[number]!;
	const base = CODE + number * STRETCH;
	const write = (address: number, bytes: readonly number[]) =>
		processor.writeMemory({ space: "hpa", value: BigInt(address) }, Uint8Array.from(bytes));
	const vector = 32 + random(200);
	const timer = [...apic(0x320, 0x20000 | vector), ...apic(0x3e0, 0xb), ...apic(0x380, 200 + random(5000))];
	const code = [...apic(0xf0, 0x1ff), ...timer];
	const starts = [0];
	while (code.length < 0xf00) {
		starts.push(code.length);
		code.push(...fragment(random));
	}
	write(base, [...code, 0xe9, ...dword(-(code.length + 5))]);
	// An interrupt ends and returns; an exception goes on elsewhere with a stack of its own.
	const interrupt = base + Part.handlers;
	write(interrupt, [...apic(0xb0, 0), 0xcf]);
	const table: number[] = [];
	for (let entry = 0; entry < 256; entry++) {
		const exception = base + Part.handlers + 32 + 16 * entry;
		const target = base + starts[random(starts.length)]!;
		if (entry < 32) write(exception, [0xbc, ...dword(base + Part.stack), 0xe9, ...dword(target - (exception + 10))]);
		const handler = entry < 32 ? exception : interrupt;
		table.push(handler & 0xff, (handler >> 8) & 0xff, 8, 0, 0, 0x8e, (handler >> 16) & 0xff, 0);
	}
	write(base + Part.table, table);
	machine.host.turns.within(number, () => {
		const { i32, i64 } = machine.host.physical;
		i64[State.idtrBase >> 3] = BigInt(base + Part.table);
		i32[Internal.activity >> 2] = Activity.active;
	});
	processor.setRegister("eip", BigInt(base));
	processor.setRegister("esp", BigInt(base + Part.stack));
}

test(`random code on all processors is one run, however it is cut and in either tier; seed ${seed}`, () => {
	let lived = 0;
	for (let round = 0; round < 8; round++) {
		const ends = [];
		for (const engine of ["compiled", "interpreter"] as const) {
			const random = generator(seed * 31 + round);
			const { machine } = machineOf({ engine });
			while (machine.processors().some((one) => one.codeSize() === 16)) machine.run(100_000);
			for (let number = 0; number < 3; number++) furnish(machine, number, random);
			const until = machine.instructionCount() + 300_000;
			let stop: Stop | undefined;
			while (machine.instructionCount() < until && !stop) {
				const before = machine.instructionCount();
				const left = until - before;
				stop = machine.run(engine === "compiled" ? left : Math.min(left, 1 + random(20_000)));
				if (machine.instructionCount() === before) break;
			}
			ends.push({ ...end(machine), stop });
		}
		assert.deepEqual(ends[0], ends[1], `round ${round}`);
		if (ends[0]!.stop === undefined) lived++;
	}
	assert.ok(lived > 0, "all programs ended early: the test shows nothing");
});

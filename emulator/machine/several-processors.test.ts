import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
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

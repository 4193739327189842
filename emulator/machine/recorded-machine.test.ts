import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { useHostHash } from "./hash.ts";
import { NativeMachine } from "./native-machine.ts";
import { RecordedMachine } from "./recorded-machine.ts";
import type { Position } from "./recording.ts";
import type { MachineSnapshot } from "./virtual-machine.ts";

useHostHash((bytes) => createHash("sha256").update(bytes).digest("hex"));

/** @param distance instructions between two snapshots; none is taken in a run as short as these otherwise */
function kernel32(distance?: number): { machine: RecordedMachine; output: () => string } {
	const path = fileURLToPath(new URL("../../extension/samples/kernel32/kernel32.elf", import.meta.url));
	const bytes = new Uint8Array(readFileSync(path));
	const machine = new RecordedMachine(
		new NativeMachine({ vmm: "none", memory: 16 << 20, image: { name: "kernel32.elf", bytes } }),
		distance,
	);
	let text = "";
	machine.onSerialOutput((given) => {
		text += Buffer.from(given).toString("latin1");
	});
	return { machine, output: () => text };
}

interface Seen {
	readonly at: Position;
	readonly registers: string;
	readonly memory: string;
}

function look(machine: RecordedMachine): Seen {
	// CR2 is loaded when a page fault is delivered; a stop at one shows it before.
	const registers = machine
		.processors()[0]!
		.registers()
		.filter(({ name }) => name !== "cr2");
	return {
		at: machine.position(),
		registers: registers.map(({ name, value }) => `${name}=${value.toString(16)}`).join(" "),
		memory: machine.memoryHash(),
	};
}

function goTo(machine: RecordedMachine, to: Position): void {
	machine.disarm();
	machine.rewind(to.instructions);
	assert.equal(machine.runTo(to), undefined);
	machine.arm();
}

for (const distance of [undefined, 25_000, 3])
	test(`every stop of a session can be gone back to, in any order; snapshots: ${distance ?? "none"}`, () => {
		const { machine, output } = kernel32(distance);
		const rounds = distance === 3 ? 3 : 12;
		const seen: Seen[] = [];
		machine.setEventFilters([{ id: 1, event: "exception" }]);
		for (let round = 0; round < rounds; round++) {
			machine.run(40_001);
			seen.push(look(machine));
			for (let step = 0; step < 40; step++) machine.step(1, { takeInterrupts: round % 3 === 2 });
			seen.push(look(machine));
			if (round === 3) machine.serialInput(new TextEncoder().encode("hello\n"));
			if (round === 5) {
				machine.processors()[0]!.writeMemory({ space: "gpa", value: 0xf00000n }, new Uint8Array([1, 2, 3]));
				seen.push(look(machine));
			}
		}
		const printed = output();
		assert.ok(printed.length > 0);
		assert.ok(new Set(seen.map(({ at }) => `${at.instructions} ${at.linear}`)).size > rounds);
		assert.equal(machine.origins().length > 1, distance !== undefined);
		// Away and back in an order that is neither that of the run nor its reverse.
		for (let n = 0; n < seen.length; n++) {
			const index = (n * 7 + 3) % seen.length;
			const { at } = seen[index]!;
			goTo(machine, at);
			const now = look(machine);
			assert.equal(now.registers, seen[index]!.registers, `stop ${index}`);
			// Both sides of the debugger's own write have one position: the way there ends before it.
			if (index !== seen.findIndex((one) => one.at.instructions === at.instructions)) continue;
			assert.equal(now.memory, seen[index]!.memory, `stop ${index}`);
		}
		assert.equal(output(), printed, "nothing is printed twice");
	});

test("a snapshot holds the whole machine: the run that goes on from any of them ends like the first", () => {
	const path = fileURLToPath(new URL("../../extension/samples/kernel32/kernel32.elf", import.meta.url));
	const image = { name: "kernel32.elf", bytes: new Uint8Array(readFileSync(path)) };
	const machine = new NativeMachine({ vmm: "none", memory: 16 << 20, image });
	const snapshots: MachineSnapshot[] = [];
	for (let part = 0; part < 24; part++) {
		machine.run(part % 2 === 0 ? 37_000 : 900_001);
		snapshots.push(machine.takeSnapshot!(snapshots.at(-1)));
	}
	const last = (snapshots.at(-1) as MachineSnapshot).bytes;
	assert.ok(last < 4 << 20, `${last} bytes of the last snapshot are its own`);
	const ending = () => {
		const stop = machine.run(100_000_000);
		const { interrupts } = machine.statistics() as unknown as { interrupts: { delivered: number } };
		return {
			stop,
			interrupts,
			count: machine.instructionCount(),
			memory: machine.memoryHash(),
			events: machine.events.total,
		};
	};
	const first = ending();
	assert.equal(first.stop?.reason, "debug-exit");
	for (const snapshot of [...snapshots.keys()].reverse().map((index) => snapshots[index]!)) {
		machine.restoreSnapshot(snapshot);
		assert.deepEqual(ending(), first);
	}
});

test("a run that is gone back to and on goes the same way, and prints only what is new", () => {
	const plain = kernel32();
	plain.machine.run(100_000_000);
	const { machine, output } = kernel32();
	machine.run(200_000);
	machine.rewind(0);
	assert.equal(machine.instructionCount(), 0);
	assert.deepEqual(machine.run(100_000_000), { reason: "debug-exit", value: 0 });
	assert.equal(output(), plain.output());
	assert.equal(machine.instructionCount(), plain.machine.instructionCount());
	assert.equal(machine.memoryHash(), plain.machine.memoryHash());
});

test("the moment of a delivery and that of the instruction that caused it are two positions of one count", () => {
	const { machine } = kernel32();
	machine.setEventFilters([{ id: 1, event: "exception", vector: 14 }]);
	const stop = machine.run(100_000_000);
	assert.equal(stop?.reason, "event");
	const before = look(machine);
	machine.setEventFilters([]);
	// At the first instruction of the handler: the delivery retires nothing.
	const idt = machine.processors()[0]!.register("idtr")!;
	assert.ok(idt !== undefined);
	const gate = machine.processors()[0]!.readMemory({ space: "lin", value: (idt & 0xffffffffn) + 14n * 8n }, 8)!;
	const handler = BigInt(gate[0]! | (gate[1]! << 8) | (gate[6]! << 16)) + (BigInt(gate[7]!) << 24n);
	machine.setExecutionBreakpoints([{ id: 2, address: { space: "lin", value: handler } }]);
	assert.equal(machine.run(10)?.reason, "breakpoint");
	const after = look(machine);
	assert.equal(after.at.instructions, before.at.instructions);
	goTo(machine, before.at);
	assert.equal(look(machine).registers, before.registers);
	goTo(machine, after.at);
	assert.equal(look(machine).registers, after.registers);
});

test("within steps that were made the machine can be stopped, and leave their way", () => {
	const { machine } = kernel32();
	machine.run(30_000);
	const positions = [machine.position()];
	for (let step = 0; step < 20; step++) {
		machine.step(1);
		positions.push(machine.position());
	}
	machine.run(1000);
	const later = look(machine);
	for (const index of [13, 4, 20, 7]) {
		goTo(machine, positions[index]!);
		assert.deepEqual(machine.position(), positions[index]);
	}
	// The rest of the steps, one by one, and the way that was gone before.
	for (let index = 8; index <= 20; index++) {
		assert.equal(machine.advance(), undefined);
		assert.deepEqual(machine.position(), positions[index]);
	}
	machine.run(1000);
	assert.equal(look(machine).registers, later.registers);
	// A change in the middle of the steps begins another future, that can be repeated too.
	goTo(machine, positions[7]!);
	machine.processors()[0]!.setRegister("xmm7", 0x1234n);
	machine.run(500);
	const changed = look(machine);
	goTo(machine, positions[2]!);
	goTo(machine, changed.at);
	assert.equal(look(machine).registers, changed.registers);
	assert.match(changed.registers, /xmm7=1234/);
});

test("going forward over steps that were made before, events and breakpoints within them stop the machine", () => {
	const { machine } = kernel32();
	machine.setEventFilters([{ id: 1, event: "exception" }]);
	const first = machine.run(1_000_000);
	assert.equal(first?.reason, "event");
	const fault = machine.position();
	machine.reset();
	machine.setEventFilters([]);
	machine.run(fault.instructions - 20);
	const from = machine.position();
	const passed: Position[] = [];
	for (let step = 0; step < 60; step++) {
		machine.step(1);
		passed.push(machine.position());
	}
	machine.setEventFilters([{ id: 1, event: "exception" }]);
	machine.setExecutionBreakpoints([{ id: 2, address: { space: "lin", value: passed[4]!.linear } }]);
	goTo(machine, from);
	assert.deepEqual(machine.run(1_000_000), { reason: "breakpoint", processor: 1, ids: [2] });
	machine.setExecutionBreakpoints([]);
	assert.equal(machine.run(1_000_000)?.reason, "event");
	assert.deepEqual(machine.position(), fault);
	// The recorded steps go on from there to their end, and the run beyond them.
	machine.setEventFilters([]);
	assert.equal(machine.run(1000), undefined);
	assert.ok(machine.position().instructions >= fault.instructions + 1000);
});

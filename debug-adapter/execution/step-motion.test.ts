import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import { Trigger } from "../breakpoints/trigger.ts";
import { type Act, ScriptedMachine } from "../test-support/scripted-machine.ts";
import { type LineMap, StepMotion, type StepRequest } from "./step-motion.ts";

/** Four bytes a line: line 0x40 is at 0x100, line 0x41 at 0x104, ...; functions begin every 0x100 and have their body at +4. */
const lines: LineMap = {
	lineAt: (address) =>
		address >= 0x1000n ? undefined : { path: "a.c", line: Number(address >> 2n), start: (address >> 2n) << 2n },
	bodyOf: (address) => (address >= 0x1000n ? undefined : ((address >> 8n) << 8n) + 4n),
};

function setUp(code: readonly number[], more: Partial<StepRequest> = {}) {
	const machine = new ScriptedMachine();
	machine.memory.fill(0x90);
	machine.memory.set(code, 0x100);
	const { values } = machine.vcpu;
	values.set("eip", 0x100n);
	values.set("esp", 0x8000n);
	const store = new BreakpointStore(() => machine);
	const motion = () =>
		new StepMotion({
			machine,
			store,
			processor: machine.vcpu,
			kind: "over",
			granularity: "line",
			takeInterrupts: false,
			lines,
			...more,
		});
	return { machine, values, store, motion };
}

/** The processor goes to the address, with the stack pointer moved by so many bytes. */
const go =
	(address: bigint, stack = 0n): Act =>
	({ vcpu }) => {
		vcpu.values.set("eip", address);
		vcpu.values.set("esp", vcpu.values.get("esp")! + stack);
		return undefined;
	};

/** As `go`, in a run that a breakpoint at the address ends. */
const runTo =
	(address: bigint, stack = 0n): Act =>
	(machine) => {
		(go(address, stack) as (machine: ScriptedMachine) => undefined)(machine);
		const ids = machine.breakpoints.filter((one) => one.address.value === address).map((one) => one.id);
		return ids.length > 0 ? { reason: "breakpoint", processor: 1, ids } : undefined;
	};

function finish(motion: StepMotion): Stop {
	for (let turn = 0; turn < 100; turn++) {
		const stop = motion.advance(1000, () => false);
		if (stop) return stop;
	}
	return assert.fail("the step does not end");
}

test("a line ends where the next one begins", () => {
	const { values, motion } = setUp([]);
	assert.equal(finish(motion()).reason, "step");
	assert.equal(values.get("eip"), 0x104n);
});

test("over a call: runs to its return at the same depth; a return of a deeper activation does not count", () => {
	// call +0x1fb
	const { machine, values, motion, store } = setUp([0xe8, 0xfb, 1, 0, 0]);
	machine.script.push(runTo(0x105n, -0x40n), runTo(0x105n, 0x40n));
	const step = motion();
	assert.equal(finish(step).reason, "step");
	step.finish();
	assert.equal(values.get("eip"), 0x108n);
	assert.deepEqual([machine.breakpoints, store.at(0x105n, 1)], [[], []]);
});

test("into a call: stops behind the prologue; code without lines is run to its return", () => {
	const { machine, values, motion } = setUp([0xe8, 0xfb, 1, 0, 0], { kind: "in" });
	machine.script.push(go(0x300n, -4n), runTo(0x304n));
	assert.equal(finish(motion()).reason, "step");
	assert.equal(values.get("eip"), 0x304n);
	const foreign = setUp([0xe8, 0xfb, 0x1f, 0, 0], { kind: "in" });
	foreign.machine.script.push(go(0x2100n, -4n), runTo(0x105n, 4n));
	assert.equal(finish(foreign.motion()).reason, "step");
	assert.equal(foreign.values.get("eip"), 0x108n);
});

test("a fault on the way runs its handler and comes back; by instruction it is stepped into", () => {
	const { machine, values, motion } = setUp([]);
	machine.script.push(go(0x500n, -12n), runTo(0x100n, 12n));
	assert.equal(finish(motion()).reason, "step");
	assert.equal(values.get("eip"), 0x104n);
	const into = setUp([], { kind: "in", granularity: "instruction" });
	into.machine.script.push(go(0x500n, -12n));
	assert.equal(finish(into.motion()).reason, "step");
	assert.equal(into.values.get("eip"), 0x500n);
});

test("a jump that nothing explains, without a frame on the stack, is no fault to wait for", () => {
	const { machine, values, motion } = setUp([]);
	machine.script.push(go(0x204n));
	assert.equal(finish(motion()).reason, "step");
	assert.equal(values.get("eip"), 0x204n);
});

test("a return ends the step in the caller, in the middle of its line", () => {
	const { machine, values, motion } = setUp([0xc3]);
	machine.script.push(go(0x206n, 4n));
	assert.equal(finish(motion()).reason, "step");
	assert.equal(values.get("eip"), 0x206n);
});

test("a user's breakpoint on the way ends the step there, once its condition agreed", () => {
	const { machine, values, store, motion } = setUp([]);
	const placement = { addresses: [{ space: "lin" as const, value: 0x102n }] };
	const trigger = new Trigger(undefined, undefined, undefined);
	store.replace("instruction", "", [{ key: "x", trigger, place: () => placement }]);
	const step = motion();
	const stop = step.advance(1000, () => false);
	assert.equal(stop?.reason, "breakpoint");
	assert.equal(values.get("eip"), 0x102n);
	// It did not count: the step goes on to its end.
	assert.equal(step.advance(1000, () => false)?.reason, "step");
	assert.equal(values.get("eip"), 0x104n);
	step.finish();
	assert.equal(machine.breakpoints.length, 1);
});

test("over HLT, INT n and a repeated string instruction: a run to what follows", () => {
	for (const code of [[0xf4], [0xcd, 0x80], [0xf3, 0xa4]]) {
		const { machine, values, motion } = setUp(code, { granularity: "instruction" });
		const next = 0x100n + BigInt(code.length);
		machine.script.push(runTo(next));
		assert.equal(finish(motion()).reason, "step");
		assert.equal(values.get("eip"), next);
	}
});

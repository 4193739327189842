import assert from "node:assert/strict";
import { test } from "node:test";
import { VmEventLog } from "./vm-events.ts";

test("events come back newest first, by kind and reason, a page at a time", () => {
	let now = 0;
	const log = new VmEventLog(() => now);
	for (now = 0; now < 10; now++) log.record(now % 2 ? "exit" : "hypercall", `r${now % 3}`, 1, now * 16);
	assert.deepEqual(
		log.read({ limit: 3 }).map((event) => event.sequence),
		[9, 8, 7],
	);
	assert.deepEqual(
		log
			.read({ limit: 9, before: 7, kinds: ["exit"] })
			.map(({ sequence, kind, instruction }) => [sequence, kind, instruction]),
		[
			[5, "exit", 80n],
			[3, "exit", 48n],
			[1, "exit", 16n],
		],
	);
	assert.deepEqual(
		log.read({ limit: 9, reason: "r0", kinds: ["hypercall", "hypercall"] }).map((event) => event.sequence),
		[6, 0],
	);
	assert.equal(log.total, 10);
	log.clear();
	assert.deepEqual([log.total, log.read({ limit: 9 }), log.counts()], [0, [], []]);
});

test("the address of an instruction in the upper half is no negative number", () => {
	const log = new VmEventLog(() => 0);
	log.record("interrupt", "event upcall", 1, -0x7fff_f000n);
	assert.equal(log.read({ limit: 1 })[0]!.instruction, 0xffff_ffff_8000_1000n);
});

test("a flood of one kind leaves the events of another, and all are counted", () => {
	const log = new VmEventLog(() => 0, 4);
	log.record("hypercall", "mmu_update", 1, 0x1000n, [{ name: "count", value: 1n }]);
	for (let index = 0; index < 100; index++) log.record("true-fault", "#PF", 1, index);
	assert.equal(log.read({ limit: 1000 }).length, 5);
	assert.deepEqual(log.read({ limit: 1, kinds: ["hypercall"] })[0]!.detail, [{ name: "count", value: 1n }]);
	assert.deepEqual(log.counts(), [
		{ kind: "true-fault", reason: "#PF", count: 100 },
		{ kind: "hypercall", reason: "mmu_update", count: 1 },
	]);
});

test("reasons beyond the bound are counted together", () => {
	const log = new VmEventLog(() => 0);
	for (let index = 0; index < 600; index++) log.record("exit", `reason ${index}`, 1);
	assert.ok(log.counts().length <= 513);
	assert.equal(
		log.counts().reduce((sum, { count }) => sum + count, 0),
		600,
	);
	assert.equal(log.read({ limit: 1 })[0]!.instruction, undefined);
});

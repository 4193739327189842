import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHitCondition } from "./hit-condition.ts";
import { fillLogMessage } from "./log-message.ts";
import { Trigger, type TriggerScope } from "./trigger.ts";

const scope: TriggerScope = {
	number: (expression) => {
		if (expression === "bad") throw new Error("no such name");
		return BigInt(expression);
	},
	show: (expression) => `<${expression}>`,
};

function stopsAt(text: string, hits = 10): number[] {
	const condition = parseHitCondition(text);
	return Array.from({ length: hits }, (_, index) => index + 1).filter(condition);
}

test("hit counts", () => {
	assert.deepEqual(stopsAt("5"), [5]);
	assert.deepEqual(stopsAt("== 5"), [5]);
	assert.deepEqual(stopsAt(">8"), [9, 10]);
	assert.deepEqual(stopsAt(">= 9"), [9, 10]);
	assert.deepEqual(stopsAt("<3"), [1, 2]);
	assert.deepEqual(stopsAt("<=2"), [1, 2]);
	assert.deepEqual(stopsAt("%3"), [3, 6, 9]);
	for (const text of ["", "x", "%0", "5 times", "-1"]) assert.throws(() => parseHitCondition(text), /Hit count/);
});

test("a condition decides before the hit is counted", () => {
	const trigger = new Trigger("0", "1", undefined);
	assert.deepEqual(trigger.hit(scope), { stop: false });
	const counted = new Trigger("1", "2", undefined);
	assert.deepEqual([counted.hit(scope).stop, counted.hit(scope).stop, counted.hit(scope).stop], [false, true, false]);
	counted.reset();
	assert.deepEqual([counted.hit(scope).stop, counted.hit(scope).stop], [false, true]);
});

test("a condition that cannot be evaluated stops and says why", () => {
	assert.deepEqual(new Trigger("bad", undefined, undefined).hit(scope), {
		stop: true,
		output: 'The condition "bad" cannot be evaluated: no such name',
	});
});

test("a log message is printed and does not stop", () => {
	assert.deepEqual(new Trigger(undefined, undefined, "eax is {eax}, {{literally}}").hit(scope), {
		stop: false,
		output: "eax is <eax>, {literally}",
	});
	assert.equal(
		fillLogMessage("no braces", () => assert.fail()),
		"no braces",
	);
});

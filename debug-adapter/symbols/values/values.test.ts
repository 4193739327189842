import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EvaluationError } from "../errors.ts";
import { evaluate } from "../expression/evaluate.ts";
import { enumeration, member, sampleMachine, struct, TestMachine } from "../fixtures/machine.test.ts";
import { BuiltinTypes } from "../types/builtin-types.ts";
import type { CType } from "../types/c-type.ts";
import { declaration, typeName } from "../types/c-type.ts";
import { childrenOf } from "./children.ts";
import { formatValue } from "./format.ts";
import { decodeScalar, encodeScalar } from "./number.ts";
import { setValue } from "./set-value.ts";
import { bytesValue, type CValue, integerBytes, partOf, readValue } from "./value.ts";

const types = new BuiltinTypes(4);

function text(value: CValue, machine = sampleMachine()): string {
	return formatValue(value, machine).text;
}

test("type names and declarations are written as in C", () => {
	const int = types.get("int");
	const callback: CType = {
		kind: "function",
		result: int,
		parameters: [types.pointerTo(struct("task", 4, [])), types.get("unsigned int")],
		isVariadic: false,
		isPrototyped: true,
	};
	const constant: CType = { kind: "qualified", qualifier: "const", target: types.get("char") };
	const table: CType = { kind: "array", count: 3, element: { kind: "array", count: 4, element: int } };
	const cases: [CType, string, string][] = [
		[int, "int", "int x"],
		[types.pointerTo(constant), "const char *", "const char *x"],
		[{ kind: "qualified", qualifier: "volatile", target: types.pointerTo(int) }, "int *volatile", "int *volatile x"],
		[table, "int [3][4]", "int x[3][4]"],
		[types.pointerTo(table), "int (*)[3][4]", "int (*x)[3][4]"],
		[types.pointerTo(callback), "int (*)(struct task *, unsigned int)", "int (*x)(struct task *, unsigned int)"],
		[
			{ kind: "array", count: 2, element: types.pointerTo(callback) },
			"int (*[2])(struct task *, unsigned int)",
			"int (*x[2])(struct task *, unsigned int)",
		],
		[{ ...callback, parameters: [], isVariadic: false }, "int (void)", "int x(void)"],
		[{ ...callback, parameters: [int], isVariadic: true }, "int (int, ...)", "int x(int, ...)"],
		[struct(undefined, 4, []), "struct {...}", "struct {...} x"],
	];
	for (const [type, name, declared] of cases) {
		assert.equal(typeName(type), name);
		assert.equal(declaration(type, "x"), declared);
	}
});

test("a type that refers to itself without end is still named and measured", () => {
	const loop: { kind: "typedef"; name: string; target: CType } = {
		kind: "typedef",
		name: "loop",
		target: types.get("int"),
	};
	loop.target = { kind: "qualified", qualifier: "const", target: loop };
	assert.equal(typeName(loop), "loop");
	const pointer = { kind: "pointer", size: 4, symbol: "*" } as {
		kind: "pointer";
		size: number;
		symbol: "*";
		target: CType;
	};
	pointer.target = pointer;
	assert.match(typeName(pointer), /^\.\.\. \*+$/);
	assert.equal(text(bytesValue(loop, integerBytes(1n, 4))), "void");
});

test("scalars are shown by their type", () => {
	const show = (type: CType, value: bigint, size: number) => text(bytesValue(type, integerBytes(value, size)));
	assert.equal(show(types.get("unsigned char"), 0xffn, 1), "255 '\\xff'");
	assert.equal(show(types.get("char"), 34n, 1), "34 '\"'");
	assert.equal(show(types.get("char"), 39n, 1), "39 '\\''");
	assert.equal(show(types.get("long long"), -5n, 8), "-5");
	assert.equal(show(types.get("unsigned __int128"), 1n << 100n, 16), String(1n << 100n));
	assert.equal(show(types.get("_Bool"), 7n, 1), "true (7)");
	assert.equal(show(enumeration("e", { A: 1, B: 4 }), 5n, 4), "A | B (5)");
	assert.equal(show(enumeration("e", { A: 1, B: 4 }), 7n, 4), "7");
	assert.equal(show(enumeration("e", { A: -1 }, true), 0xffffffffn, 4), "A (-1)");
	assert.equal(show(types.pointerTo(types.get("int")), 0n, 4), "0x0");
	const float = (value: number, name: string, size: number) =>
		text(bytesValue(types.get(name), encodeScalar({ kind: "float", value }, types.get(name), size)));
	assert.equal(float(0.1, "float", 4), "0.1");
	assert.equal(float(-0, "double", 8), "-0");
	assert.equal(float(Number.POSITIVE_INFINITY, "long double", 12), "Infinity");
	assert.equal(float(3.25, "long double", 12), "3.25");
});

test("every double survives the extended format", () => {
	fc.assert(
		fc.property(fc.double(), (value) => {
			const type = types.get("long double");
			const read = decodeScalar(type, encodeScalar({ kind: "float", value }, type, 12));
			assert.ok(Object.is(read.value, value), `${value} became ${read.value}`);
		}),
	);
});

test("a record shows a preview, its members, and their expressions", () => {
	const machine = sampleMachine();
	const { value } = evaluate("task", machine);
	const shown = formatValue(value, machine);
	assert.equal(
		shown.text,
		'{name = 0x2000 "hello", flag_a = 1, flag_b = 5, signed_bits = -9, where = {x = 40, y = -2}, ...}',
	);
	assert.deepEqual(shown.memory, { space: "lin", address: 0x1000n, length: 48 });
	assert.equal(shown.hasChildren, true);
	const children = childrenOf(value, "task", machine);
	assert.deepEqual(
		children.map(({ name, evaluateName, value }) => `${name}: ${text(value, machine)} (${evaluateName})`),
		[
			'name: 0x2000 "hello" (task.name)',
			"flag_a: 1 (task.flag_a)",
			"flag_b: 5 (task.flag_b)",
			"signed_bits: -9 (task.signed_bits)",
			"where: {x = 40, y = -2} (task.where)",
			"{union}: {word = 67305985, bytes = {1 '\\x01', 2 '\\x02', 3 '\\x03', 4 '\\x04'}} (task)",
			"color: GREEN (5) (task.color)",
			"ratio: 1.5 (task.ratio)",
			'text: "abc\\n" (task.text)',
			"next: 0x1008 (task.next)",
			"ready: true (task.ready)",
			"access: READ | EXECUTE (5) (task.access)",
		],
	);
	for (const { evaluateName, value } of children) {
		if (evaluateName !== "task")
			assert.equal(text(evaluate(evaluateName!, machine).value, machine), text(value, machine));
	}
});

test("arrays are paged, pointers lead to what they point to", () => {
	const machine = sampleMachine();
	const numbers = evaluate("numbers", machine).value;
	assert.equal(formatValue(numbers, machine).indexedChildren, 4);
	assert.deepEqual(
		childrenOf(numbers, "numbers", machine, 1, 2).map(({ name, evaluateName }) => [name, evaluateName]),
		[
			["[1]", "numbers[1]"],
			["[2]", "numbers[2]"],
		],
	);
	assert.deepEqual(childrenOf(numbers, "numbers", machine, 4, 2), []);
	const pointer = evaluate("p", machine).value;
	assert.deepEqual(formatValue(pointer, machine).memory, { space: "lin", address: 0x1000n, length: undefined });
	assert.equal(childrenOf(pointer, "p", machine)[1]!.evaluateName, "(*p).flag_a");
	const name = evaluate("task.name", machine).value;
	assert.deepEqual(
		childrenOf(name, "task.name", machine).map(({ name, evaluateName }) => [name, evaluateName]),
		[["*task.name", "*task.name"]],
	);
	assert.equal(formatValue(evaluate("(int *)0", machine).value, machine).hasChildren, false);
	assert.equal(formatValue(evaluate("(void *)1", machine).value, machine).hasChildren, false);
	assert.equal(formatValue(evaluate("gone", machine).value, machine).hasChildren, false);
	assert.deepEqual(childrenOf(evaluate("lost", machine).value, "lost", machine), []);
});

test("a value in pieces is put together, and missing pieces are said to be missing", () => {
	const machine = sampleMachine();
	const point = machine.named.get("struct point")!;
	const register = { kind: "register", id: 3, bits: 32, value: 0x11223344n, offset: 0 } as const;
	const gone = { kind: "unavailable", reason: "optimized out" } as const;
	const value: CValue = {
		type: point,
		space: "lin",
		storage: {
			kind: "pieces",
			offset: 0,
			pieces: [
				{ storage: register, bitSize: 32, bitOffset: 0 },
				{ storage: gone, bitSize: 32, bitOffset: 0 },
			],
		},
	};
	assert.equal(text(value, machine), "{x = 287454020, y = <optimized out>}");
	const half = partOf(value, 2, types.get("unsigned short"));
	assert.deepEqual(readValue(half, machine), { bytes: Uint8Array.of(0x22, 0x11) });
});

test("setting a value: forms, ranges, places", () => {
	const machine = sampleMachine();
	const set = (expression: string, input: string) => {
		setValue(evaluate(expression, machine).value, input, machine);
		return text(evaluate(expression, machine).value, machine);
	};
	assert.equal(set("task.where.x", "0x10 + 1"), "17");
	assert.equal(set("task.where.x", "'a'"), "97");
	assert.equal(set("task.where.x", "4294967295"), "-1");
	assert.equal(set("task.signed_bits", "-16"), "-16");
	assert.equal(set("task.flag_b", "7"), "7");
	assert.equal(set("task.flag_a", "0"), "0");
	assert.equal(set("task.signed_bits", "3"), "3");
	assert.equal(text(evaluate("task.flag_b", machine).value, machine), "7");
	assert.equal(set("task.color", "RED"), "RED (0)");
	assert.equal(set("task.access", "WRITE | READ"), "READ | WRITE (3)");
	assert.equal(set("task.ready", "false"), "false");
	assert.equal(set("task.ready", "2"), "true");
	assert.equal(set("task.ratio", "-2.5"), "-2.5");
	assert.equal(set("task.next", "&numbers[2]"), "0x3008");
	assert.equal(set("task.text", '"hi"'), '"hi"');
	assert.equal(set("task.text", '"12345678"'), '"12345678"');
	assert.equal(set("$eax", "cr3 + 1"), "0x5001");
	assert.equal(set("numbers[3]", "numbers[1] * 21"), "42");
	const refuse = (expression: string, input: string, why: RegExp) => {
		const before = [...machine.memory];
		assert.throws(
			() => setValue(evaluate(expression, machine).value, input, machine),
			(error) => error instanceof EvaluationError && why.test(error.message),
		);
		assert.deepEqual([...machine.memory], before);
	};
	refuse("task.bytes[0]", "300", /300 does not fit into "unsigned char"/);
	refuse("task.flag_b", "8", /8 does not fit into a bit-field of 3 bits/);
	refuse("task.where.x", "1.5", /1\.5 is not an integer/);
	refuse("task.where.x", "task.where.y = 3", /would change the guest/);
	refuse("task.where.x", "nonsense", /There is no variable, register or symbol "nonsense"/);
	refuse("task.where.x", "", /The expression is empty/);
	refuse("task.where", "1", /cannot be set as a whole/);
	refuse("numbers", "1", /An array is set element by element/);
	refuse("task.text", '"123456789"', /The text has 9 bytes, but the array only 8/);
	refuse("lost", "1", /memory at 0x9000 cannot be written/);
	refuse("gone", "1", /it cannot be written: optimized out/);
	refuse("1 + 1", "1", /this is a value without a place/);
});

test("any integer that is set is read back", () => {
	const widths = ["unsigned char", "short", "unsigned int", "long long"] as const;
	fc.assert(
		fc.property(fc.constantFrom(...widths), fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), (name, number) => {
			const machine = new TestMachine(8);
			const type = machine.types.get(name);
			machine.put("lin", 0x100n, new Uint8Array(16));
			machine.define("x", type, 0x100n);
			const bits = type.size * 8;
			const value = machine.variables.get("x")!;
			const fits = number >= -(1n << BigInt(bits - 1)) && number < 1n << BigInt(bits);
			const input = number < 0n ? `-${-number}` : `${number}`;
			if (!fits) assert.throws(() => setValue(value, input, machine), EvaluationError);
			else {
				setValue(value, input, machine);
				const read = readValue(value, machine);
				assert.deepEqual(read, { bytes: integerBytes(number, type.size) });
			}
		}),
	);
});

test("bit-fields of any place and width keep their neighbours", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: 0, max: 40 }),
			fc.integer({ min: 1, max: 24 }),
			fc.bigInt({ min: 0n, max: (1n << 72n) - 1n }),
			(offset, size, before) => {
				const machine = new TestMachine(8);
				const unsigned = machine.types.get("unsigned int");
				machine.put("lin", 0x100n, integerBytes(before, 9));
				machine.define("s", struct("s", 9, [member("f", unsigned, 0, [offset, size])]), 0x100n);
				const field = evaluate("s.f", machine).value;
				const mask = ((1n << BigInt(size)) - 1n) << BigInt(offset);
				const wanted = ((before & mask) >> BigInt(offset)) ^ ((1n << BigInt(size)) - 1n);
				setValue(field, String(wanted), machine);
				const after = machine.readMemory("lin", 0x100n, 9)!;
				assert.deepEqual(after, integerBytes(before ^ mask, 9));
			},
		),
	);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
	type Build,
	describeBuild,
	memoryReader,
	missing,
	type Program,
	program,
	record,
	registersOf,
} from "./fixtures/programs.test.ts";
import {
	childrenOf,
	type EvaluationEnvironment,
	EvaluationError,
	evaluate,
	formatValue,
	readScalar,
	registerModel,
	SymbolTable,
	typeName,
} from "./index.ts";

const skip = missing("gcc", "gdb");

const builds: readonly Build[] = [
	{ bits: 32, dwarf: 5, optimize: "0" },
	{ bits: 64, dwarf: 4, optimize: "0" },
	{ bits: 64, dwarf: 5, optimize: "2" },
];

/** Evaluated in leaf() by gdb and by this reader. */
const expressions = [
	"task->where.x",
	"task->flag_a + task->flag_b",
	"task->flag_b",
	"task->signed_bits",
	"task->wide",
	"task->wide * 2",
	"depth + 1",
	"counter",
	"~counter",
	"-counter / 2",
	"counter % 5",
	"tasks[0].matrix[1][2]",
	"tasks[0].matrix[1][0] << 3",
	"*tasks[0].registers",
	"*tasks[0].registers >> 60",
	"&tasks[2] - &tasks[0]",
	"sizeof(struct task)",
	"sizeof tasks",
	"sizeof(tasks[0].matrix[0])",
	"(unsigned char)tasks[0].state",
	"(signed char)tasks[0].state",
	"tasks[0].color == GREEN",
	"tasks[0].color",
	"tasks[0].access",
	"(int)BLUE",
	"WHITE",
	"tasks[0].handler",
	"tasks[0].handler == handle",
	"tasks[0].pair.low",
	"tasks[0].pair.high",
	"tasks[0].word >> 8",
	"tasks[0].bytes[3]",
	"tasks[0].ratio * 2",
	"tasks[0].scale",
	"tasks[0].extended",
	"tasks[0].ready && counter",
	"&tasks[0].pair.high",
	"&tasks[0].matrix[1]",
	"*(short *)((char *)&tasks + 1)",
	"(unsigned long)&tasks[2]",
	"tasks[0].next == &tasks[1]",
	"tasks[0].next->name",
	"1 ? tasks[0].letter : 0",
	"tasks[0].text[3]",
	"(unsigned short)small",
	"*(unsigned short *)tasks[0].anything",
	"tasks[0].ratio > 1.25",
	"(int)tasks[0].scale",
	"task == tasks",
];

/** The environment of the newest frame of a recording. */
function environmentOf(of: Program): EvaluationEnvironment {
	const recording = record(of, expressions);
	const readMemory = memoryReader([recording.stack, ...recording.memory]);
	const registers = registersOf(recording.frames[0]!.registers);
	const model = of.file.registers;
	const pc = registers.get(model.returnAddress)!;
	const caller = of.table.unwind(registers, model, readMemory, false);
	return of.table.environment({
		addressSize: of.file.addressSize,
		sideEffects: false,
		lookupRegister: (name) => {
			const number = model.names.indexOf(name);
			const value = registers.get(number);
			return value === undefined ? undefined : { id: name, bits: of.build.bits, value };
		},
		readMemory: (space, address, length) => (space === "lin" ? readMemory(address, length) : undefined),
		frame: {
			virtual: of.table.framesAt(pc)[0]!,
			context: { pc, readRegister: (number) => registers.get(number), readMemory, cfa: caller?.cfa },
		},
	});
}

for (const build of builds) {
	test(`expressions agree with gdb: ${describeBuild(build)}`, { skip }, () => {
		const of = program(build);
		const recording = record(of, expressions);
		const environment = environmentOf(of);
		for (const text of expressions) {
			const expected = recording.expressions[text]!;
			assert.equal(expected.error, undefined, `gdb on ${text}`);
			const { value } = evaluate(text, environment);
			const scalar = readScalar(value, environment);
			assert.ok(!("reason" in scalar), `${text}: ${"reason" in scalar ? scalar.reason : ""}`);
			if (scalar.kind === "float") assert.equal(scalar.value, Number(expected.value), text);
			else assert.equal(String(scalar.value), expected.value, text);
			// gdb gives sizes and distances as long on every machine; C has them as int and unsigned int on i386.
			if (!/sizeof|-|>|==|&&|:/.test(text)) {
				const normal = (name: string) => name.replaceAll(/\s*([*()[\]])\s*/g, "$1");
				assert.equal(normal(typeName(value.type)), normal(expected.type), text);
			}
		}
	});

	test(`values of a program are shown: ${describeBuild(build)}`, { skip }, () => {
		const environment = environmentOf(program(build));
		const show = (text: string) => {
			const { value, format } = evaluate(text, environment);
			return formatValue(value, environment, format).text;
		};
		assert.match(show("tasks[0].name"), /^0x[0-9a-f]+( <[^>]*>)? "hello"$/);
		assert.match(show("tasks[0].handler"), /^0x[0-9a-f]+ <handle(\.\w+)*>$/);
		assert.equal(show("tasks[0].text"), '"abcdefghijklmno"');
		assert.equal(show("tasks[0].matrix"), "{{0, 1, 2}, {10, 11, 12}}");
		assert.equal(show("tasks[0].color"), "GREEN (5)");
		assert.equal(show("tasks[0].access"), "READ | EXECUTE (5)");
		assert.equal(show("tasks[0].wide,x"), "0xabcdef0123");
		assert.equal(show("task->where"), "{x = 40, y = -2}");
		assert.match(show("*task"), /^\{name = 0x[0-9a-f]+.* "hello", state = 129 '\\x81', flag_a = 1, flag_b = 5, /);
		assert.match(show("leaf"), /^\{int \(struct task \*, unsigned int\)\} 0x[0-9a-f]+ <leaf>$/);
		const children = childrenOf(evaluate("task", environment).value, "task", environment);
		assert.ok(children.some(({ name, evaluateName }) => name === "where" && evaluateName === "(*task).where"));
		const pc = show(build.bits === 64 ? "$rip" : "$eip");
		assert.match(pc, /^0x[0-9a-f]+$/);
		assert.throws(() => evaluate("tasks[0].secret->x", environment), /The members of "struct opaque" are not known/);
		assert.throws(() => evaluate("no_such_thing", environment), EvaluationError);
	});
}

test("two files are asked as one, and one can be taken away", { skip }, () => {
	const first = program({ bits: 64, dwarf: 4, optimize: "0" });
	const second = program({ bits: 64, dwarf: 5, optimize: "2" });
	const bias = 0xffffffff80000000n;
	const table = new SymbolTable();
	table.add(first.bytes, { name: "first" });
	const added = table.add(second.bytes, { name: "second", bias });
	const low = first.file.symbolsNamed("leaf")[0]!.address;
	const high = second.file.symbolsNamed("leaf")[0]!.address + bias;
	assert.equal(table.nameAt(low + 4n), "leaf+0x4");
	assert.equal(table.nameAt(high), "leaf");
	assert.equal(table.fileAt(high)?.name, "second");
	assert.deepEqual(
		table.symbolsNamed("leaf").map(({ address }) => address),
		[low, high],
	);
	assert.deepEqual(
		new Set(table.locationsOfFunction("leaf").map(({ file }) => file.name)),
		new Set(["first", "second"]),
	);
	assert.equal(table.locationsOfLine("program.c", 60).length, 2);
	table.remove(added);
	assert.equal(table.nameAt(high), undefined);
	assert.equal(table.lineAt(high), undefined);
	assert.deepEqual(table.framesAt(high), []);
	assert.deepEqual(table.namesWithPrefix("lea"), ["leaf"]);
});

test("code without call frame information is unwound by its frame pointer", () => {
	const table = new SymbolTable();
	const memory = new Map([
		[0x1000n, 0x1010n],
		[0x1004n, 0x8888n],
		[0x0ffcn, 0x7777n],
	]);
	const readMemory = (address: bigint, length: number) => {
		const value = memory.get(address);
		if (value === undefined || length !== 4) return undefined;
		return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
	};
	const model = registerModel("i386");
	const registers = new Map([
		[model.stackPointer, 0xff8n],
		[model.framePointer, 0x1000n],
		[model.returnAddress, 0x5555n],
	]);
	// No file knows the caller's code, so that the stack ends here.
	assert.equal(table.unwind(registers, model, readMemory, false), undefined);
	table.isCode = () => true;
	const caller = table.unwind(registers, model, readMemory, false)!;
	assert.equal(caller.by, "frame-pointer");
	assert.equal(caller.returnAddress, 0x8888n);
	assert.equal(caller.cfa, 0x1008n);
	assert.deepEqual(
		[...caller.registers],
		[
			[model.framePointer, 0x1010n],
			[model.stackPointer, 0x1008n],
			[model.returnAddress, 0x8888n],
		],
	);
	// A frame pointer below the stack pointer, or a chain that does not rise, is none.
	assert.equal(
		table.unwind(new Map([...registers, [model.stackPointer, 0x1004n]]), model, readMemory, false),
		undefined,
	);
	memory.set(0x1000n, 0x1000n);
	assert.equal(table.unwind(registers, model, readMemory, false), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import fc from "fast-check";
import { type Build, describeBuild, missing, program } from "./fixtures/programs.test.ts";
import { childrenOf, EvaluationError, evaluate, formatValue, SymbolError, SymbolTable, typeName } from "./index.ts";

const skip = missing("gcc");

const builds: readonly Build[] = [
	{ bits: 32, dwarf: 4, optimize: "2" },
	{ bits: 64, dwarf: 5, optimize: "2" },
	{ bits: 64, dwarf: 5, optimize: "s", extra: ["-fdebug-types-section", "-gz=zlib"] },
	{ bits: 64, dwarf: 4, optimize: "1", extra: ["-fdebug-types-section", "-ffunction-sections"] },
];

/** How long one damaged file may keep the reader busy; a sound one takes a few milliseconds. */
const timeLimit = 5000;

/** Asks everything that can be asked. Each question may be refused, but only by a typed error of one sentence. */
function askEverything(bytes: Uint8Array): { answers: number; refusals: Set<string> } {
	const refusals = new Set<string>();
	let answers = 0;
	const ask = <T>(question: () => T): T | undefined => {
		try {
			const answer = question();
			answers++;
			return answer;
		} catch (error) {
			if (!(error instanceof SymbolError || error instanceof EvaluationError)) throw error;
			assert.match(error.message, /^[^\n]+$/);
			assert.ok(error.message.length < 400, error.message);
			refusals.add(error.message);
			return undefined;
		}
	};
	const started = performance.now();
	const table = new SymbolTable();
	const inflate = (data: Uint8Array) => new Uint8Array(inflateSync(data, { maxOutputLength: 1 << 24 }));
	const file = ask(() => table.add(bytes, { name: "damaged", inflate }));
	if (!file) return { answers, refusals };
	const readMemory = (address: bigint, length: number) =>
		Uint8Array.from({ length }, (_, i) => Number((address + BigInt(i)) & 0xffn));
	const model = file.registers;
	ask(() => file.elf.buildId);
	ask(() => table.sourcePaths());
	for (const line of [1, 59, 86, 110]) ask(() => table.locationsOfLine("program.c", line));
	ask(() => table.linesWithCode("program.h"));
	for (const name of ["leaf", "twice", "start", "fill"]) ask(() => table.locationsOfFunction(name));
	const text = ask(() => file.elf.section(".text"));
	const start = text?.address ?? file.entry;
	for (let address = start; address < start + 0x240n; address += 7n) {
		ask(() => table.lineAt(address));
		ask(() => table.nameAt(address));
		const frames = ask(() => table.framesAt(address)) ?? [];
		const registers = new Map(model.names.map((_, number) => [number, 0x7fff0000n + BigInt(number) * 16n]));
		registers.set(model.returnAddress, address);
		const caller = ask(() => table.unwind(registers, model, readMemory, false));
		const context = {
			pc: address,
			readRegister: (register: number) => registers.get(register),
			readMemory,
			cfa: caller?.cfa,
		};
		for (const frame of frames) {
			const environment = table.environment({
				addressSize: file.addressSize,
				sideEffects: false,
				lookupRegister: () => undefined,
				readMemory: (_space, at, length) => readMemory(at, length),
				frame: { virtual: frame, context },
			});
			for (const variable of ask(() => frame.file.variablesOf(frame)) ?? []) {
				const value = ask(() => frame.file.valueOf(variable, context));
				if (!value) continue;
				ask(() => typeName(value.type));
				ask(() => formatValue(value, environment));
				for (const child of ask(() => childrenOf(value, variable.name, environment, 0, 20)) ?? []) {
					ask(() => formatValue(child.value, environment));
				}
			}
			ask(() => evaluate("task->next->where.x + counter", environment));
		}
	}
	const environment = table.environment({
		addressSize: file.addressSize,
		sideEffects: false,
		lookupRegister: () => undefined,
		readMemory: (_space, at, length) => readMemory(at, length),
	});
	for (const expression of ["tasks[1]", "*(struct task *)tasks", "GREEN", "sizeof(struct task)", "port", "small"]) {
		const value = ask(() => evaluate(expression, environment).value);
		if (!value) continue;
		ask(() => formatValue(value, environment));
		ask(() => childrenOf(value, expression, environment));
	}
	const took = performance.now() - started;
	assert.ok(took < timeLimit, `took ${took.toFixed(0)} ms`);
	return { answers, refusals };
}

for (const build of builds) {
	test(`a sound file is never refused: ${describeBuild(build)}`, { skip }, () => {
		const { answers, refusals } = askEverything(program(build).bytes);
		assert.deepEqual(
			[...refusals].filter((sentence) => !/^There is no|^Optimized out|^Its register|known/.test(sentence)),
			[],
		);
		assert.ok(answers > 300);
	});

	test(`a truncated file gives one clear sentence: ${describeBuild(build)}`, { skip }, () => {
		const { bytes } = program(build);
		for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 60)) {
			const { refusals } = askEverything(bytes.slice(0, length));
			assert.ok(refusals.size >= 1, `length ${length}`);
		}
	});

	test(`flipped bytes never crash or hang the reader: ${describeBuild(build)}`, { skip }, () => {
		const { bytes, file } = program(build);
		const debug = file.elf.sections.filter(({ name }) => name.startsWith(".debug") || name.startsWith(".eh_frame"));
		const position = fc.oneof(
			fc.integer({ min: 0, max: bytes.length - 1 }),
			fc
				.tuple(fc.constantFrom(...debug), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }))
				.map(([section, part]) => section.offset + Math.floor(section.size * part)),
		);
		const flips = fc.array(fc.tuple(position, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
		fc.assert(
			fc.property(flips, (changes) => {
				const damaged = bytes.slice();
				for (const [at, value] of changes) damaged[at] = value;
				askEverything(damaged);
			}),
			{ numRuns: 60 },
		);
	});
}

test("what is no ELF file for x86 is refused by one sentence", () => {
	const open = (bytes: Uint8Array) => () => new SymbolTable().add(bytes, { name: "f" });
	const header = new Uint8Array(64);
	header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
	assert.throws(open(new Uint8Array(0)), /^SymbolError: f is not an ELF file: it does not begin with 7f 45 4c 46\.$/);
	assert.throws(open(header.slice(0, 17)), /^SymbolError: f is truncated: it ends at offset 0x11/);
	header[16] = 2;
	header[18] = 40;
	assert.throws(open(header), /f is for ELF machine 40; only i386 \(3\) and x86-64 \(62\) are read\./);
	header[18] = 62;
	assert.doesNotThrow(open(header));
	header[16] = 1;
	assert.throws(open(header), /f is a relocatable object file/);
	header[5] = 2;
	assert.throws(open(header), /not a little-endian ELF file/);
	header[4] = 3;
	assert.throws(open(header), /ELF class 3/);
});

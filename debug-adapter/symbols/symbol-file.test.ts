import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
	describeBuild,
	headerPath,
	instructionAddresses,
	matrix,
	memoryReader,
	missing,
	output,
	program,
	record,
	registersOf,
	sourcePath,
} from "./fixtures/programs.test.ts";
import {
	type CValue,
	type EvaluationEnvironment,
	readScalar,
	SymbolFile,
	type SymbolFileOptions,
	strip,
	typeName,
} from "./index.ts";

const skip = missing("gcc", "objdump", "addr2line", "nm", "readelf");
const skipGdb = missing("gcc", "gdb");

for (const build of matrix) {
	// addr2line loses inlined calls in a file with DWARF 5 type units.
	const isBeyondIt = build.dwarf === 5 && build.extra?.includes("-fdebug-types-section");
	if (!isBeyondIt)
		test(`lines and inlined calls agree with addr2line: ${describeBuild(build)}`, { skip }, () => {
			const { path, file } = program(build);
			const addresses = instructionAddresses(path);
			assert.ok(addresses.length > 60);
			const input = addresses.map((address) => address.toString(16)).join("\n");
			const text = output("addr2line", ["-a", "-f", "-i", "-e", path], input);
			const blocks = text.split(/^0x/m).slice(1);
			assert.equal(blocks.length, addresses.length);
			addresses.forEach((address, i) => {
				const lines = blocks[i]!.trim().split("\n").slice(1);
				const expected: string[] = [];
				for (let j = 0; j + 1 < lines.length; j += 2) {
					const place = lines[j + 1]!.replace(/ \(discriminator \d+\)$/, "");
					expected.push(`${lines[j]} ${place}`);
				}
				// What is between functions belongs to none of them.
				if (!file.symbolAt(address)) return;
				const frames = file.framesAt(address);
				const found = frames.map(({ name, position }) => `${name} ${position?.file}:${position?.line}`);
				// addr2line takes the last row of an address, here the last that begins a statement wins: they may differ in
				// the innermost line only.
				assert.deepEqual(found.slice(1), expected.slice(1), `outer frames at 0x${address.toString(16)}`);
				assert.ok(frames[0], `no function at 0x${address.toString(16)}: ${expected[0]}`);
				// addr2line names a copy by its symbol, "sum.constprop.0".
				assert.equal(frames[0].name, expected[0]!.split(/[ .]/)[0], `function at 0x${address.toString(16)}`);
				if (expected[0]!.startsWith(`${frames[0].name} `) && !file.lineAt(address)!.isStatement)
					assert.equal(found[0], expected[0]);
			});
		});

	test(`lines agree with gdb's stops: ${describeBuild(build)}`, { skip: skip || skipGdb }, () => {
		const { path, file } = program(build);
		const addresses = instructionAddresses(path);
		const commands = addresses.flatMap((address) => ["-ex", `info line *0x${address.toString(16)}`]);
		const lines = output("gdb", ["-nx", "-batch", ...commands, path])
			.trim()
			.split("\n");
		assert.equal(lines.length, addresses.length);
		addresses.forEach((address, i) => {
			const match = /^Line (\d+) of "(.*?)"/.exec(lines[i]!);
			assert.ok(match, lines[i]);
			const found = file.lineAt(address)!;
			assert.equal(`${found.file}:${found.line}`, `${match[2]}:${match[1]}`, `at 0x${address.toString(16)}`);
			assert.ok(found.start <= address && address < found.end);
		});
	});

	test(`symbols agree with nm: ${describeBuild(build)}`, { skip }, () => {
		const { path, file } = program(build);
		for (const line of output("nm", ["--defined-only", "-S", path]).trim().split("\n")) {
			const match = /^([0-9a-f]+) ([0-9a-f]+ )?([A-Za-z]) (\S+)$/.exec(line);
			assert.ok(match, line);
			const address = BigInt(`0x${match[1]}`);
			assert.ok(
				file.symbolsNamed(match[4]!).some((symbol) => symbol.address === address),
				line,
			);
			if (match[2]) {
				const size = BigInt(`0x${match[2].trim()}`);
				assert.equal(file.symbolAt(address + size - 1n)?.name, match[4]);
			}
		}
		assert.equal(file.symbolAt(1n), undefined);
	});

	test(`unwinding each step agrees with gdb: ${describeBuild(build)}`, { skip: skipGdb }, () => {
		const of = program(build);
		const recording = record(of);
		const model = of.file.registers;
		let compared = 0;
		for (const { registers, stack, caller } of recording.steps) {
			const found = of.table.unwind(registersOf(registers), model, memoryReader([stack]), false);
			if (!caller) continue;
			const pc = BigInt(registers[String(model.returnAddress)]!);
			// Outside of the recorded piece of the stack nothing can be read.
			if (!found && !of.file.isCode(BigInt(caller[String(model.returnAddress)]!))) continue;
			assert.ok(found, `no caller at 0x${pc.toString(16)}`);
			for (const number of [model.returnAddress, model.stackPointer, ...model.preserved]) {
				assert.equal(
					found.registers.get(number),
					BigInt(caller[String(number)]!),
					`${model.names[number]} of the caller at 0x${pc.toString(16)}`,
				);
			}
			compared++;
		}
		assert.ok(compared > 50, `${compared} steps compared`);
	});

	test(`frames, parameters and locals agree with gdb: ${describeBuild(build)}`, { skip: skipGdb }, () => {
		const of = program(build);
		const recording = record(of);
		const { file, table } = of;
		const model = file.registers;
		const readMemory = memoryReader([recording.stack, ...recording.memory]);
		let registers = registersOf(recording.frames[0]!.registers);
		const found: { name: string; line: number; inlined: boolean; variables: Record<string, string> }[] = [];
		for (let depth = 0; depth < 32; depth++) {
			const pc = registers.get(model.returnAddress)!;
			const isCaller = depth > 0;
			const caller = file.unwind(registers, readMemory, isCaller);
			const lookup = isCaller ? pc - 1n : pc;
			const current = registers;
			const context = {
				pc: lookup,
				readRegister: (register: number) => current.get(register),
				readMemory,
				cfa: caller?.cfa,
			};
			for (const frame of file.framesAt(lookup)) {
				const environment = table.environment({
					addressSize: file.addressSize,
					sideEffects: false,
					lookupRegister: () => undefined,
					readMemory: (_space, address, length) => readMemory(address, length),
					frame: { virtual: frame, context },
				});
				const variables: Record<string, string> = {};
				for (const variable of file.variablesOf(frame)) {
					if (variable.isShadowed) continue;
					const value = file.valueOf(variable, context);
					const scalar = scalarText(value, environment);
					variables[`${typeName(variable.type)} ${variable.name}`] = scalar;
				}
				found.push({ name: frame.name, line: frame.position?.line ?? 0, inlined: frame.isInlined, variables });
			}
			if (frames(found).at(-1) === "_start" || !caller) break;
			registers = new Map(caller.registers);
		}
		assert.deepEqual(
			found.map(({ name, line, inlined }) => ({ name, line, inlined })),
			recording.frames.map(({ name, line, inlined }) => ({ name, line, inlined })),
		);
		recording.frames.forEach((frame, i) => {
			for (const { name, type, value } of frame.variables) {
				if (value === null) continue;
				const expected = value.startsWith("<") ? "unavailable" : value;
				const key = Object.keys(found[i]!.variables).find((candidate) => candidate.endsWith(` ${name}`));
				assert.ok(key, `${name} of ${frame.name}`);
				if (!type.includes("struct {")) assert.equal(normalType(key.slice(0, -name.length - 1)), normalType(type));
				// gdb finds some values of callers by call site parameters, which are "optimized out" here.
				if (found[i]!.variables[key] === "unavailable" && i > 0) continue;
				assert.equal(found[i]!.variables[key], expected, `${name} of ${frame.name}`);
			}
		});
	});
}

function frames(found: readonly { name: string }[]): string[] {
	return found.map(({ name }) => name);
}

/** gdb writes "int *" and "char" in the same way; only "long long" forms differ by order of words. */
function normalType(text: string): string {
	return text
		.replaceAll(/\s*([*()[\],])\s*/g, "$1")
		.replaceAll("long unsigned int", "unsigned long")
		.trim();
}

function scalarText(value: CValue, environment: EvaluationEnvironment): string {
	if (value.storage.kind === "unavailable") return "unavailable";
	const kind = strip(value.type).kind;
	if (kind !== "base" && kind !== "pointer" && kind !== "enum") return "aggregate";
	const scalar = readScalar(value, environment);
	return "reason" in scalar ? "unavailable" : String(scalar.value);
}

test("a breakpoint on a line is where gdb puts it", { skip: skip || skipGdb }, () => {
	const lines = readFileSync(sourcePath, "utf8").split("\n").length;
	for (const build of matrix) {
		const { path, table } = program(build);
		const commands = Array.from({ length: lines }, (_, i) => ["-ex", `break program.c:${i + 1}`]).flat();
		const text = output("gdb", ["-nx", "-batch", ...commands, "-ex", "info breakpoints", path]);
		const expected = new Map<number, Set<string>>();
		let number = 0;
		for (const row of text.split("\n")) {
			const head = /^(\d+)\s+breakpoint\s+keep y\s+(0x[0-9a-f]+|<MULTIPLE>)/.exec(row);
			const part = /^(\d+)\.\d+\s+y\s+(0x[0-9a-f]+)/.exec(row);
			if (head) {
				number = Number(head[1]);
				expected.set(number, new Set());
				if (head[2] !== "<MULTIPLE>") expected.get(number)!.add(BigInt(head[2]!).toString(16));
			} else if (part) expected.get(Number(part[1]))!.add(BigInt(part[2]!).toString(16));
		}
		let equal = 0;
		for (const [line, addresses] of expected) {
			const found = table.locationsOfLine(sourcePath, line).map(({ address }) => address.toString(16));
			if (addresses.size === found.length && found.every((address) => addresses.has(address))) equal++;
			// gdb keeps one place for each lexical block, this reader one for each function or inlined copy.
			for (const address of found)
				assert.ok(addresses.has(address), `${describeBuild(build)} line ${line}: 0x${address}, gdb ${[...addresses]}`);
		}
		assert.ok(equal >= expected.size * 0.9, `${describeBuild(build)}: ${equal} of ${expected.size} lines agree`);
	}
});

test("a breakpoint on a function is after its prologue, and at each inlined copy", { skip: skip || skipGdb }, () => {
	for (const build of matrix) {
		const { path, table } = program(build);
		for (const name of ["leaf", "recurse", "sum", "handle", "start", "_start", "twice", "clamp", "fill"]) {
			const text = output("gdb", ["-nx", "-batch", "-ex", `break ${name}`, "-ex", "info breakpoints", path]);
			const expected = [...text.matchAll(/^\d+(?:\.\d+)?\s.*?(0x[0-9a-f]+) in/gm)].map((match) => BigInt(match[1]!));
			const found = table.locationsOfFunction(name);
			const label = `${describeBuild(build)} ${name}`;
			assert.equal(found.length, expected.length, label);
			found.forEach(({ address, isInlined }, i) => {
				// For an inlined copy in several pieces gdb takes the first piece, here the entry that gcc names counts.
				const isInside = (at: bigint) => table.framesAt(at).some((frame) => frame.isInlined && frame.name === name);
				if (isInlined) assert.ok(isInside(address) && isInside(expected[i]!), label);
				else assert.equal(`0x${address.toString(16)}`, `0x${expected[i]!.toString(16)}`, label);
			});
		}
	}
});

test("the layout of a struct agrees with gdb", { skip: skipGdb }, () => {
	for (const build of matrix) {
		const of = program(build);
		const recording = record(of);
		const type = of.file.typeNamed("struct", "task");
		assert.ok(type?.kind === "struct");
		assert.equal(type.size, recording.size);
		assert.deepEqual(
			type.members.map(({ name, offset, bits }) => ({
				name: name ?? "",
				bit: bits?.offset ?? offset * 8,
				bits: bits?.size ?? 0,
			})),
			recording.fields.map(({ name, bit, bits }) => ({ name, bit, bits })),
		);
		recording.fields.forEach((field, i) => {
			if (field.type) assert.equal(normalType(typeName(type.members[i]!.type)), normalType(field.type), field.name);
		});
	}
});

test("lines with code, sources and path matching", { skip }, () => {
	const { table, file } = program({ bits: 32, dwarf: 5, optimize: "0" });
	assert.deepEqual(
		file.sourcePaths().filter((path) => path.endsWith("program.h") || path.endsWith("program.c")),
		[sourcePath, headerPath],
	);
	const source = readFileSync(sourcePath, "utf8").split("\n");
	const lines = table.linesWithCode("C:\\somewhere\\else\\fixtures\\program.c");
	assert.ok(lines.length > 40);
	for (const line of lines) assert.match(source[line - 1]!, /\S/);
	assert.deepEqual(
		table.linesWithCode("program.c", 57, 62),
		lines.filter((line) => line >= 57 && line <= 62),
	);
	assert.deepEqual(table.locationsOfLine("no-such-file.c", 1), []);
	assert.deepEqual(table.locationsOfLine("program.c", 100_000), []);
	const header = table.locationsOfLine("program.h", 5);
	assert.equal(header.length, 2);
	assert.ok(header.every(({ isInlined, functionName }) => isInlined && functionName === "twice"));
});

test("a load bias and section bases move every address", { skip }, () => {
	const { bytes, file } = program({ bits: 64, dwarf: 5, optimize: "2" });
	const leaf = file.symbolsNamed("leaf")[0]!.address;
	const text = file.elf.section(".text")!;
	const high = 0xffffffff80000000n;
	const variants: Omit<SymbolFileOptions, "name">[] = [
		{ bias: high },
		{ sectionBases: new Map([[".text", text.address + high]]) },
	];
	for (const options of variants) {
		const moved = SymbolFile.open(bytes, { name: "moved", ...options });
		assert.equal(moved.symbolsNamed("leaf")[0]!.address, leaf + high);
		assert.equal(moved.symbolAt(leaf + high + 1n)?.name, "leaf");
		assert.equal(moved.symbolAt(leaf)?.name, undefined);
		assert.equal(moved.lineAt(leaf + high)?.line, file.lineAt(leaf)?.line);
		assert.equal(moved.lineAt(leaf + high)?.start, file.lineAt(leaf)!.start + high);
		assert.equal(moved.framesAt(leaf + high)[0]?.name, "leaf");
		assert.deepEqual(
			moved.locationsOfFunction("twice").map(({ address }) => address - high),
			file.locationsOfFunction("twice").map(({ address }) => address),
		);
		assert.equal(moved.contains(leaf + high), true);
		assert.equal(moved.isCode(leaf), false);
	}
});

test("the build-id agrees with readelf, and compressed sections need an inflate function", { skip }, () => {
	const { path, file, bytes } = program({
		bits: 64,
		dwarf: 5,
		optimize: "s",
		extra: ["-fdebug-types-section", "-gz=zlib"],
	});
	const id = /Build ID: ([0-9a-f]+)/.exec(output("readelf", ["-n", path]))![1];
	assert.equal(file.elf.buildId, id);
	const without = SymbolFile.open(bytes, { name: "program" });
	assert.throws(() => without.lineAt(file.entry), /section \.debug_\w+ is compressed and this host has no zlib/);
	const wrong = SymbolFile.open(bytes, { name: "program", inflate: () => new Uint8Array(3) });
	assert.throws(() => wrong.lineAt(file.entry), /inflates to 3 bytes instead of \d+/);
});

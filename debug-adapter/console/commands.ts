// Commands of the debug console, beside expressions.
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, hex, splitSpace } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { annotateRow } from "../disassembly/annotate.ts";
import { CodeReader } from "../disassembly/code-reader.ts";
import { formatBytes } from "../disassembly/decoder.ts";
import { disassembleRows } from "../disassembly/rows.ts";
import type { MemoryAccess } from "../memory/memory-access.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import type { Frame } from "../stack/frame.ts";
import { formatMappings, formatWalks } from "./page-table-text.ts";

export interface CommandServices {
	readonly debuggee: Debuggee;
	readonly program: Program;
	readonly evaluator: Evaluator;
	readonly memory: MemoryAccess;
}

interface Command {
	/** What the line begins with. */
	readonly pattern: RegExp;
	readonly usage: string;
	readonly help: string;
	run(match: RegExpExecArray, frame: Frame, services: CommandServices): string;
}

const MOST_UNITS = 4096;
const MOST_MAPPINGS = 512;

const unitSizes: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };

function examine(match: RegExpExecArray, frame: Frame, services: CommandServices): string {
	const { format = "x", size, repeats } = examineFormat(match[1] ?? "", frame);
	const address = services.evaluator.address(match[2]!, frame);
	if (format === "i") return listing(address, repeats, frame, services);
	if (format === "s") return text(address, services);
	const bytes = services.memory.read(address, size * repeats, frame.processor);
	if (bytes.length === 0) throw new RequestError(`Memory at ${formatAddress(address)} cannot be read.`);
	const lines: string[] = [];
	const perLine = Math.max(1, 16 / size);
	const units = Math.floor(bytes.length / size);
	for (let unit = 0; unit < units; unit++) {
		if (unit % perLine === 0)
			lines.push(`${formatAddress({ ...address, value: address.value + BigInt(unit * size) })}:`);
		let value = 0n;
		for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[unit * size + index]!);
		lines[lines.length - 1] += ` ${unitText(value, size, format)}`;
	}
	if (bytes.length < size * repeats)
		lines.push(
			`${formatAddress({ ...address, value: address.value + BigInt(bytes.length) })}: memory cannot be read from here on`,
		);
	return lines.join("\n");
}

function unitText(value: bigint, size: number, format: string): string {
	switch (format) {
		case "d":
			return BigInt.asIntN(size * 8, value).toString();
		case "u":
			return value.toString();
		case "t":
			return `0b${value.toString(2).padStart(size * 8, "0")}`;
		case "c": {
			const code = Number(value & 0xffn);
			return code >= 32 && code < 127 ? `'${String.fromCharCode(code)}'` : `'\\x${code.toString(16).padStart(2, "0")}'`;
		}
		default:
			return `0x${value.toString(16).padStart(size * 2, "0")}`;
	}
}

function examineFormat(text: string, frame: Frame): { format: string; size: number; repeats: number } {
	const match = /^(\d*)([a-z]*)$/.exec(text);
	const letters = match?.[2] ?? "";
	const repeats = match?.[1] ? Number(match[1]) : 1;
	if (!match || !/^[xduticsbhwg]*$/.test(letters) || repeats < 1 || repeats > MOST_UNITS)
		throw new RequestError(
			`"x/${text}" is not understood: write x/16xw ADDRESS, with a count up to ${MOST_UNITS}, a format (x d u t c s i) and a size (b h w g).`,
		);
	const format = /[xduticas]/.exec(letters)?.[0] ?? "x";
	const sizeLetter = /[bhwg]/.exec(letters)?.[0];
	const word = frame.processor.codeSize() === 64 ? 8 : 4;
	const size = sizeLetter ? unitSizes[sizeLetter]! : format === "c" ? 1 : word;
	return { format, size, repeats };
}

function listing(address: Address, count: number, frame: Frame, { debuggee, program }: CommandServices): string {
	const processor =
		address.space === "lin" && debuggee.isTranslatedCode(address.value)
			? debuggee.processorFor(address.value)
			: frame.processor;
	const code = CodeReader.of(processor, address.space);
	const rows = disassembleRows(code, address.value, 0, count, () => undefined);
	const current = processor.linearInstructionPointer();
	return rows
		.map((row) => {
			const mark = address.space === "lin" && row.address === current ? "=>" : "  ";
			if (!row.readable) return `${mark} ${hex(row.address)}: memory cannot be read`;
			const { text: line, symbol } =
				address.space === "lin" ? annotateRow(row, code, program) : { text: row.text, symbol: undefined };
			const name = symbol === undefined ? "" : `${symbol}:\n`;
			return `${name}${mark} ${formatAddress({ ...address, value: row.address })}: ${formatBytes(row.bytes).padEnd(24)} ${line}`;
		})
		.join("\n");
}

function text(address: Address, { memory }: CommandServices): string {
	const bytes = memory.read(address, 1024);
	if (bytes.length === 0) throw new RequestError(`Memory at ${formatAddress(address)} cannot be read.`);
	const end = bytes.indexOf(0);
	const shown = end < 0 ? bytes : bytes.subarray(0, end);
	return `${formatAddress(address)}: ${JSON.stringify(new TextDecoder("latin1").decode(shown))}${end < 0 ? "..." : ""}`;
}

const commands: readonly Command[] = [
	{
		pattern: /^help$/,
		usage: "help",
		help: "this list",
		run: () => helpText(),
	},
	{
		pattern: /^x\/(\w*)\s+(.+)$/,
		usage: "x/16xw ADDRESS",
		help: "memory: count, format (x d u t c s, i for instructions) and size (b h w g); gpa:, hpa: and iova: choose the space",
		run: examine,
	},
	{
		pattern: /^walk\s+(.+)$/,
		usage: "walk ADDRESS",
		help: "the page walk of a linear address through every table",
		run: (match, frame, { evaluator }) => {
			const address = evaluator.address(match[1]!, frame);
			if (address.space !== "lin")
				throw new RequestError("A page walk starts from a linear address, without a prefix.");
			return formatWalks(frame.processor.walk(address.value));
		},
	},
	{
		pattern: /^info\s+mem(?:\s+([a-z]+))?$/,
		usage: "info mem [TABLE]",
		help: "the mappings of the guest's tables, or of the named ones (shadow, ...)",
		run: (match, frame) => {
			const tables = frame.processor.walk(0n).map((walk) => walk.table);
			const table = match[1] ?? tables[0] ?? "guest";
			if (!tables.includes(table))
				throw new RequestError(`There is no table "${table}" now: the tables are ${tables.join(", ") || "none"}.`);
			return formatMappings(frame.processor.mappings(table, 0n, MOST_MAPPINGS), MOST_MAPPINGS);
		},
	},
	{
		pattern: /^info\s+registers(?:\s+([a-z0-9]+))?$/,
		usage: "info registers [GROUP]",
		help: "registers: general, segments, control, debug, msr, x87, sse",
		run: (match, frame) => {
			const group = match[1] ?? "general";
			const registers = frame.processor.registers().filter((register) => register.group === group);
			if (registers.length === 0) throw new RequestError(`There are no registers of a group "${group}".`);
			return registers
				.map(({ name, value, width, meaning }) =>
					`${name.padEnd(8)} 0x${value.toString(16).padStart(Math.ceil(width / 4), "0")}  ${meaning}`.trimEnd(),
				)
				.join("\n");
		},
	},
	{
		pattern: /^info\s+symbol\s+(.+)$/,
		usage: "info symbol ADDRESS",
		help: "the symbol and source line of an address",
		run: (match, frame, { evaluator, program }) => {
			const { value } = evaluator.address(match[1]!, frame);
			const line = program.locate(program.guestAddress(value));
			return `${program.describe(value)}${line ? ` at ${line.path}:${line.line}` : ""}`;
		},
	},
	{
		pattern: /^(?:translate|gpa)\s+(.+)$/,
		usage: "translate ADDRESS",
		help: "a linear address in the physical spaces",
		run: (match, frame, { evaluator }) => {
			const { space, rest } = splitSpace(match[1]!);
			if (space !== "lin") throw new RequestError("Only a linear address is translated, without a prefix.");
			const { value } = evaluator.address(rest, frame);
			const found = (["gpa", "hpa"] as const).flatMap((target) => {
				const address = frame.processor.translate(value, target);
				return address === undefined ? [] : [`${target}:${hex(address)}`];
			});
			return `${hex(value)} = ${found.join(" = ") || "not mapped"}`;
		},
	},
	{
		pattern: /^info\s+statistics$/,
		usage: "info statistics",
		help: "the machine's counters",
		run: (_match, _frame, { debuggee }) => JSON.stringify(debuggee.machine.statistics(), null, 2),
	},
];

function helpText(): string {
	const width = Math.max(...commands.map((command) => command.usage.length)) + 2;
	return [
		"An expression in C over symbols, registers ($eax) and memory is evaluated; an assignment changes the guest.",
		"A suffix chooses the form: value,x value,d value,b pointer,10 text,s. gpa: hpa: iova: choose an address space.",
		...commands.map((command) => `${command.usage.padEnd(width)}${command.help}`),
	].join("\n");
}

/** The output of a console command; undefined when the line is none and is to be evaluated. @throws {RequestError} */
export function runCommand(line: string, frame: Frame, services: CommandServices): string | undefined {
	const trimmed = line.trim();
	for (const command of commands) {
		const match = command.pattern.exec(trimmed);
		if (match) return command.run(match, frame, services);
	}
	const first = /^(x\/\S*|walk|info|translate)(\s|$)/.exec(trimmed)?.[1];
	if (first === undefined) return undefined;
	const fitting = commands.filter((command) => command.usage.startsWith(first.replace(/\/.*/, "")));
	throw new RequestError(`Usage: ${fitting.map((command) => command.usage).join(", or ")}.`);
}

/** Words that a line may begin with. */
export function commandWords(): string[] {
	return [
		"help",
		"x/10i ",
		"x/16xw ",
		"walk ",
		"info mem",
		"info registers",
		"info symbol ",
		"info statistics",
		"translate ",
	];
}

import { decodeText } from "../byte-reader.ts";
import type { AddressSpace, EvaluationEnvironment } from "../expression/environment.ts";
import { completed, memberValue } from "../expression/evaluator.ts";
import type { ValueFormat } from "../expression/syntax.ts";
import { type CType, type EnumType, sizeOf, strip, typeName } from "../types/c-type.ts";
import { decodeScalar, isScalar } from "./number.ts";
import { addressText, bytesToInteger, type CValue, partOf, readStorage, readValue } from "./value.ts";

/** A value as the editor shows it. */
export interface FormattedValue {
	readonly text: string;
	readonly typeName: string;
	/** Where the memory is that belongs to it: the object itself, or for a pointer what it points to. */
	readonly memory:
		| { readonly space: AddressSpace; readonly address: bigint; readonly length: number | undefined }
		| undefined;
	readonly hasChildren: boolean;
	/** Elements of an array that are to be fetched in pages; undefined when the children are named. */
	readonly indexedChildren: number | undefined;
}

/** How long a preview of a struct or array may grow. */
const previewLength = 80;
const stringLength = 200;

/** The text, type and place of a value. Never throws for what the guest holds: the text then says what is wrong. */
export function formatValue(value: CValue, environment: EvaluationEnvironment, format?: ValueFormat): FormattedValue {
	const type = completed(value.type, environment);
	const storage = value.storage;
	let memory: FormattedValue["memory"];
	if (storage.kind === "memory" && !value.bits) {
		memory = { space: storage.space, address: storage.address, length: sizeOf(type) };
	}
	if (type.kind === "pointer" || value.isAddress) {
		const read = readValue({ ...value, type }, environment);
		if ("bytes" in read) memory = { space: value.space, address: bytesToInteger(read.bytes), length: undefined };
	}
	const text = valueText(value, environment, format, 0);
	const count = type.kind === "array" ? (type.count ?? 0) : undefined;
	const isUnavailable = storage.kind === "unavailable";
	let hasChildren = false;
	if (isUnavailable) hasChildren = false;
	else if (type.kind === "struct" || type.kind === "union") hasChildren = type.members.length > 0;
	else if (type.kind === "array") hasChildren = count !== 0;
	else if (type.kind === "pointer") {
		const target = completed(type.target, environment).kind;
		hasChildren = target !== "void" && target !== "function" && memory !== undefined && memory.address !== 0n;
	}
	const name = value.isAddress ? `${value.space} address` : typeName(value.type);
	return { text, typeName: name, memory, hasChildren, indexedChildren: count === 0 ? undefined : count };
}

/** The text alone. `depth` counts how far inside a preview it stands. */
function valueText(
	value: CValue,
	environment: EvaluationEnvironment,
	format: ValueFormat | undefined,
	depth: number,
): string {
	const type = completed(value.type, environment);
	if (value.storage.kind === "unavailable") return `<${value.storage.reason}>`;
	switch (type.kind) {
		case "struct":
		case "union":
			return recordText(value, type, environment, format, depth);
		case "array":
			return arrayText(value, type, environment, format, depth);
		case "function": {
			if (value.storage.kind !== "memory") return "{function}";
			return `{${typeName(value.type)}} ${pointerText(value.storage.address, "lin", environment)}`;
		}
		case "void":
			return "void";
	}
	const read = readValue(value, environment);
	if ("reason" in read) return `<${read.reason}>`;
	const scalar = decodeScalar(type, read.bytes);
	if (scalar.kind === "float") {
		// Forms other than decimal show the bits.
		if (format && format !== "d") return integerText(bytesToInteger(read.bytes), read.bytes.length * 8, format);
		return floatText(scalar.value, read.bytes.length);
	}
	const bits = value.bits?.size ?? read.bytes.length * 8;
	if (format === "s") {
		const string = pointedString(value, type, environment, true);
		if (string !== undefined) return string;
	} else if (format) return integerText(scalar.value, bits, format);
	if (value.isAddress) return addressText(value.space, bytesToInteger(read.bytes));
	switch (type.kind) {
		case "pointer": {
			const text = pointerText(scalar.value, value.space, environment, strip(type.target).kind === "function");
			const string = depth === 0 || scalar.value !== 0n ? pointedString(value, type, environment) : undefined;
			return string === undefined ? text : `${text} ${string}`;
		}
		case "enum":
			return enumText(type, scalar.value);
		case "base":
			if (type.encoding === "boolean")
				return scalar.value === 0n ? "false" : scalar.value === 1n ? "true" : `true (${scalar.value})`;
			if (isCharacter(type))
				return `${scalar.value} ${characterText(Number(BigInt.asUintN(32, scalar.value)) & (type.size === 1 ? 0xff : 0x1fffff))}`;
			// Control registers, page-table entries and addresses are read in hexadecimal.
			if (value.storage.kind === "register" && typeof value.storage.id === "string")
				return `0x${BigInt.asUintN(bits, scalar.value).toString(16)}`;
			return scalar.value.toString();
	}
}

/** A number in a given form. Negative numbers show as their bits in all but the decimal form. */
function integerText(value: bigint, bits: number, format: ValueFormat): string {
	const raw = BigInt.asUintN(bits, value);
	switch (format) {
		case "x":
			return `0x${raw.toString(16)}`;
		case "o":
			return raw === 0n ? "0" : `0${raw.toString(8)}`;
		case "b":
			return `0b${raw.toString(2)}`;
		case "c":
			return `${value} ${characterText(Number(raw & 0xffn))}`;
		default:
			return value.toString();
	}
}

function floatText(value: number, size: number): string {
	if (Number.isNaN(value)) return "NaN";
	if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
	if (Object.is(value, -0)) return "-0";
	// The shortest text that reads back as the same float.
	if (size === 4) {
		for (let digits = 6; digits <= 9; digits++) {
			const text = String(Number(value.toPrecision(digits)));
			if (Math.fround(Number(text)) === value) return text;
		}
	}
	return String(value);
}

function isCharacter(type: CType): boolean {
	return (
		type.kind === "base" &&
		(type.encoding === "signed-char" || type.encoding === "unsigned-char" || type.encoding === "character")
	);
}

function characterText(code: number): string {
	if (code === 39) return "'\\''";
	return `'${escapeCharacter(code)}'`;
}

function escapeCharacter(code: number): string {
	const named: Record<number, string> = {
		0: "\\0",
		7: "\\a",
		8: "\\b",
		9: "\\t",
		10: "\\n",
		11: "\\v",
		12: "\\f",
		13: "\\r",
		92: "\\\\",
	};
	const known = named[code];
	if (known) return known;
	if (code < 0x20 || (code >= 0x7f && code <= 0xff)) return `\\x${code.toString(16).padStart(2, "0")}`;
	return String.fromCodePoint(Math.min(code, 0x10ffff));
}

function enumText(type: EnumType, value: bigint): string {
	const exact = type.enumerators.find((enumerator) => enumerator.value === value);
	if (exact) return `${exact.name} (${value})`;
	// Flags: single bits that together make up the value.
	const names: string[] = [];
	let rest = BigInt.asUintN(type.size * 8, value);
	for (const enumerator of type.enumerators) {
		const bit = enumerator.value;
		if (bit > 0n && (bit & (bit - 1n)) === 0n && (rest & bit) !== 0n) {
			names.push(enumerator.name);
			rest &= ~bit;
		}
	}
	return names.length > 0 && rest === 0n ? `${names.join(" | ")} (${value})` : value.toString();
}

function pointerText(address: bigint, space: AddressSpace, environment: EvaluationEnvironment, always = false): string {
	const text = addressText(space, address);
	if (space !== "lin" || address === 0n) return text;
	const symbol = environment.symbolize?.(address);
	return symbol && (always || !symbol.includes("+0x") || symbol.length < 60) ? `${text} <${symbol}>` : text;
}

/** The text that a pointer to characters, or an array of them, holds. */
function pointedString(
	value: CValue,
	type: ReturnType<typeof strip>,
	environment: EvaluationEnvironment,
	anyByte = false,
): string | undefined {
	if (type.kind !== "pointer") return undefined;
	if (!isNarrowCharacter(type.target) && !(anyByte && sizeOf(type.target) === 1)) return undefined;
	const read = readValue(value, environment);
	if ("reason" in read) return undefined;
	const address = bytesToInteger(read.bytes);
	if (address === 0n) return undefined;
	return stringAt(value.space, address, environment);
}

/** A quoted string from memory, cut at its zero byte; read in small steps, as what follows it may not be there. */
function stringAt(space: AddressSpace, address: bigint, environment: EvaluationEnvironment): string | undefined {
	const bytes: number[] = [];
	let step = 64;
	while (bytes.length < stringLength) {
		const at = address + BigInt(bytes.length);
		const length = Math.min(step - Number(at % BigInt(step)), stringLength - bytes.length);
		const chunk = environment.readMemory(space, at, length);
		if (!chunk || chunk.length < length) {
			if (step === 1) return bytes.length === 0 ? undefined : `${quote(bytes)}...`;
			step = 1;
			continue;
		}
		const zero = chunk.indexOf(0);
		bytes.push(...(zero < 0 ? chunk : chunk.subarray(0, zero)));
		if (zero >= 0) return quote(bytes);
	}
	return `${quote(bytes)}...`;
}

function quote(bytes: readonly number[]): string {
	const text = decodeText(Uint8Array.from(bytes), 0, bytes.length);
	let quoted = "";
	for (const character of text) {
		const code = character.codePointAt(0)!;
		quoted += code === 34 ? '\\"' : code < 0x80 ? escapeCharacter(code) : character;
	}
	return `"${quoted}"`;
}

/** char of any sign, but not the uint8_t that bytes are declared as: those are numbers, not text. */
function isNarrowCharacter(type: CType): boolean {
	const bare = strip(type);
	if (bare.kind !== "base" || bare.size !== 1 || bare.encoding === "boolean") return false;
	return bare.name === "char" || (isCharacter(bare) && bare.encoding === "character");
}

function recordText(
	value: CValue,
	type: Extract<CType, { kind: "struct" | "union" }>,
	environment: EvaluationEnvironment,
	format: ValueFormat | undefined,
	depth: number,
): string {
	if (type.isDeclaration) return "<incomplete type>";
	if (depth > 1) return "{...}";
	let text = "";
	for (const member of type.members) {
		if (text.length > previewLength) return `{${text}, ...}`;
		const inner = valueText(memberValue(value, member), environment, format, depth + 1);
		// What the object as a whole cannot give is said once.
		if (inner.startsWith("<memory at") && value.storage.kind === "memory") return inner;
		text += `${text === "" ? "" : ", "}${member.name === undefined ? inner : `${member.name} = ${inner}`}`;
	}
	return `{${text}}`;
}

function arrayText(
	value: CValue,
	type: Extract<CType, { kind: "array" }>,
	environment: EvaluationEnvironment,
	format: ValueFormat | undefined,
	depth: number,
): string {
	const element = completed(type.element, environment);
	const size = sizeOf(element);
	const count = type.count ?? 0;
	if (type.count === undefined || size === undefined) {
		return value.storage.kind === "memory" ? addressText(value.storage.space, value.storage.address) : "{...}";
	}
	const isText = isNarrowCharacter(element) || (format === "s" && size === 1);
	if (isText && (format === undefined || format === "s")) {
		const read = readStorage(value.storage, Math.min(count, stringLength), environment);
		if ("reason" in read) return `<${read.reason}>`;
		const zero = read.bytes.indexOf(0);
		const bytes = [...(zero < 0 ? read.bytes : read.bytes.subarray(0, zero))];
		return quote(bytes) + (zero < 0 && count > stringLength ? "..." : "");
	}
	if (depth > 1) return "{...}";
	let text = "";
	for (let i = 0; i < count; i++) {
		if (text.length > previewLength) return `{${text}, ...}`;
		const inner = valueText(partOf(value, i * size, type.element), environment, format, depth + 1);
		if (inner.startsWith("<memory at") && isScalar(element)) return text === "" ? inner : `{${text}, ${inner}}`;
		text += `${text === "" ? "" : ", "}${inner}`;
	}
	return `{${text}}`;
}

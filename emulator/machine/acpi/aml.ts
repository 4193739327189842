// Writes ACPI machine language: definition blocks out of terms, each a list of bytes.
// Reference: ACPI Specification 6.4, chapter 20 "ACPI Machine Language (AML) Specification".

import { double, quad, text, word } from "./table-bytes.ts";

/** The bytes of a term. */
export type Term = readonly number[];

const Op = {
	zero: 0x00,
	one: 0x01,
	name: 0x08,
	byte: 0x0a,
	word: 0x0b,
	double: 0x0c,
	quad: 0x0e,
	scope: 0x10,
	buffer: 0x11,
	package: 0x12,
	method: 0x14,
	dualName: 0x2e,
	multiName: 0x2f,
	extended: 0x5b,
	root: 0x5c,
	local0: 0x60,
	arg0: 0x68,
	store: 0x70,
	and: 0x7b,
	or: 0x7d,
	createDoubleField: 0x8a,
	if: 0xa0,
	else: 0xa1,
	return: 0xa4,
} as const;
/** Behind the prefix 0x5b. */
const Extended = { region: 0x80, field: 0x81, device: 0x82 } as const;

/** Address spaces of operation regions (§5.5.2.4). */
export const RegionSpace = { pciConfiguration: 2 } as const;
/** Access by bytes, no lock, other bits preserved (§20.2.5.2). */
const BYTE_ACCESS = 0x01;
const METHOD_SERIALIZED = 0x08;

/** PkgLength (§20.2.4) counts itself. */
function packageLength(rest: number): number[] {
	if (rest + 1 <= 0x3f) return [rest + 1];
	for (const more of [1, 2, 3]) {
		const total = rest + 1 + more;
		if (total < 1 << (4 + 8 * more))
			return [(more << 6) | (total & 0xf), ...Array.from({ length: more }, (_, i) => (total >>> (4 + 8 * i)) & 0xff)];
	}
	throw new RangeError(`An AML package of ${rest} bytes is too long.`);
}

function packed(...parts: readonly Term[]): number[] {
	const rest = parts.flat();
	return [...packageLength(rest.length), ...rest];
}

/** A name string such as "\\_SB.PCI0" or "LNKA"; segments are filled up with "_". */
export function path(name: string): number[] {
	const rooted = name.startsWith("\\");
	const segments = (rooted ? name.slice(1) : name).split(".");
	const bytes = segments.flatMap((segment) => text(segment.padEnd(4, "_")));
	const prefix = segments.length === 1 ? [] : segments.length === 2 ? [Op.dualName] : [Op.multiName, segments.length];
	return [...(rooted ? [Op.root] : []), ...prefix, ...bytes];
}

/** The shortest form of an unsigned number below 2^53. */
export function integer(value: number): number[] {
	if (value === 0) return [Op.zero];
	if (value === 1) return [Op.one];
	if (value <= 0xff) return [Op.byte, value];
	if (value <= 0xffff) return [Op.word, ...word(value)];
	if (value <= 0xffff_ffff) return [Op.double, ...double(value)];
	return [Op.quad, ...quad(value % 2 ** 32).slice(0, 4), ...double(Math.floor(value / 2 ** 32))];
}

/** The compressed form of an identity such as "PNP0A03" (§19.3.4, EISAID). */
export function eisaId(id: string): number[] {
	const [a, b, c] = [...id].map((letter) => letter.charCodeAt(0) - 0x40) as [number, number, number];
	const product = Number.parseInt(id.slice(3), 16);
	return [Op.double, (a << 2) | (b >> 3), ((b & 7) << 5) | c, product >> 8, product & 0xff];
}

export const string = (value: string): number[] => [0x0d, ...text(value), 0];
export const buffer = (bytes: readonly number[]): number[] => [Op.buffer, ...packed(integer(bytes.length), bytes)];
export const packageOf = (...elements: readonly Term[]): number[] => [
	Op.package,
	...packed([elements.length], ...elements),
];
export const name = (what: string, value: Term): number[] => [Op.name, ...path(what), ...value];
export const scope = (what: string, ...terms: readonly Term[]): number[] => [Op.scope, ...packed(path(what), ...terms)];
export const device = (what: string, ...terms: readonly Term[]): number[] => [
	Op.extended,
	Extended.device,
	...packed(path(what), ...terms),
];
/** A method that two threads do not run at once: needed where it makes names. */
export const method = (what: string, parameters: number, ...terms: readonly Term[]): number[] => [
	Op.method,
	...packed(path(what), [parameters | METHOD_SERIALIZED], ...terms),
];
export const region = (what: string, space: number, offset: number, length: number): number[] => [
	...[Op.extended, Extended.region, ...path(what), space],
	...integer(offset),
	...integer(length),
];
/** The bytes of a region from its beginning, each a field with a name. */
export const byteFields = (of: string, ...names: readonly string[]): number[] => [
	...[Op.extended, Extended.field],
	...packed(path(of), [BYTE_ACCESS], ...names.map((field) => [...path(field), 8])),
];
export const argument = (number: number): number[] => [Op.arg0 + number];
export const store = (source: Term, target: Term): number[] => [Op.store, ...source, ...target];
export const and = (left: Term, right: Term, target: Term = integer(0)): number[] => [
	Op.and,
	...left,
	...right,
	...target,
];
export const or = (left: Term, right: Term, target: Term = integer(0)): number[] => [
	Op.or,
	...left,
	...right,
	...target,
];
export const createDoubleField = (source: Term, offset: number, what: string): number[] => [
	...[Op.createDoubleField, ...source],
	...integer(offset),
	...path(what),
];
export const when = (condition: Term, ...terms: readonly Term[]): number[] => [Op.if, ...packed(condition, ...terms)];
export const returns = (value: Term): number[] => [Op.return, ...value];

// Reads ACPI tables and definition blocks as an operating system does, and complains of all that is wrong with them.
// Reference: ACPI Specification 6.4, chapters 5 and 20.

import assert from "node:assert/strict";

/** What Linux says of tables that are wrong. */
export const ACPI_COMPLAINT = /ACPI( BIOS)? (Error|Warning)|ACPI Exception|\(bug\)|Firmware Bug/;

export type ReadMemory = (address: number, length: number) => Uint8Array;

export interface AcpiTable {
	readonly address: number;
	readonly signature: string;
	readonly bytes: Uint8Array;
	readonly view: DataView;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const sum = (bytes: Uint8Array): number => bytes.reduce((all, byte) => (all + byte) & 0xff, 0);

/** The table at an address, whose length and checksum are right. */
export function readTable(memory: ReadMemory, address: number): AcpiTable {
	const length = viewOf(memory(address, 8)).getUint32(4, true);
	assert.ok(length >= 36 && length < 0x10000, `length ${length} of the table at 0x${address.toString(16)}`);
	const bytes = memory(address, length).slice();
	const signature = latin1(bytes.subarray(0, 4));
	assert.match(signature, /^[A-Z]{4}$/);
	assert.equal(sum(bytes), 0, `checksum of ${signature}`);
	return { address, signature, bytes, view: viewOf(bytes) };
}

/** Where the root pointer lies in 0xe0000 to 0xfffff (§5.2.5.1). */
export function findRootPointer(memory: ReadMemory): number | undefined {
	for (let at = 0xe0000; at < 0x100000; at += 16)
		if (latin1(memory(at, 8)) === "RSD PTR " && sum(memory(at, 20)) === 0) return at;
	return undefined;
}

/** All tables by signature, from the root pointer on; RSDT and XSDT say the same. */
export function readTables(memory: ReadMemory, rootPointer: number): ReadonlyMap<string, AcpiTable> {
	const root = memory(rootPointer, 36);
	const view = viewOf(root);
	assert.equal(latin1(root.subarray(0, 8)), "RSD PTR ");
	assert.equal(sum(root.subarray(0, 20)), 0);
	assert.equal(root[15], 2);
	assert.equal(view.getUint32(20, true), 36);
	assert.equal(sum(root), 0);
	const rsdt = readTable(memory, view.getUint32(16, true));
	const xsdt = readTable(memory, Number(view.getBigUint64(24, true)));
	assert.deepEqual([rsdt.signature, xsdt.signature], ["RSDT", "XSDT"]);
	const addresses: number[] = [];
	for (let at = 36; at < rsdt.bytes.length; at += 4) addresses.push(rsdt.view.getUint32(at, true));
	const wide: number[] = [];
	for (let at = 36; at < xsdt.bytes.length; at += 8) wide.push(Number(xsdt.view.getBigUint64(at, true)));
	assert.deepEqual(wide, addresses);
	const tables = new Map<string, AcpiTable>();
	for (const table of [rsdt, xsdt, ...addresses.map((address) => readTable(memory, address))]) {
		assert.ok(!tables.has(table.signature), `two tables ${table.signature}`);
		tables.set(table.signature, table);
	}
	const fixed = tables.get("FACP")!;
	const definitions = readTable(memory, fixed.view.getUint32(40, true));
	assert.equal(fixed.view.getBigUint64(140, true), BigInt(definitions.address));
	tables.set(definitions.signature, definitions);
	const address = fixed.view.getUint32(36, true);
	assert.equal(fixed.view.getBigUint64(132, true), BigInt(address));
	const facs = memory(address, 64).slice();
	assert.equal(latin1(facs.subarray(0, 4)), "FACS");
	assert.equal(viewOf(facs).getUint32(4, true), 64);
	assert.equal(address % 64, 0);
	tables.set("FACS", { address, signature: "FACS", bytes: facs, view: viewOf(facs) });
	return tables;
}

/** Entries that begin with type and length (bytes, or words in a DMAR): MADT, DMAR. */
export function readEntries(
	{ bytes, view }: AcpiTable,
	from: number,
	wide = false,
): { type: number; view: DataView }[] {
	const entries = [];
	let at = from;
	while (at < bytes.length) {
		const length = wide ? view.getUint16(at + 2, true) : bytes[at + 1]!;
		assert.ok(length >= 2 && at + length <= bytes.length, `entry at ${at} of ${length} bytes`);
		entries.push({
			type: wide ? view.getUint16(at, true) : bytes[at]!,
			view: viewOf(bytes.subarray(at, at + length)),
		});
		at += length;
	}
	return entries;
}

/** A value of a definition block: a number, a string, bytes, a package, or the name of an object. */
export type AmlValue = number | string | Uint8Array | AmlValue[] | { readonly reference: string };

/** The objects of a definition block by their full names. */
export interface AmlObjects {
	readonly values: ReadonlyMap<string, AmlValue>;
	readonly devices: readonly string[];
	/** Methods with the number of their arguments. */
	readonly methods: ReadonlyMap<string, number>;
	/** Fields: region and bit offset. */
	readonly fields: ReadonlyMap<string, { readonly region: string; readonly bit: number }>;
	readonly regions: ReadonlyMap<string, { readonly space: number; readonly offset: number; readonly length: number }>;
}

/** Reads the terms that this project's tables use. A package that does not end where it says, or an unknown term, is an error. */
export function readDefinitions({ bytes }: AcpiTable): AmlObjects {
	const values = new Map<string, AmlValue>();
	const devices: string[] = [];
	const methods = new Map<string, number>();
	const fields = new Map<string, { region: string; bit: number }>();
	const regions = new Map<string, { space: number; offset: number; length: number }>();
	let at = 36;
	const next = (): number => {
		assert.ok(at < bytes.length, "the block ends inside a term");
		return bytes[at++]!;
	};
	const number = (size: number): number => {
		let value = 0;
		for (let i = 0; i < size; i++) value += next() * 2 ** (8 * i);
		return value;
	};
	const packageLength = (): number => {
		const first = next();
		const more = first >> 6;
		if (more === 0) return first;
		let length = first & 15;
		for (let i = 0; i < more; i++) length += next() * 2 ** (4 + 8 * i);
		return length;
	};
	const packageEnd = (): number => {
		const start = at;
		return start + packageLength();
	};
	const name = (): string => {
		const taken = (byte: number): boolean => {
			if (bytes[at] !== byte) return false;
			at++;
			return true;
		};
		const root = taken(0x5c) ? "\\" : "";
		const count = taken(0x2e) ? 2 : taken(0x2f) ? next() : 1;
		const segments = Array.from({ length: count }, () => latin1(Uint8Array.from([next(), next(), next(), next()])));
		for (const segment of segments) assert.match(segment, /^[A-Z_][A-Z0-9_]{3}$/);
		return root + segments.join(".");
	};
	const within = (scope: string, what: string): string =>
		what.startsWith("\\") ? what : scope === "\\" ? `\\${what}` : `${scope}.${what}`;
	const isName = (byte: number) =>
		byte === 0x5c || byte === 0x2e || byte === 0x2f || byte === 0x5f || (byte > 0x40 && byte < 0x5b);

	const value = (): AmlValue => {
		if (isName(bytes[at]!)) return { reference: name() };
		const op = next();
		switch (op) {
			case 0x00:
			case 0x01:
				return op;
			case 0x0a:
				return number(1);
			case 0x0b:
				return number(2);
			case 0x0c:
				return number(4);
			case 0x0d: {
				let text = "";
				for (let letter = next(); letter !== 0; letter = next()) text += String.fromCharCode(letter);
				return text;
			}
			case 0x11: {
				const end = packageEnd();
				const length = value() as number;
				assert.equal(end - at, length, "bytes of a buffer");
				at = end;
				return bytes.slice(end - length, end);
			}
			case 0x12: {
				const end = packageEnd();
				const count = next();
				const elements = Array.from({ length: count }, value);
				assert.equal(at, end, "end of a package");
				return elements;
			}
			default:
				if (op >= 0x60 && op <= 0x6e) return op;
				assert.fail(`value 0x${op.toString(16)} at ${at - 1}`);
		}
	};
	/** A term that computes; its value does not matter here. */
	const expression = (): void => {
		switch (bytes[at]) {
			case 0x7b:
			case 0x7d:
				at++;
				expression();
				expression();
				expression();
				break;
			default:
				value();
		}
	};
	const field = (scope: string): void => {
		const end = packageEnd();
		const region = within(scope, name());
		next();
		for (let bit = 0; at < end; ) {
			const what = name();
			fields.set(within(scope, what), { region, bit });
			bit += packageLength();
		}
		assert.equal(at, end, "end of a field list");
	};
	const term = (scope: string): void => {
		const op = next();
		switch (op) {
			case 0x08: {
				const what = within(scope, name());
				assert.ok(!values.has(what), `two objects ${what}`);
				values.set(what, value());
				return;
			}
			case 0x10: {
				const end = packageEnd();
				terms(within(scope, name()), end);
				return;
			}
			case 0x14: {
				const end = packageEnd();
				const what = within(scope, name());
				methods.set(what, next() & 7);
				terms(what, end);
				return;
			}
			case 0x70:
				expression();
				expression();
				return;
			case 0x7b:
			case 0x7d:
				at--;
				expression();
				return;
			case 0x8a:
				expression();
				expression();
				name();
				return;
			case 0xa0: {
				const end = packageEnd();
				expression();
				terms(scope, end);
				return;
			}
			case 0xa4:
				expression();
				return;
			default: {
				assert.equal(op, 0x5b, `term 0x${op.toString(16)} at ${at - 1}`);
				const extended = next();
				if (extended === 0x80) {
					const what = within(scope, name());
					regions.set(what, { space: next(), offset: value() as number, length: value() as number });
				} else if (extended === 0x81) field(scope);
				else {
					assert.equal(extended, 0x82, `term 0x5b 0x${extended.toString(16)}`);
					const end = packageEnd();
					const what = within(scope, name());
					devices.push(what);
					terms(what, end);
				}
			}
		}
	};
	function terms(scope: string, end: number): void {
		assert.ok(end <= bytes.length, `${scope} ends behind the block`);
		while (at < end) term(scope);
		assert.equal(at, end, `end of ${scope}`);
	}
	terms("\\", bytes.length);
	return { values, devices, methods, fields, regions };
}

/** Runs a table-loader script (QEMU, hw/acpi/bios-linker-loader.c) as firmware does. The result is where each file lies. */
export function runTableLoader(
	script: Uint8Array,
	files: Readonly<Record<string, Uint8Array>>,
	memory: Uint8Array,
	zones: { high: number; biosArea: number },
): ReadonlyMap<string, number> {
	const places = new Map<string, number>();
	const view = viewOf(script);
	const memoryView = viewOf(memory);
	const free = { ...zones };
	const fileAt = (offset: number): number => {
		const file = latin1(script.subarray(offset, offset + 56)).replace(/\0.*$/s, "");
		const place = places.get(file);
		assert.ok(place !== undefined, `${file} has a place`);
		return place;
	};
	assert.equal(script.length % 128, 0);
	for (let at = 0; at < script.length; at += 128) {
		const command = view.getUint32(at, true);
		if (command === 1) {
			const file = latin1(script.subarray(at + 4, at + 60)).replace(/\0.*$/s, "");
			const alignment = view.getUint32(at + 60, true);
			const zone = script[at + 64] === 2 ? "biosArea" : "high";
			const place = Math.ceil(free[zone] / alignment) * alignment;
			memory.set(files[file]!, place);
			places.set(file, place);
			free[zone] = place + files[file]!.length;
		} else if (command === 2) {
			const pointer = fileAt(at + 4) + view.getUint32(at + 116, true);
			const size = script[at + 120];
			assert.ok(size === 4 || size === 8);
			memoryView.setUint32(pointer, memoryView.getUint32(pointer, true) + fileAt(at + 60), true);
		} else {
			assert.equal(command, 3);
			const file = fileAt(at + 4);
			const [place, start, length] = [60, 64, 68].map((offset) => view.getUint32(at + offset, true)) as [
				number,
				number,
				number,
			];
			memory[file + place]! -= sum(memory.subarray(file + start, file + start + length));
		}
	}
	return places;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tables } from "../cpu/page-walk-view.ts";
import { ExtendedPageTables } from "../cpu/vmx/extended-page-tables.ts";
import { PhysicalMemory } from "../engine/physical-memory.ts";
import { eptMappings } from "./ept-mappings.ts";
import { eptWalk, nestedWalk } from "./nested-walk.ts";

const LINEAR = 0xffff_8000_0040_3123n;
const WRITE_BACK = 6 << 3;

/**
 * A guest whose tables lie at guest-physical 0x1000 to 0x4fff and map LINEAR to guest-physical 0x9000; EPT with 4-KByte pages that
 * adds 0x20000 to the guest-physical addresses 0 to 0xffff, its tables at 0x10000 to 0x13fff.
 */
class Nested {
	readonly physical = new PhysicalMemory(0x100000);
	readonly guest: Tables = {
		paging: "4-level",
		root: 0x1000,
		pageSizeExtension: false,
		executeDisable: true,
		writeProtect: true,
	};

	constructor(private readonly pointer = 0x1001en) {
		this.entry(0x10000, 0, 0x11007);
		this.entry(0x11000, 0, 0x12007);
		this.entry(0x12000, 0, 0x13007);
		for (let page = 0; page < 16; page++) this.entry(0x13000, page, 0x20000 + page * 0x1000 + WRITE_BACK + 7);
		this.entry(0x21000, 256, 0x2003);
		this.entry(0x22000, 0, 0x3003);
		this.entry(0x23000, 2, 0x4003);
		this.entry(0x24000, 3, 0x9003);
	}

	entry(table: number, index: number, value: number): void {
		this.physical.write(table + index * 8, 4, value);
		this.physical.write(table + index * 8 + 4, 4, 0);
	}

	get ept(): ExtendedPageTables {
		return new ExtendedPageTables(this.physical, this.pointer);
	}

	walk(access = {}, guest = this.guest) {
		return nestedWalk({ physical: this.physical, guest, ept: this.ept }, LINEAR, access);
	}
}

test("4 × 4 levels take 24 references, in the order of the hardware", () => {
	const walk = new Nested().walk();
	assert.deepEqual(
		walk.references.map(({ number }) => number),
		Array.from({ length: 24 }, (_, index) => index + 1),
	);
	assert.deepEqual(
		walk.references.slice(0, 6).map(({ dimension, row, step }) => `${dimension} ${row} ${step.level}`),
		[
			"ept PML4E EPT PML4E",
			"ept PML4E EPT PDPTE",
			"ept PML4E EPT PDE",
			"ept PML4E EPT PTE",
			"guest PML4E PML4E",
			"ept PDPTE EPT PML4E",
		],
	);
	assert.equal(walk.guestPhysical, 0x9123n);
	assert.equal(walk.hostPhysical, 0x29123n);
	assert.equal(walk.failure, undefined);
	// Where the entries of the guest lie is host-physical; which address the EPT finds is guest-physical.
	const pml4e = walk.references[4]!;
	assert.deepEqual(pml4e.step.entryAddress, { space: "hpa", value: 0x21000n + 256n * 8n });
	assert.equal(pml4e.guestPhysical, 0x1000n + 256n * 8n);
	assert.deepEqual(walk.references.at(-1)!.step.flags, ["R", "W", "X", "WB"]);
});

test("large pages of either side and PAE make the walk shorter", () => {
	const nested = new Nested();
	nested.entry(0x12000, 0, 0x200000 + WRITE_BACK + 0x87);
	// A 2-MByte EPT page: 3 references in each of the five rows, and the tables are no longer where they were.
	assert.deepEqual(
		nested.walk().references.map(({ dimension }) => dimension),
		["ept", "ept", "ept", "guest"],
	);
	const plain = new Nested();
	const unpaged = nestedWalk(
		{ physical: plain.physical, guest: { ...plain.guest, paging: "none" }, ept: plain.ept },
		0x3123n,
		{},
	);
	assert.equal(unpaged.references.length, 4);
	assert.equal(unpaged.hostPhysical, 0x23123n);
	const pae = new Nested();
	pae.entry(0x22000, 2, 0x4003);
	const pdptes = new Int32Array([0x2001, 0, 0, 0, 0, 0, 0, 0]);
	const walk = nestedWalk(
		{ physical: pae.physical, guest: { ...pae.guest, paging: "PAE", pdptes }, ept: pae.ept },
		0x403123n,
		{},
	);
	assert.equal(walk.references.length, 14);
	assert.equal(walk.guestPhysical, 0x9123n);
});

test("the reference that fails says why, and the walk ends where the hardware's does", () => {
	const hole = new Nested();
	hole.entry(0x13000, 3, 0);
	const walk = hole.walk();
	assert.equal(walk.references.length, 14);
	assert.equal(walk.references.at(-1)!.step.failure, "not present: EPT violation");
	assert.equal(walk.failure, "EPT PTE[3] for guest-physical 0x3010: not present: EPT violation");
	assert.equal(walk.guestPhysical, undefined);

	const readOnly = new Nested();
	readOnly.entry(0x13000, 9, 0x29000 + WRITE_BACK + 5);
	assert.equal(readOnly.walk().failure, undefined);
	assert.match(readOnly.walk({ write: true }).failure!, /not writable, write access: EPT violation/);
	assert.equal(readOnly.walk({ write: true }).guestPhysical, 0x9123n);

	const guest = new Nested();
	guest.entry(0x23000, 2, 0);
	assert.match(guest.walk().failure!, /^PDE\[2\]: not present/);
	assert.equal(guest.walk().references.length, 15);

	const malformed = new Nested();
	malformed.entry(0x13000, 9, 0x29000 + WRITE_BACK + 2);
	assert.match(malformed.walk().failure!, /write access without read access: EPT misconfiguration/);
});

test("with accessed and dirty flags the guest's tables have to be writable", () => {
	const readOnlyTable = (pointer: bigint) => {
		const nested = new Nested(pointer);
		nested.entry(0x13000, 1, 0x21000 + WRITE_BACK + 5);
		return nested.walk();
	};
	assert.equal(readOnlyTable(0x1001en).failure, undefined);
	assert.match(readOnlyTable(0x1005en).failure!, /EPT PTE\[1\] .* not writable/);
});

test("looking changes no bit of memory", () => {
	const nested = new Nested(0x1005en);
	const before = nested.physical.peek(0, 0x100000)!;
	nested.walk({ write: true });
	eptMappings(nested.physical, 0x1005en, 0n, 100);
	assert.deepEqual(nested.physical.peek(0, 0x100000), before);
});

test("the table ept of a walk has the result of its last entry", () => {
	const nested = new Nested();
	nested.entry(0x13000, 9, 0x29000 + WRITE_BACK + 5);
	const walk = eptWalk(nested.ept, LINEAR, 0x9123n, {});
	assert.equal(walk.table, "ept");
	assert.deepEqual(walk.result, {
		address: { space: "hpa", value: 0x29123n },
		pageSize: 4096,
		writable: false,
		user: true,
		executable: true,
	});
	assert.equal(eptWalk(nested.ept, LINEAR, 0x9123n, { write: true }).result, undefined);
});

test("mappings are merged, cut where rights or targets change, and go on from an address", () => {
	const nested = new Nested();
	nested.entry(0x13000, 4, 0);
	nested.entry(0x13000, 9, 0x29000 + WRITE_BACK + 5);
	nested.entry(0x12000, 1, 0x200000 + WRITE_BACK + 0x87);
	const shown = (from: bigint, limit: number) =>
		eptMappings(nested.physical, 0x1001en, from, limit).map(
			({ start, end, target, pageSize, writable }) =>
				`${start.toString(16)}-${end.toString(16)} ${target.value.toString(16)} ${pageSize} ${writable ? "w" : "r"}`,
		);
	assert.deepEqual(shown(0n, 100), [
		"0-4000 20000 4096 w",
		"5000-9000 25000 4096 w",
		"9000-a000 29000 4096 r",
		"a000-10000 2a000 4096 w",
		"200000-400000 200000 2097152 w",
	]);
	assert.deepEqual(shown(0x9000n, 2), ["9000-a000 29000 4096 r", "a000-10000 2a000 4096 w"]);
	assert.deepEqual(shown(0x300000n, 5), ["200000-400000 200000 2097152 w"]);
	assert.deepEqual(shown(0x400000n, 5), []);
	assert.deepEqual(shown(0n, 0), []);
});

test("tables that lead to themselves end", () => {
	const physical = new PhysicalMemory(0x100000);
	for (let index = 0; index < 512; index++) {
		physical.write(0x1000 + index * 8, 4, 0x1007);
		physical.write(0x1000 + index * 8 + 4, 4, 0);
	}
	assert.ok(eptMappings(physical, 0x101en, 0n, 10).length <= 10);
});

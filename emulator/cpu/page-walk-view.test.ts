// Page tables for a debugger: walks with the reason of a failure, merged mappings, no side effects, bounded work.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BareProcessor, Place } from "../../test/tools/bare-processor.ts";
import { Fault } from "../engine/fault.ts";
import { Cr0, Cr4 } from "../isa/register-bits.ts";
import { RAM_BASE, State } from "../isa/state.ts";
import { inspectedTables, inspectMappings, inspectWalk, physicalTables, type Tables } from "./page-walk-view.ts";
import { PageAccess } from "./paging.ts";

const T = Place.tables;

test("a 4-level walk names its levels, entries and flags", () => {
	const bare = new BareProcessor().longMode();
	const memory = physicalTables(bare.physical);
	const tables = inspectedTables(bare.state);
	bare.write64(T + 0x3000 + 5 * 8, 0x8000000000009165n);
	const walk = inspectWalk(memory, tables, 0x5abcn);
	assert.deepEqual(
		walk.steps.map((step) => [step.level, step.index, step.entryAddress, step.flags.join(" ")]),
		[
			["PML4E", 0, T, "P W U"],
			["PDPTE", 0, T + 0x1000, "P W U"],
			["PDE", 0, T + 0x2000, "P W U"],
			["PTE", 5, T + 0x3000 + 40, "P U A D G NX"],
		],
	);
	assert.deepEqual(walk.result, { address: 0x9abc, pageSize: 4096, writable: false, user: true, executable: false });
	const failure = (access: object) => inspectWalk(memory, tables, 0x5abcn, access).steps.at(-1)!.failure;
	assert.equal(failure({ write: true, user: true }), "read-only page, write access");
	assert.equal(failure({ execute: true }), "execute-disabled page, fetch");
	assert.equal(failure({ write: true }), undefined, "CR0.WP is clear");
	bare.write64(T + 0x2000 + 8, 0n);
	assert.equal(inspectWalk(memory, tables, 0x200000n).steps.at(-1)!.failure, "not present");
	bare.write64(T + 0x2000 + 8, 0x80_0000_0001n);
	assert.equal(inspectWalk(memory, tables, 0x200000n).steps.at(-1)!.failure, "the table is not in memory");
});

test("the view and the walker agree on every table and access", () => {
	const seed = 4711;
	const bare = new BareProcessor({ smep: true });
	const entry = fc.record({
		flags: fc.constantFrom(0, 1, 3, 5, 7, 0x83, 0x87, 0x85),
		frame: fc.constantFrom(0, T + 0x1000, T + 0x2000, T + 0x3000, 0x200000, 0x40000),
		extra: fc.constantFrom(0, 0, 0, 0x80000000, 0x100),
	});
	fc.assert(
		fc.property(
			fc.array(entry, { minLength: 4, maxLength: 4 }),
			fc.constantFrom("32-bit", "PAE", "4-level"),
			fc.boolean(),
			fc.boolean(),
			fc.constantFrom("read", "write", "execute"),
			(entries, mode, user, wp, kind) => {
				bare.longMode();
				bare.physical.u8.fill(0, RAM_BASE + T, RAM_BASE + T + 0x4000);
				bare.state.cr4 = mode === "32-bit" ? Cr4.PSE : Cr4.PAE | Cr4.SMEP;
				bare.state.efer = mode === "4-level" ? 0xd00 : 0x800;
				bare.state.cr0 = wp ? bare.state.cr0 | Cr0.WP : bare.state.cr0 & ~Cr0.WP;
				const levels = mode === "4-level" ? entries : mode === "PAE" ? entries.slice(1) : entries.slice(2);
				levels.forEach((each, index) => {
					const at = T + index * 0x1000;
					const next =
						index === levels.length - 1 || each.flags & 0x80 ? each.frame & ~0x1fffff : T + (index + 1) * 0x1000;
					let low = next | each.flags;
					let high = each.extra | 0;
					if (mode === "PAE" && index === 0) {
						low = next | (each.flags & 1);
						high = 0;
					}
					bare.write32(at, low);
					if (mode !== "32-bit") bare.write32(at + 4, high);
				});
				if (mode === "PAE") assert.equal(bare.processor.core.paging.loadPdptes(T), true);
				const access =
					(user ? PageAccess.user : 0) |
					(kind === "write" ? PageAccess.write : kind === "execute" ? PageAccess.fetch : 0);
				const before = bare.physical.peek(T, 0x4000)!;
				const seen = inspectWalk(physicalTables(bare.physical), inspectedTables(bare.state), 0x123n, {
					user,
					write: kind === "write",
					execute: kind === "execute",
				});
				assert.deepEqual(bare.physical.peek(T, 0x4000), before, "looking changes nothing");
				let result: number | undefined;
				try {
					result = bare.processor.core.paging.translate(0x123, 0, access);
				} catch (error) {
					if (!(error instanceof Fault)) throw error;
				}
				assert.equal(seen.result?.address, result);
			},
		),
		{ seed, numRuns: 2000 },
	);
});

test("mappings merge equal neighbours and split on rights, size and the canonical hole", () => {
	const bare = new BareProcessor().longMode();
	const memory = physicalTables(bare.physical);
	bare.write64(T + 0x3000 + 8, 0x1005n);
	bare.write64(T + 0x3000 + 2 * 8, 0n);
	bare.write64(T + 0x2000 + 8, 0x200083n);
	bare.write64(T + 511 * 8, BigInt(T + 0x4000) | 3n);
	bare.write64(T + 0x4000 + 511 * 8, 0x83n);
	const { mappings, next } = inspectMappings(memory, inspectedTables(bare.state), 0n, 100);
	assert.equal(next, undefined);
	assert.deepEqual(
		mappings.map((each) => [each.start, each.end, each.target, each.pageSize, each.writable, each.user]),
		[
			[0n, 0x1000n, 0, 0x1000, true, true],
			[0x1000n, 0x2000n, 0x1000, 0x1000, false, true],
			[0x3000n, 0x200000n, 0x3000, 0x1000, true, true],
			[0x200000n, 0x400000n, 0x200000, 0x200000, true, false],
			[0xffffffffc0000000n, 1n << 64n, 0, 0x40000000, true, false],
		],
	);
	const first = inspectMappings(memory, inspectedTables(bare.state), 0x1800n, 2);
	assert.deepEqual(
		first.mappings.map((each) => each.start),
		[0x1000n, 0x3000n],
	);
	assert.equal(first.next, 0x200000n);
	assert.deepEqual(
		inspectMappings(memory, inspectedTables(bare.state), first.next!, 10).mappings.map((each) => each.start),
		[0x200000n, 0xffffffffc0000000n],
	);
});

test("32-bit and PAE mappings", () => {
	const bare = new BareProcessor().protectedMode();
	const memory = physicalTables(bare.physical);
	bare.write32(T + 768 * 4, 0x83, 0x400083);
	const tables: Tables = {
		paging: "32-bit",
		root: T,
		pageSizeExtension: true,
		executeDisable: false,
		writeProtect: true,
	};
	const { mappings } = inspectMappings(memory, tables, 0n, 10);
	assert.deepEqual(
		mappings.map((each) => [each.start, each.end, each.target]),
		[[0xc0000000n, 0xc0800000n, 0]],
	);
	bare.write64(T, 0n);
	bare.write64(T + 3 * 8, BigInt(T + 0x1000) | 1n);
	bare.write64(T + 0x1000, 0x200083n);
	const pae = inspectMappings(memory, { ...tables, paging: "PAE" }, 0n, 10).mappings;
	assert.deepEqual(
		pae.map((each) => [each.start, each.end, each.target]),
		[[0xc0000000n, 0xc0200000n, 0x200000]],
	);
});

test("tables that lead to themselves end at the budget and say where to go on", () => {
	const bare = new BareProcessor().longMode();
	for (let index = 0; index < 512; index++) bare.write64(T + index * 8, BigInt(T) | 1n);
	bare.write64(T + 511 * 8, 0n);
	const tables = inspectedTables(bare.state);
	const self = inspectMappings(physicalTables(bare.physical), tables, 0n, 5);
	assert.equal(self.mappings.length, 5);
	for (let index = 0; index < 512; index++) bare.write64(T + 0x1000 + index * 8, 0n);
	for (let index = 0; index < 512; index++) bare.write64(T + index * 8, BigInt(T + 0x2000) | 1n);
	for (let index = 0; index < 512; index++) bare.write64(T + 0x2000 + index * 8, BigInt(T + 0x3000) | 1n);
	for (let index = 0; index < 512; index++) bare.write64(T + 0x3000 + index * 8, BigInt(T + 0x1000) | 1n);
	const empty = inspectMappings(physicalTables(bare.physical), tables, 0n, 5);
	assert.equal(empty.mappings.length, 0);
	assert.ok(empty.next! > 0n);
	assert.ok(inspectMappings(physicalTables(bare.physical), tables, empty.next!, 5).next! > empty.next!);
});

test("without paging the view is one to one", () => {
	const bare = new BareProcessor().protectedMode();
	const tables = inspectedTables(bare.state);
	assert.equal(inspectWalk(physicalTables(bare.physical), tables, 0x1234n).result?.address, 0x1234);
	assert.equal(inspectMappings(physicalTables(bare.physical), tables, 0n, 10).mappings[0]!.end, 1n << 32n);
	assert.equal(bare.state.i64[State.cr2 >> 3], 0n);
});

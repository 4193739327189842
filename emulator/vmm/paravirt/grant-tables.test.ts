import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { PhysicalMemory } from "../../engine/physical-memory.ts";
import { grantTableOperation } from "./grant-table-hypercall.ts";
import { GrantFlag, GrantStatus, GrantTables, MapFlag } from "./grant-tables.ts";
import type { HypercallMemory } from "./hypercall-memory.ts";
import { Errno } from "./xen-abi.ts";

const SELF = 0x7ff0;
const FRAMES = 64;

/** Domain 1 owns frames 16 to 23, domain 2 frames 24 to 31, the hypervisor those from 40 on for tables. */
function make() {
	const physical = new PhysicalMemory(FRAMES * 4096);
	const references = new Int32Array(FRAMES);
	const writers = new Int32Array(FRAMES);
	const mapped = new Map<string, number>();
	let next = 40;
	const owner = (frame: number) =>
		frame >= 16 && frame < 24 ? 1 : frame >= 24 && frame < 32 ? 2 : frame >= 12 && frame < 16 ? 0 : -1;
	const grants = new GrantTables(physical, {
		take: (domain, frame, writable) => {
			// Frame 23 is a page table: never writable.
			if (owner(frame) !== domain || (writable && frame === 23)) return false;
			references[frame]!++;
			if (writable) writers[frame]!++;
			return true;
		},
		release: (frame, writable) => {
			references[frame]!--;
			if (writable) writers[frame]!--;
			assert.ok(references[frame]! >= 0 && writers[frame]! >= 0);
		},
		map: (caller, place, frame) => {
			const key = `${caller}:${place.address}`;
			if (place.address % 4096n !== 0n || mapped.has(key)) return GrantStatus.generalError;
			mapped.set(key, frame);
			return GrantStatus.okay;
		},
		unmap: (caller, place, frame) => {
			const key = `${caller}:${place.address}`;
			if (mapped.get(key) !== frame) return GrantStatus.badVirtualAddress;
			mapped.delete(key);
			return GrantStatus.okay;
		},
	});
	for (const id of [0, 1, 2])
		grants.addDomain({
			id,
			privileged: id === 0,
			allocateSharedFrame: () => (next < FRAMES ? next++ : undefined),
		});
	const table = (id: number) => (grants.setup(id, SELF, 1) as number[])[0]! * 4096;
	const grant = (id: number, reference: number, to: number, frame: number, flags = 0) => {
		const entry = table(id) + reference * 8;
		physical.write(entry + 2, 2, to);
		physical.write(entry + 4, 4, frame);
		physical.write(entry, 2, GrantFlag.permitAccess | flags);
	};
	const flags = (id: number, reference: number) => physical.read(table(id) + reference * 8, 2);
	return { physical, grants, references, writers, mapped, grant, flags, table };
}

/** Guest-linear addresses are host-physical ones. */
function identity(physical: PhysicalMemory): HypercallMemory {
	const inside = (linear: bigint) => linear < BigInt(physical.ramBytes);
	return {
		read: (linear, length) => (inside(linear) ? physical.peek(Number(linear), length) : undefined),
		write: (linear, bytes) => inside(linear) && physical.poke(Number(linear), bytes),
	};
}

describe("grant tables", () => {
	test("a page is mapped, shows that it is in use, and is given back", () => {
		const { grants, grant, flags, references, writers, mapped } = make();
		grant(1, 9, 2, 17);
		const first = grants.map(2, 1, 9, MapFlag.host, 0x1000n);
		assert.equal(first.status, GrantStatus.okay);
		assert.equal(first.frame, 17);
		assert.equal(flags(1, 9) & (GrantFlag.reading | GrantFlag.writing), GrantFlag.reading | GrantFlag.writing);
		const second = grants.map(2, 1, 9, MapFlag.host | MapFlag.readonly, 0x2000n);
		assert.equal(references[17], 2);
		assert.equal(writers[17], 1);
		assert.equal(grants.unmap(2, first.handle!, 0x1000n, 0n), GrantStatus.okay);
		assert.equal(flags(1, 9) & (GrantFlag.reading | GrantFlag.writing), GrantFlag.reading);
		assert.equal(grants.unmap(2, first.handle!, 0x1000n, 0n), GrantStatus.badHandle);
		assert.equal(grants.view(1)[0]?.mapped, 1);
		assert.equal(grants.unmap(2, second.handle!, 0x3000n, 0n), GrantStatus.badVirtualAddress);
		assert.equal(grants.unmap(2, second.handle!, 0x2000n, 0n), GrantStatus.okay);
		assert.equal(flags(1, 9), GrantFlag.permitAccess);
		assert.equal(references[17], 0);
		assert.equal(mapped.size, 0);
	});

	test("what is not granted is refused", () => {
		const { grants, grant, references } = make();
		grant(1, 9, 2, 17, GrantFlag.readonly);
		const refused = (caller: number, granter: number, reference: number, mapFlags: number, status: number) =>
			assert.equal(grants.map(caller, granter, reference, mapFlags, 0x1000n).status, status);
		refused(2, 1, 9, MapFlag.host, GrantStatus.generalError);
		refused(0, 1, 9, MapFlag.host | MapFlag.readonly, GrantStatus.generalError);
		refused(2, 1, 10, MapFlag.host, GrantStatus.generalError);
		refused(2, 1, 0xffff_ffff, MapFlag.host, GrantStatus.badGrantReference);
		refused(2, 7, 9, MapFlag.host, GrantStatus.badDomain);
		refused(2, 1, 9, 0, GrantStatus.badGrantReference);
		// A frame of another domain, of nobody, a page table for writing.
		grant(1, 11, 2, 25);
		grant(1, 12, 2, 0xffff_ffff);
		grant(1, 13, 2, 23);
		for (const reference of [11, 12, 13]) refused(2, 1, reference, MapFlag.host, GrantStatus.badPage);
		refused(2, 1, 13, MapFlag.host | MapFlag.readonly, GrantStatus.okay);
		assert.equal(references[23], 1);
	});

	test("an entry changed while it is in use keeps its first frame", () => {
		const { grants, grant, references } = make();
		grant(1, 9, 2, 17);
		const first = grants.map(2, 1, 9, MapFlag.host, 0x1000n);
		grant(1, 9, 2, 18);
		assert.equal(grants.map(2, 1, 9, MapFlag.host, 0x2000n).frame, 17);
		grant(1, 9, 0, 18);
		assert.equal(grants.map(0, 1, 9, MapFlag.host, 0x2000n).status, GrantStatus.generalError);
		grants.unmap(2, first.handle!, 0x1000n, 0n);
		grants.removeDomain(2);
		assert.equal(references[17], 0, "a domain that ends gives back what it mapped");
		assert.equal(grants.map(0, 1, 9, MapFlag.host, 0x2000n).frame, 18);
	});

	test("a failed mapping leaves no use behind", () => {
		const { grants, grant, references, flags } = make();
		grant(1, 9, 2, 17);
		assert.equal(grants.map(2, 1, 9, MapFlag.host, 0x1001n).status, GrantStatus.generalError);
		assert.equal(references[17], 0);
		assert.equal(flags(1, 9), GrantFlag.permitAccess);
	});

	test("device mappings give the machine address", () => {
		const { grants, grant, references } = make();
		grant(1, 9, 0, 17);
		const { handle, frame } = grants.map(0, 1, 9, MapFlag.device, 0n);
		assert.equal(frame, 17);
		assert.equal(grants.unmap(0, handle!, 0n, 18n << 12n), GrantStatus.badDeviceAddress);
		assert.equal(grants.unmap(0, handle!, 0n, 17n << 12n), GrantStatus.okay);
		assert.equal(references[17], 0);
	});

	test("copies go from page to page by reference or by own frame", () => {
		const { grants, grant, physical, references } = make();
		physical.poke(17 * 4096 + 100, Uint8Array.of(1, 2, 3, 4));
		grant(1, 9, 2, 17, GrantFlag.readonly);
		const from = { domain: 1, isReference: true, page: 9, offset: 100 };
		const to = { domain: SELF, isReference: false, page: 26, offset: 4092 };
		assert.equal(grants.copy(2, from, to, 4), GrantStatus.okay);
		assert.deepEqual([...physical.peek(26 * 4096 + 4092, 4)!], [1, 2, 3, 4]);
		assert.equal(grants.copy(2, from, { ...to, offset: 4093 }, 4), GrantStatus.badCopyArgument);
		assert.equal(grants.copy(2, { ...to, offset: 4096 }, from, 4), GrantStatus.badCopyArgument);
		assert.equal(grants.copy(2, { ...to, offset: 0 }, from, 4), GrantStatus.generalError);
		assert.equal(grants.copy(2, from, { ...to, page: 17 }, 4), GrantStatus.badPage);
		assert.equal(grants.copy(2, from, { ...to, domain: 1 }, 4), GrantStatus.permissionDenied);
		assert.deepEqual([...references], Array(FRAMES).fill(0));
	});

	test("the hypercall's structures of 32- and 64-bit guests", () => {
		const { grants, physical, grant, table } = make();
		const memory = identity(physical);
		const call = (caller: number, word: 4 | 8, command: number, count = 1) =>
			grantTableOperation(grants, caller, word, command, 0x1000n, count, memory);
		for (const word of [4, 8] as const) {
			const pointerAt = 0x1000 + (word === 4 ? 12 : 16);
			physical.poke(0x1000, new Uint8Array(64));
			physical.write(0x1000, 2, SELF);
			physical.write(0x1004, 4, 2);
			physical.write(pointerAt, 4, 0x2000);
			assert.equal(call(1, word, 2), 0);
			assert.equal(physical.read(0x1008, 2), 0);
			assert.equal(physical.read(0x2000, 4), table(1) / 4096);
			assert.equal(physical.read(0x2000 + word, 4), (grants.setup(1, SELF, 2) as number[])[1]);
		}
		grant(1, 9, 2, 17);
		physical.poke(0x1000, new Uint8Array(64));
		physical.write(0x1000, 4, 0x7000);
		physical.write(0x1008, 4, MapFlag.host);
		physical.write(0x100c, 4, 9);
		physical.write(0x1010, 2, 1);
		assert.equal(call(2, 4, 0), 0);
		assert.equal(physical.read(0x1012, 2), 0);
		assert.equal(physical.read(0x1018, 4), 17 << 12);
		assert.equal(call(2, 4, 4), -Errno.ENOSYS);
		assert.equal(call(2, 4, 0, 0xffff_ffff), -Errno.E2BIG);
		physical.write(0x1000, 4, 2);
		assert.equal(call(2, 4, 8), -Errno.ENOSYS, "version 2 is not there");
	});

	test("whatever two domains write into their tables and ask for, no use is lost and no page of a third is touched", () => {
		const state = make();
		const { grants, physical, references } = state;
		const tables = [0, state.table(1), state.table(2)];
		const memory = identity(physical);
		const number = fc.oneof(fc.nat(32), fc.nat(0xffff_ffff));
		const step = fc.record({
			caller: fc.integer({ min: 1, max: 2 }),
			entry: fc.tuple(fc.nat(15), fc.nat(0x1ff), fc.nat(3), fc.integer({ min: 10, max: 34 })),
			command: fc.constantFrom(0, 0, 1, 1, 5, 5, 2, 6, 8),
			words: fc.array(number, { minLength: 10, maxLength: 10 }),
			word: fc.constantFrom<4 | 8>(4, 8),
		});
		const guarded = physical.peek(12 * 4096, 4 * 4096)!;
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
				for (const { caller, entry, command, words, word } of steps) {
					const at = tables[caller]! + entry[0] * 8;
					physical.write(at, 2, entry[1]);
					physical.write(at + 2, 2, entry[2]);
					physical.write(at + 4, 4, entry[3]);
					words.forEach((value, i) => {
						physical.write(0x1000 + 4 * i, 4, value);
					});
					const result = grantTableOperation(grants, caller, word, command, 0x1000n, 1, memory);
					assert.ok(result <= 0 && result > -200);
				}
				for (const id of [1, 2]) {
					const uses = grants.view(id).reduce((sum, { mapped }) => sum + mapped, 0);
					const made = [1, 2].flatMap((other) => grants.mappings(other)).filter(({ granter }) => granter === id);
					assert.equal(uses, made.length);
				}
				assert.ok(references.every((count) => count >= 0));
			}),
			{ seed: 7, numRuns: 300 },
		);
		assert.deepEqual(physical.peek(12 * 4096, 4 * 4096), guarded);
	});
});

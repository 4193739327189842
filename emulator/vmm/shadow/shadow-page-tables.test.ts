import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { PhysicalMemory } from "../../engine/physical-memory.ts";
import { Access, Cr0, Cr4, Entry, type PagingControls } from "../guest/guest-page-walk.ts";
import { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import { HostFrames } from "../host-frames.ts";
import { VMM_BASE } from "../layout.ts";
import { FillResult, ShadowPageTables } from "./shadow-page-tables.ts";
import { Trace } from "./write-traces.ts";

const DIRECTORY = 0x10000;
const TABLE = 0x11000;
const OTHER_DIRECTORY = 0x12000;
/** Two page directory entries of the host for the VMM's 4 MBytes. */
const VMM_ENTRIES = [0x3063, 0x4063];
const P = Entry.present;
const W = Entry.writable;
const U = Entry.user;
const LINEAR = 0x08048000;

let host: PhysicalMemory;
let memory: GuestPhysicalMemory;
let shadow: ShadowPageTables;
let controls: PagingControls;
let flushes: number;
let code: Set<number>;
let dropped: number[];
let changed: number[];

function store(address: number, entry: number): void {
	memory.write(address, 4, entry >>> 0);
}

function entry64(address: number): bigint {
	return BigInt(host.read(address, 4)) | (BigInt(host.read(address + 4, 4)) << 32n);
}

/** An entry of the host's page directories, through the page-directory-pointer table. */
function directoryEntry(gib: number, index: number): bigint {
	const pointer = entry64(shadow.rootFrame * 4096 + gib * 8);
	assert.equal(pointer & 0xfffn, 1n, "a PDPTE has P alone");
	return entry64(Number(pointer - 1n) + index * 8);
}

function pde(directory: number, linear: number): number {
	return directory + (linear >>> 22) * 4;
}

function pte(linear: number): number {
	return TABLE + ((linear >>> 12) & 0x3ff) * 4;
}

beforeEach(() => {
	host = new PhysicalMemory(4 << 20);
	const frames = new HostFrames(16, 1024);
	memory = new GuestPhysicalMemory(host, frames, 1 << 20);
	controls = { cr0: Cr0.pe | Cr0.pg | Cr0.wp, cr3: DIRECTORY, cr4: 0, efer: 0, pdptes: new Int32Array(8) };
	flushes = 0;
	code = new Set();
	dropped = [];
	changed = [];
	const observer = {
		flushTlb: () => void flushes++,
		rootChanged: () => {},
		hasCode: (page: number) => code.has(page),
		codeMappingDropped: (page: number) => void dropped.push(page),
		directoryEntryChanged: (index: number) => void changed.push(index),
	};
	shadow = new ShadowPageTables(host, frames, memory, controls, observer, {
		reserved: { start: VMM_BASE, quadrant: 3, first: 510, entries: VMM_ENTRIES },
	});
	memory.onWrite = (address, length) => {
		if (shadow.traces.has(address >>> 12)) shadow.guestTableWritten(address, length);
	};
	store(pde(DIRECTORY, LINEAR), TABLE | P | W | U);
	store(pte(LINEAR), 0x5000 | P | W | U);
	shadow.activate();
});

test("every root maps the VMM, and only it, before the guest touched anything", () => {
	for (let gib = 0; gib < 4; gib++)
		for (let index = 0; index < 512; index++) {
			const vmm = gib === 3 && index >= 510 ? BigInt(VMM_ENTRIES[index - 510]!) : 0n;
			assert.equal(directoryEntry(gib, index), vmm);
		}
});

test("a hidden fault fills the shadow through the pmap and sets A, and D only for a write", () => {
	assert.equal(shadow.lookup(LINEAR, Access.read), -1);
	assert.equal(shadow.fill(LINEAR + 0x123, Access.user), FillResult.filled);
	assert.equal(shadow.lookup(LINEAR + 0x123, Access.user), memory.frameOf(5) * 4096 + 0x123);
	assert.equal(memory.read32(pte(LINEAR)) & (Entry.accessed | Entry.dirty), Entry.accessed);
	assert.equal(memory.read32(pde(DIRECTORY, LINEAR)) & Entry.accessed, Entry.accessed);
	// Not yet dirty: the first write has to fault.
	assert.equal(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	assert.equal(shadow.fill(LINEAR, Access.write | Access.user), FillResult.filled);
	assert.equal(memory.read32(pte(LINEAR)) & Entry.dirty, Entry.dirty);
	assert.notEqual(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	assert.equal(shadow.hiddenFaults, 2);
});

test("a true fault tells the error code and changes nothing", () => {
	const absent = LINEAR + 0x1000;
	assert.equal(shadow.fill(absent, Access.write | Access.user), FillResult.fault);
	assert.equal(shadow.walk.errorCode, Access.write | Access.user);
	store(pte(absent), 0x6000 | P);
	assert.equal(shadow.fill(absent, Access.write), FillResult.fault);
	assert.equal(shadow.walk.errorCode, Access.write | 1);
	assert.equal(shadow.fill(absent, Access.user), FillResult.fault);
	assert.equal(shadow.walk.errorCode, Access.user | 1);
	assert.equal(memory.read32(pte(absent)), 0x6000 | P);
});

test("a guest's page-table pages are traced, also when they were mapped before", () => {
	// The page table maps itself, writable, and is reached through another entry first.
	const view = LINEAR + 0x2000;
	store(pte(view), TABLE | P | W);
	// The first fill makes the shadow of the table, and with it the trace; so its own entry is read-only already.
	assert.equal(shadow.fill(view, Access.write), FillResult.filled);
	assert.notEqual(shadow.lookup(view, Access.read), -1);
	assert.equal(shadow.lookup(view, Access.write), -1);
	assert.equal(shadow.fill(view, Access.write), FillResult.traced);
	assert.ok(shadow.traces.reasonsOf(TABLE >>> 12) & Trace.table);
	assert.ok(shadow.traces.reasonsOf(DIRECTORY >>> 12) & Trace.table);
});

test("a write to a guest entry takes the shadow of that entry away", () => {
	shadow.fill(LINEAR, Access.write | Access.user);
	store(pte(LINEAR), 0x7000 | P | U);
	assert.equal(shadow.lookup(LINEAR, Access.read), -1);
	assert.equal(shadow.fill(LINEAR, Access.user), FillResult.filled);
	assert.equal(shadow.lookup(LINEAR, Access.user), memory.frameOf(7) * 4096);
	assert.equal(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	store(pde(DIRECTORY, LINEAR), 0);
	assert.equal(shadow.lookup(LINEAR, Access.read), -1);
});

test("a cleared D bit makes the next write fault again", () => {
	shadow.fill(LINEAR, Access.write | Access.user);
	store(pte(LINEAR), memory.read32(pte(LINEAR)) & ~(Entry.dirty | Entry.accessed));
	shadow.fill(LINEAR, Access.user);
	assert.equal(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	assert.equal(memory.read32(pte(LINEAR)) & Entry.dirty, 0);
});

test("two directories share the shadow of a table; switching between them keeps both", () => {
	store(pde(OTHER_DIRECTORY, LINEAR), TABLE | P | W | U);
	shadow.fill(LINEAR, Access.user);
	const first = entry64(shadow.rootFrame * 4096);
	controls.cr3 = OTHER_DIRECTORY;
	shadow.activate();
	assert.notEqual(entry64(shadow.rootFrame * 4096), first);
	shadow.fill(LINEAR + 4, Access.user);
	// Four directories each, and one table.
	assert.equal(shadow.size, 9);
	controls.cr3 = DIRECTORY;
	shadow.activate();
	assert.equal(entry64(shadow.rootFrame * 4096), first);
	assert.notEqual(shadow.lookup(LINEAR, Access.user), -1);
	// One write to the shared table is seen under both.
	store(pte(LINEAR), 0);
	assert.equal(shadow.lookup(LINEAR, Access.user), -1);
	controls.cr3 = OTHER_DIRECTORY;
	shadow.activate();
	assert.equal(shadow.lookup(LINEAR, Access.user), -1);
});

test("a trace downgrades the mappings that are there, and tells the TLB", () => {
	shadow.fill(LINEAR, Access.write | Access.user);
	const before = flushes;
	shadow.traces.set(5, Trace.code);
	assert.ok(flushes > before);
	assert.equal(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	assert.equal(shadow.fill(LINEAR, Access.write | Access.user), FillResult.traced);
	shadow.traces.clear(5, Trace.code);
	assert.equal(shadow.fill(LINEAR, Access.write | Access.user), FillResult.filled);
});

test("without CR0.WP a supervisor writes read-only pages, and users still cannot", () => {
	controls.cr0 &= ~Cr0.wp;
	shadow.activate();
	store(pte(LINEAR), 0x5000 | P | U);
	assert.equal(shadow.fill(LINEAR, Access.write), FillResult.filled);
	assert.notEqual(shadow.lookup(LINEAR, Access.write), -1);
	assert.equal(shadow.lookup(LINEAR, Access.write | Access.user), -1);
	assert.equal(shadow.fill(LINEAR, Access.write | Access.user), FillResult.fault);
	assert.equal(shadow.fill(LINEAR, Access.user), FillResult.filled);
	assert.equal(shadow.lookup(LINEAR, Access.write), -1);
});

test("4 MB pages are splintered", () => {
	controls.cr4 = Cr4.pse;
	shadow.activate();
	store(pde(DIRECTORY, 0xc0000000), P | W | Entry.large);
	assert.equal(shadow.fill(0xc0012345, Access.write), FillResult.filled);
	assert.equal(shadow.lookup(0xc0012345, Access.write), memory.frameOf(0x12) * 4096 + 0x345);
	assert.equal(
		memory.read32(pde(DIRECTORY, 0xc0000000)) & (Entry.accessed | Entry.dirty),
		Entry.accessed | Entry.dirty,
	);
	store(pde(DIRECTORY, 0xc0000000), P | W | Entry.large | (1 << 21));
	assert.equal(shadow.fill(0xc0012345, Access.read), FillResult.fault);
	assert.equal(shadow.walk.errorCode, 9);
});

test("without paging linear addresses are guest-physical", () => {
	controls.cr0 = Cr0.pe;
	shadow.activate();
	assert.equal(shadow.fill(0x5010, Access.write), FillResult.filled);
	assert.equal(shadow.lookup(0x5010, Access.write), memory.frameOf(5) * 4096 + 0x10);
	assert.equal(shadow.fill(0x10000000, Access.read), FillResult.device);
});

test("addresses of the VMM are never mapped for the guest", () => {
	store(pde(DIRECTORY, VMM_BASE), TABLE | P | W);
	store(pte(VMM_BASE), 0x5000 | P | W);
	assert.equal(shadow.fill(VMM_BASE + 8, Access.write), FillResult.reserved);
	assert.equal(shadow.walk.physical, 0x5008);
	assert.equal(shadow.lookup(VMM_BASE + 8, Access.read), -1);
	assert.equal(directoryEntry(3, 510), BigInt(VMM_ENTRIES[0]!));
});

test("a table that is only written and maps nothing any more loses its shadow and its trace", () => {
	controls.cr3 = DIRECTORY;
	shadow.fill(LINEAR, Access.user);
	for (let write = 0; write < 40; write++) store(TABLE + 0x800 + write * 4, 0x12345);
	assert.equal(shadow.traces.has(TABLE >>> 12), true, "one of its pages is in use");
	assert.notEqual(shadow.lookup(LINEAR, Access.user), -1);
	for (let write = 0; write < 2; write++) store(pte(LINEAR), memory.read32(pte(LINEAR)));
	assert.equal(shadow.traces.has(TABLE >>> 12), false);
	assert.equal(shadow.lookup(LINEAR, Access.user), -1);
	assert.equal(shadow.fill(LINEAR, Access.user), FillResult.filled);
	assert.equal(shadow.traces.has(TABLE >>> 12), true);
});

test("the loss of a mapping of translated code is told", () => {
	code.add(5);
	shadow.fill(LINEAR, Access.user);
	store(pte(LINEAR), 0);
	assert.deepEqual(dropped, [5]);
});

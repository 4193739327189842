// The walk of the hardware through shadow tables, with the VMM behind it, against the walk of the same processor through the guest's
// own tables: random tables, random accesses, random changes. Outcome (fault with its error code, or guest-physical address), and A and D
// in the guest's tables, are the same after every step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../../test/oracle/random.ts";
import { BareProcessor } from "../../../test/tools/bare-processor.ts";
import { PageFault } from "../../cpu/exceptions.ts";
import { PageAccess } from "../../cpu/paging.ts";
import { PageKind } from "../../engine/physical-memory.ts";
import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { RAM_BASE, State } from "../../isa/state.ts";
import { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import { loadPdptes } from "../guest/pdpte-registers.ts";
import { HostFrames } from "../host-frames.ts";
import { FillResult, SHADOWED_CR4, ShadowPageTables } from "./shadow-page-tables.ts";

const SEED = Number(process.env.HYPERSCOPE_SEED ?? 20261128);
const WORLDS = Number(process.env.HYPERSCOPE_WORLDS ?? 10);
const STEPS = 2000;
const GUEST_BYTES = 2 << 20;
/** Pages that hold tables, and the first of those that hold none. */
const FIRST_TABLE = 0x20;
const TABLES = 12;
const DATA = 0x40;
const ROM = 0x60;
const DEVICE = 0x61;
/** Entries of a table that are in use: the first and the last ones. */
const USED = [0, 1, 2, -2, -1];
const PAGE_FAULT = 14;

type Mode = "none" | "32-bit" | "PAE" | "4-level";
type Outcome = { fault: number } | { physical: number };

/** One guest twice: on the bare machine, and above shadow tables that the hardware of another walks. */
class World {
	readonly bare = new BareProcessor({}, GUEST_BYTES);
	readonly host = new BareProcessor({}, 8 << 20);
	readonly memory: GuestPhysicalMemory;
	readonly controls = { cr0: 0, cr3: 0, cr4: 0, efer: 0, pdptes: new Int32Array(8) };
	readonly shadow: ShadowPageTables;
	private readonly wide: boolean;

	constructor(
		readonly mode: Mode,
		private readonly random: Random,
		limit: number,
	) {
		this.wide = mode !== "32-bit";
		const frames = new HostFrames(256, 2048);
		this.memory = new GuestPhysicalMemory(this.host.physical, frames, GUEST_BYTES);
		for (const kind of [this.bare.physical.kind, this.memory.kind]) {
			kind[ROM] = PageKind.rom;
			kind[DEVICE] = PageKind.mmio;
		}
		const observer = {
			flushTlb: () => {},
			rootChanged: () => {},
			hasCode: () => false,
			codeMappingDropped: () => {},
			directoryEntryChanged: () => {},
		};
		this.shadow = new ShadowPageTables(this.host.physical, frames, this.memory, this.controls, observer, { limit });
		this.memory.onWrite = (address, length) => {
			if (this.shadow.traces.has(Math.floor(address / 4096))) this.shadow.guestTableWritten(address, length);
		};
		for (let table = 0; table < TABLES; table++) for (const used of USED) this.writeEntry(FIRST_TABLE + table, used);
		this.changeControls();
	}

	private entries(): number {
		return this.wide ? 512 : 1024;
	}

	/** A new entry in a table, on both sides. */
	writeEntry(table: number, used: number): void {
		const { random } = this;
		const size = this.wide ? 8 : 4;
		const address = table * 4096 + ((used + this.entries()) % this.entries()) * size;
		const [low, high] = this.randomEntry();
		this.write(address, low);
		if (this.wide) this.write(address + 4, high);
		// PDPTEs of PAE have few rights; good ones are needed now and then.
		if (this.mode === "PAE" && used >= 0 && used < 4 && random.below(8) > 0) {
			this.write(address, (this.randomTable() * 4096) | 1);
			this.write(address + 4, 0);
		}
	}

	randomTable(): number {
		return FIRST_TABLE + this.random.below(TABLES);
	}

	private randomEntry(): [number, number] {
		const { random } = this;
		const chance = (percent: number) => random.below(100) < percent;
		let page = chance(70) ? this.randomTable() : DATA + random.below(0x22);
		if (chance(3)) page = 0x300 + random.below(0x80000);
		let low = page * 4096;
		if (chance(96)) low |= 1;
		if (chance(85)) low |= 2;
		if (chance(85)) low |= 4;
		if (chance(30)) low |= 0x20;
		if (chance(30)) low |= 0x40;
		if (chance(12)) {
			// A large page that begins at 0, whose first megabytes are RAM.
			low = (low & 0xfff) | 0x80;
			if (chance(10)) low |= chance(50) ? 1 << 21 : 1 << 13;
		}
		let high = 0;
		if (chance(7)) high |= 0x80000000;
		if (chance(2)) high |= 1 << random.below(20);
		return [low | 0, high | 0];
	}

	/** A word of the guest's memory, as a device or another hand writes it. */
	write(address: number, word: number): void {
		this.bare.physical.write(address, 4, word >>> 0);
		this.memory.write(address, 4, word >>> 0);
	}

	/** New control registers, on both sides; also the root. */
	changeControls(): void {
		const { random, bare, host, controls, mode, shadow } = this;
		const bit = (value: number) => (random.below(2) ? value : 0);
		const cr0 = Cr0.PE | Cr0.ET | bit(Cr0.WP) | (mode === "none" ? 0 : Cr0.PG);
		const cr4 = bit(Cr4.PSE) | bit(Cr4.SMEP) | bit(Cr4.SMAP) | (mode === "PAE" || mode === "4-level" ? Cr4.PAE : 0);
		const efer = (mode === "4-level" ? Efer.LMA | Efer.LME : 0) | bit(Efer.NXE);
		const cr3 = this.randomTable() * 4096;
		const next = { ...controls, cr0, cr3, cr4, efer };
		bare.state.cr0 = cr0;
		bare.state.cr4 = cr4;
		bare.state.efer = efer;
		const loaded = loadPdptes(this.memory, next);
		if (mode === "PAE") assert.equal(bare.processor.core.paging.loadPdptes(cr3), loaded);
		Object.assign(controls, loaded ? next : { cr0, cr4, efer });
		bare.state.i64[State.cr3 >> 3] = BigInt(controls.cr3);
		shadow.activate();
		host.state.cr0 = Cr0.PE | Cr0.ET | Cr0.PG | Cr0.WP;
		host.state.cr4 = (cr4 & ~SHADOWED_CR4) | shadow.hardwareCr4;
		// Without NXE or SMEP the error code would not tell a fetch, which SMAP does not forbid, from a read.
		host.state.efer = efer | Efer.NXE;
		host.state.i64[State.cr3 >> 3] = BigInt(shadow.rootFrame * 4096);
		if (mode !== "4-level")
			assert.ok(host.processor.core.paging.loadPdptes(shadow.rootFrame * 4096), "the PDPTEs of the shadow are good");
	}

	setAlignmentCheck(set: boolean): void {
		for (const { state } of [this.bare, this.host]) state.i32[State.flagsRest >> 2] = set ? Eflags.AC : 0;
	}

	private walk(processor: BareProcessor, low: number, high: number, access: number): Outcome {
		try {
			return { physical: processor.processor.core.paging.translate(low, high, access) };
		} catch (fault) {
			if (!(fault instanceof PageFault)) throw fault;
			assert.equal(fault.vector, PAGE_FAULT);
			return { fault: fault.errorCode! };
		}
	}

	onBareMachine(low: number, high: number, access: number): Outcome {
		return this.walk(this.bare, low, high, access);
	}

	/**
	 * The same with the hardware walking the shadow.
	 * @param words what the instruction writes, if it writes.
	 */
	aboveShadow(low: number, high: number, access: number, words: readonly number[]): Outcome {
		const { shadow, host } = this;
		const alignmentCheck = host.state.i32[State.flagsRest >> 2] !== 0 && (access & PageAccess.implicit) === 0;
		for (let tries = 0; ; tries++) {
			assert.ok(tries < 4, "the access does not come to an end");
			const found = this.walk(host, low, high, access);
			if ("physical" in found) {
				if (access & PageAccess.write)
					words.forEach((word, index) => {
						host.physical.write(found.physical + index * 4, 4, word >>> 0);
					});
				return { physical: this.guestAddress(found.physical) };
			}
			const result = shadow.pageFault(low, found.fault, alignmentCheck, high);
			if (result === FillResult.filled) continue;
			if (result === FillResult.fault) return { fault: shadow.walk.errorCode };
			const { physical } = shadow.walk;
			if (result === FillResult.traced) {
				// The VMM executes the instruction.
				words.forEach((word, index) => {
					this.memory.write(physical + index * 4, 4, word >>> 0);
				});
				return { physical };
			}
			if (access & PageAccess.write && result === FillResult.rom) return { physical };
			assert.equal(result, FillResult.device);
			return { physical };
		}
	}

	private guestAddress(physical: number): number {
		const page = this.memory.pmap.indexOf(Math.floor(physical / 4096));
		assert.ok(page >= 0, `host address ${physical.toString(16)} is not the guest's`);
		return page * 4096 + (physical % 4096);
	}

	assertSameTables(what: string): void {
		for (let table = FIRST_TABLE; table < FIRST_TABLE + TABLES; table++) {
			const start = RAM_BASE + table * 4096;
			const own = this.bare.physical.u8.subarray(start, start + 4096);
			const at0 = RAM_BASE + this.memory.pmap[table]! * 4096;
			const shadowed = this.host.physical.u8.subarray(at0, at0 + 4096);
			if (Buffer.compare(own, shadowed) === 0) continue;
			const at = own.findIndex((byte, index) => byte !== shadowed[index]) & ~3;
			assert.fail(
				`${what}: table ${table.toString(16)} differs at ${at.toString(16)}: ${Buffer.from(own.subarray(at, at + 8)).toString("hex")} on the bare machine, ${Buffer.from(shadowed.subarray(at, at + 8)).toString("hex")}`,
			);
		}
	}

	/** A linear address whose indices are all in use. */
	randomLinear(): { low: number; high: number } {
		const { random, mode } = this;
		const used = (count: number) => (USED[random.below(USED.length)]! + count) % count;
		const offset = random.below(512) * 8;
		if (mode === "none")
			return { low: random.below(5) ? random.below(GUEST_BYTES) & ~7 : random.bits32() & ~7, high: 0 };
		if (mode === "32-bit") return { low: (used(1024) << 22) | (used(1024) << 12) | offset, high: 0 };
		const below = (used(512) << 21) | (used(512) << 12) | offset;
		if (mode === "PAE") return { low: (random.below(4) << 30) | below, high: 0 };
		const third = used(512);
		const fourth = used(512);
		const high = (fourth << 7) | (third >> 2);
		return { low: (third << 30) | below, high: fourth & 0x100 ? high | 0xffff0000 : high };
	}

	step(what: string): void {
		const { random } = this;
		const action = random.below(100);
		if (action < 2) this.changeControls();
		else if (action < 7) this.writeEntry(this.randomTable(), USED[random.below(USED.length)]!);
		else if (action < 10) this.setAlignmentCheck(random.below(2) === 1);
		else this.access(what);
		this.assertSameTables(what);
	}

	private access(what: string): void {
		const { random } = this;
		const kinds = [PageAccess.read, PageAccess.read, PageAccess.write, PageAccess.write, PageAccess.fetch];
		let access: number = kinds[random.below(kinds.length)]!;
		if (random.below(2)) access |= PageAccess.user;
		else if ((access & PageAccess.fetch) === 0 && random.below(8) === 0) access |= PageAccess.implicit;
		const { low, high } = this.randomLinear();
		const [first, second] = random.below(8) ? this.randomEntry() : [random.bits32() | 0, 0];
		const own = this.onBareMachine(low, high, access);
		if (
			"physical" in own &&
			access & PageAccess.write &&
			this.bare.physical.kindOf(Math.floor(own.physical / 4096)) === PageKind.ram
		) {
			this.bare.physical.write(own.physical, 4, first >>> 0);
			this.bare.physical.write(own.physical + 4, 4, second >>> 0);
		}
		const shadowed = this.aboveShadow(low, high, access, [first, second]);
		const name = `${what}: access ${access.toString(16)} to ${(high >>> 0).toString(16)}:${(low >>> 0).toString(16)} cr0 ${(this.controls.cr0 >>> 0).toString(16)} cr4 ${this.controls.cr4.toString(16)} efer ${this.controls.efer.toString(16)}`;
		assert.deepEqual(shadowed, own, name);
	}
}

for (const mode of ["none", "32-bit", "PAE", "4-level"] as const) {
	test(`accesses through shadow tables come out as on the bare machine: ${mode}`, (t) => {
		t.diagnostic(`seed ${SEED}`);
		let filled = 0;
		let evicted = 0;
		for (let world = 0; world < WORLDS; world++) {
			const random = new Random(SEED + world);
			const one = new World(mode, random, world % 2 ? 14 : 4096);
			for (let step = 0; step < STEPS; step++) one.step(`seed ${SEED}, ${mode}, world ${world}, step ${step}`);
			filled += one.shadow.hiddenFaults;
			evicted += one.shadow.evicted;
		}
		t.diagnostic(`${filled} hidden faults, ${evicted} tables given up`);
		assert.ok(filled > WORLDS * 100, `${filled} hidden faults`);
		assert.ok(mode === "none" || evicted > 0, "tables were given up");
	});
}

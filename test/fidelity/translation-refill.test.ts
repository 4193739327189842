// The walk of generated code and that of cpu/paging.ts leave the same: registers, faults, memory and the TLB itself, for random page
// tables and a guest that changes them with and without saying so. HYPERSCOPE_SEED and HYPERSCOPE_CASES choose the cases.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PageFault } from "../../emulator/cpu/exceptions.ts";
import { ExecutionEngine } from "../../emulator/engine/execution-engine.ts";
import { ExitReason } from "../../emulator/engine/exit-reason.ts";
import type { Fault } from "../../emulator/engine/fault.ts";
import type { ProcessorHooks } from "../../emulator/engine/helper.ts";
import { Cr0, Cr4, Efer, Eflags } from "../../emulator/isa/register-bits.ts";
import { LargePages, RAM_BASE, State, Tlb, WalkBlock } from "../../emulator/isa/state.ts";
import { Random } from "../oracle/random.ts";
import { BareProcessor } from "../tools/bare-processor.ts";

const SEED = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 0x7fffffff);
const CASES = Number(process.env.HYPERSCOPE_CASES ?? 150);
const ACTIONS = 120;
const RAM = 0x400000;
const [ROOT, CODE_TABLE, DATA_TABLE, DIRECTORY, POINTERS] = [0x10000, 0x11000, 0x12000, 0x13000, 0x14000];
const CODE = 0x8000;
/** Linear pages of the code: one for the supervisor, one for the user. */
const CODE_PAGE = [0x8000, 0x9000] as const;
/** mov eax, [rbx] and mov [rbx], eax */
const LOAD = 0;
const STORE = 2;
const [RAX, RBX] = [0, 3];
const VALID = 0x67;

type Mode = "32-bit" | "PAE" | "4-level";

class Machine {
	readonly bare = new BareProcessor({}, RAM);
	readonly engine: ExecutionEngine;
	fault: Fault | undefined = undefined as Fault | undefined;

	constructor() {
		const { processor, physical, tlb } = this.bare;
		const hooks: ProcessorHooks = {
			helpers: processor.helpers,
			slowRead: (record, low, high, kind) => processor.slowRead(record, low, high, kind),
			slowWrite: (record, low, high, kind) => processor.slowWrite(record, low, high, kind),
			fetchAddress: (rip) => processor.fetchAddress(rip),
			deliver: (fault) => {
				this.fault = fault;
				return false;
			},
		};
		this.engine = new ExecutionEngine(physical, tlb, hooks, "interpreter");
	}

	write(address: number, size: 4 | 8, value: bigint): void {
		const { view } = this.bare.physical;
		if (size === 4) view.setUint32(RAM_BASE + address, Number(value), true);
		else view.setBigUint64(RAM_BASE + address, value, true);
	}

	/** Sets the paging mode, with the code mapped and `root` as the table that CR3 points to. */
	enable(mode: Mode, cr4: number, wp: boolean, nxe: boolean): void {
		const { state, processor } = this.bare.protectedMode();
		if (mode === "4-level") this.bare.longMode();
		this.bare.physical.poke(CODE, new Uint8Array([0x8b, 0x03, 0x89, 0x03]));
		const size = mode === "32-bit" ? 4 : 8;
		const upper = BigInt(VALID);
		this.write(CODE_TABLE + (CODE_PAGE[0] >> 12) * size, size, BigInt(CODE | 0x63));
		this.write(CODE_TABLE + (CODE_PAGE[1] >> 12) * size, size, BigInt(CODE | 0x67));
		if (mode === "32-bit") this.write(ROOT, 4, BigInt(CODE_TABLE) | upper);
		else {
			this.write(DIRECTORY, 8, BigInt(CODE_TABLE) | upper);
			this.write(mode === "PAE" ? ROOT : POINTERS, 8, BigInt(DIRECTORY) | (mode === "PAE" ? 1n : upper));
			if (mode === "4-level") this.write(ROOT, 8, BigInt(POINTERS) | upper);
		}
		state.cr4 = cr4 | (mode === "32-bit" ? 0 : Cr4.PAE);
		state.efer = (state.efer & ~Efer.NXE) | (nxe ? Efer.NXE : 0);
		state.cr0 = (state.cr0 & ~Cr0.WP) | Cr0.PG | (wp ? Cr0.WP : 0);
		state.i64[State.cr3 >> 3] = BigInt(ROOT);
		if (mode === "PAE") processor.core.paging.loadPdptes(ROOT);
		processor.core.paging.flush();
		state.updateMode();
	}

	/** Executes one access; what came of it. */
	access(linear: number, store: boolean, user: boolean, ac: boolean): string {
		const { state } = this.bare;
		state.cpl = user ? 3 : 0;
		state.flagsRest = ac ? Eflags.AC : 0;
		state.updateMode();
		state.setGpr32(RBX, linear);
		state.setRip(CODE_PAGE[user ? 1 : 0] + (store ? STORE : LOAD), 0);
		this.fault = undefined as Fault | undefined;
		const reason = this.engine.execute(1);
		if (reason === ExitReason.fuel) return `done, EAX ${state.gpr32(RAX)}`;
		const fault = this.fault as Fault | undefined;
		const address = fault instanceof PageFault ? fault.addressLow >>> 0 : undefined;
		return `vector ${fault?.vector}, error ${fault?.errorCode}, address ${address}`;
	}

	/** All that has to be the same. */
	memory(): Buffer {
		const { u8 } = this.bare.physical;
		const part = (from: number, to: number) => Buffer.from(u8.subarray(from, to));
		const tlb = part(Tlb.base, Tlb.base + Tlb.entries * Tlb.entrySize);
		const marks = part(LargePages.base, LargePages.hugeBase + 4 * LargePages.entries);
		return Buffer.concat([tlb, marks, part(RAM_BASE, RAM_BASE + RAM)]);
	}
}

/** An entry that is mostly good. */
function randomEntry(random: Random, mode: Mode, isLarge: boolean): bigint {
	const chance = (percent: number) => random.below(100) < percent;
	let bits = 0;
	for (const [bit, percent] of [
		[0, 92],
		[1, 75],
		[2, 70],
		[5, 75],
		[6, 60],
		[8, 50],
	] as const)
		if (chance(percent)) bits |= 1 << bit;
	if (isLarge) bits |= 0x80;
	const frame = isLarge ? 0 : chance(3) ? 0x500 : 0x100 + random.below(0x200);
	let entry = BigInt(frame * 0x1000 + bits);
	if (chance(3)) entry |= 1n << BigInt(isLarge ? 14 + random.below(3) : 12);
	if (mode !== "32-bit") {
		if (chance(3)) entry |= 1n << BigInt(32 + random.below(20));
		if (chance(10)) entry |= 1n << 63n;
	}
	return entry;
}

test(`generated code fills the TLB as the processor's own walk does (HYPERSCOPE_SEED=${SEED})`, () => {
	const random = new Random(SEED);
	let quick = 0;
	for (let number = 0; number < CASES; number++) {
		const mode = (["32-bit", "PAE", "4-level"] as const)[number % 3]!;
		const machines = [new Machine(), new Machine()] as const;
		const [generated, reference] = machines;
		const cr4 = [Cr4.PSE, Cr4.PGE, Cr4.SMAP, Cr4.SMEP].reduce((bits, bit) => bits | (random.below(2) ? bit : 0), 0);
		const [wp, nxe] = [random.below(2) === 1, random.below(2) === 1];
		for (const machine of machines) machine.enable(mode, cr4, wp, nxe);
		reference.bare.tlb.blockWalks(WalkBlock.watches, true);
		const size = mode === "32-bit" ? 4 : 8;
		const write = (address: number, entry: bigint) => {
			for (const machine of machines) machine.write(address, size, entry);
		};
		const region = mode === "32-bit" ? 0x400000 : 0x200000;
		const directory = mode === "32-bit" ? ROOT : DIRECTORY;
		write(directory + size, BigInt(DATA_TABLE) | (randomEntry(random, mode, false) & 0x67n) | 1n);
		write(directory + 2 * size, randomEntry(random, mode, true));
		if (mode === "4-level") write(POINTERS + 8, randomEntry(random, mode, true));
		for (let page = 0; page < 8; page++) write(DATA_TABLE + page * size, randomEntry(random, mode, false));
		for (let action = 0; action < ACTIONS; action++) {
			const page = random.below(8);
			const place = random.below(10);
			const linear =
				(place < 7 ? region : place < 9 ? 2 * region : 0x40000000) + page * 0x1000 + random.below(0x400) * 4;
			const kind = random.below(20);
			const where = `case ${number} (${mode}), action ${action}`;
			if (kind === 0) for (const { bare } of machines) bare.processor.core.paging.flushLocal();
			else if (kind === 1) for (const { bare } of machines) bare.processor.core.paging.flushPage(linear, 0);
			else if (kind === 2) write(DATA_TABLE + page * size, randomEntry(random, mode, false));
			else {
				const [store, user, ac] = [random.below(3) === 0, random.below(2) === 1, random.below(2) === 1];
				// A page of code is written by no one, so that both have decoded the same.
				const [one, other] = machines.map((machine) => machine.access(linear, store, user, ac));
				assert.equal(one, other, `${where}: 0x${linear.toString(16)}`);
			}
			if (!generated.memory().equals(reference.memory())) {
				const a = generated.memory(),
					b = reference.memory();
				let n = 0;
				while (a[n] === b[n]) n++;
				console.log(
					"DIFF",
					n.toString(16),
					a.subarray(n & ~31, (n & ~31) + 32).toString("hex"),
					b.subarray(n & ~31, (n & ~31) + 32).toString("hex"),
				);
				assert.fail(`${where}: memory or TLB differ`);
			}
		}
		quick += generated.bare.tlb.fills;
	}
	assert.ok(quick > CASES, `${quick} translations were entered`);
});

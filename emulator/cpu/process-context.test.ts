// Process-context identifiers: CR4.PCIDE, CR3 bits 63 and 11:0, INVPCID (SDM Vol. 3A §4.10.1, §4.10.4; Vol. 2A INVPCID).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, gpr, Place } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Cr0, Cr4 } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";

const GP = [Vector.generalProtection, 0] as const;
const UD = Vector.invalidOpcode;
const DESCRIPTOR = 0x6000;
const RAX = 0;

function moveTo(bare: BareProcessor, register: number, value: bigint): void {
	bare.state.setGpr64(RAX, BigInt.asIntN(64, value));
	bare.run("moveToControl", { registers: [register, gpr(RAX)] });
}

function invpcid(bare: BareProcessor, type: number, low: bigint, linear = 0n): void {
	bare.write64(DESCRIPTOR, low);
	bare.write64(DESCRIPTOR + 8, linear);
	bare.state.setGpr64(RAX, BigInt(type));
	bare.run("invpcid", { registers: [gpr(RAX)], memory: true, address: DESCRIPTOR });
}

const KEEP = 1n << 63n;
const cr4 = (bare: BareProcessor): bigint => BigInt(bare.state.cr4 >>> 0);
const cr3 = (bare: BareProcessor): bigint => BigInt.asUintN(64, bare.state.i64[State.cr3 >> 3]!);

test("CR4.PCIDE: in IA-32e mode alone, from identifier 0, and not without paging", () => {
	const bare = new BareProcessor().longMode();
	const pcide = BigInt(Cr4.PCIDE);
	const root = cr3(bare);
	moveTo(bare, 3, root | 1n);
	assert.deepEqual(
		bare.faultOf(() => moveTo(bare, 4, cr4(bare) | pcide)),
		GP,
	);
	assert.deepEqual(
		bare.faultOf(() => moveTo(bare, 3, root | KEEP)),
		GP,
		"bit 63 is reserved without PCIDE",
	);
	moveTo(bare, 3, root);
	moveTo(bare, 4, cr4(bare) | pcide);
	moveTo(bare, 3, root | 0xabcn | KEEP);
	assert.equal(cr3(bare), root | 0xabcn, "bit 63 does not go into CR3");
	assert.deepEqual(
		bare.faultOf(() => moveTo(bare, 3, root | (1n << 62n))),
		GP,
	);
	bare.state.i32[State.codeSize >> 2] = 2;
	assert.deepEqual(
		bare.faultOf(() => bare.processor.control.writeCr0(bare.state.cr0 & ~Cr0.PG)),
		GP,
		"compatibility mode could clear PG otherwise",
	);
	const legacy = new BareProcessor().protectedMode();
	assert.deepEqual(
		legacy.faultOf(() => legacy.processor.control.writeCr4(Cr4.PCIDE)),
		GP,
	);
	const without = new BareProcessor({ pcid: false }).longMode();
	assert.deepEqual(
		without.faultOf(() => moveTo(without, 4, cr4(without) | pcide)),
		GP,
	);
	assert.equal(without.faultOf(() => invpcid(without, 2, 0n))?.[0], UD);
});

test("INVPCID: types, reserved bits, identifiers without PCIDE, privilege", () => {
	const bare = new BareProcessor().longMode();
	const fault = (type: number, low: bigint, linear = 0n) => bare.faultOf(() => invpcid(bare, type, low, linear));
	for (const type of [0, 1, 2, 3]) assert.equal(fault(type, 0n), undefined);
	assert.deepEqual(fault(4, 0n), GP);
	assert.deepEqual(fault(0, 1n), GP, "another identifier than 0 without PCIDE");
	assert.deepEqual(fault(1, 1n), GP);
	assert.equal(fault(2, 1n), undefined);
	assert.deepEqual(fault(3, 0x1000n), GP);
	assert.deepEqual(fault(0, 0n, 0x8000_0000_0000n), GP, "not canonical");
	assert.equal(fault(1, 0n, 0x8000_0000_0000n), undefined);
	moveTo(bare, 4, cr4(bare) | BigInt(Cr4.PCIDE));
	assert.equal(fault(1, 0xfffn), undefined);
	bare.state.cpl = 3;
	assert.deepEqual(fault(2, 0n), GP);
});

/** Linear pages whose mapping the contexts have each for themselves, and the frames that they may lead to. */
const FIRST_PAGE = 64;
const PAGES = 8;
const FIRST_FRAME = 0x200;
const FRAMES = 16;
const CONTEXTS = 4;
const rootOf = (context: number): number => 0x100000 + context * 0x4000;
const entryOf = (context: number, page: number): number => rootOf(context) + 0x3000 + (FIRST_PAGE + page) * 8;

function withContexts(): BareProcessor {
	const bare = new BareProcessor().longMode();
	for (let context = 0; context < CONTEXTS; context++) {
		const root = rootOf(context);
		for (const level of [0, 1, 2]) bare.write64(root + level * 0x1000, BigInt(root + (level + 1) * 0x1000) | 7n);
		for (let page = 0; page < 512; page++) bare.write64(root + 0x3000 + page * 8, BigInt(page * 0x1000) | 7n);
	}
	for (let frame = 0; frame < FRAMES; frame++) bare.write32((FIRST_FRAME + frame) * 0x1000, frame);
	moveTo(bare, 3, BigInt(rootOf(0)));
	moveTo(bare, 4, cr4(bare) | BigInt(Cr4.PCIDE));
	return bare;
}

const read = (bare: BareProcessor, page: number): number =>
	bare.processor.core.memory.readLinear((FIRST_PAGE + page) * 0x1000, 0, 4, 0);

test("going back to an identifier with CR3 bit 63 set needs no walk; without it everything of it is forgotten", () => {
	const bare = withContexts();
	// One entry of the TLB serves one linear page: each context reads a page of its own.
	for (let context = 0; context < CONTEXTS; context++) {
		moveTo(bare, 3, BigInt(rootOf(context) | context) | KEEP);
		read(bare, context);
	}
	const { fills } = bare.tlb;
	for (let context = 0; context < CONTEXTS; context++) {
		moveTo(bare, 3, BigInt(rootOf(context) | context) | KEEP);
		read(bare, context);
	}
	assert.equal(bare.tlb.fills, fills);
	moveTo(bare, 3, BigInt(rootOf(1) | 1));
	read(bare, 1);
	assert.equal(bare.tlb.fills, fills + 1);
	moveTo(bare, 3, BigInt(rootOf(2) | 2) | KEEP);
	read(bare, 2);
	assert.equal(bare.tlb.fills, fills + 1);
	const saved = bare.tlb.save();
	bare.tlb.flush();
	bare.tlb.restore(saved);
	moveTo(bare, 3, BigInt(rootOf(3) | 3) | KEEP);
	read(bare, 3);
	assert.equal(bare.tlb.fills, fills + 1, "a snapshot keeps what the contexts know");
});

const SEED = Number(process.env.HYPERSCOPE_SEED ?? 20261);

test(`no translation outlives its invalidation in any context (HYPERSCOPE_SEED=${SEED})`, () => {
	let seed = SEED;
	const below = (limit: number): number => {
		seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
		return (seed >>> 8) % limit;
	};
	const bare = withContexts();
	/** The frames that a page may show in a context: the one in its table, and those from before the last invalidation. */
	const allowed = Array.from({ length: CONTEXTS }, () => Array.from({ length: PAGES }, () => new Set<number>()));
	const inTable = Array.from({ length: CONTEXTS }, () => new Array<number>(PAGES).fill(0));
	const map = (context: number, page: number, frame: number): void => {
		bare.write64(entryOf(context, page), BigInt((FIRST_FRAME + frame) * 0x1000) | 7n);
		inTable[context]![page] = frame;
		allowed[context]![page]!.add(frame);
	};
	const forget = (context: number, page: number): void => {
		allowed[context]![page] = new Set([inTable[context]![page]!]);
	};
	const forgetContext = (context: number): void => {
		for (let page = 0; page < PAGES; page++) forget(context, page);
	};
	for (let context = 0; context < CONTEXTS; context++)
		for (let page = 0; page < PAGES; page++) map(context, page, below(FRAMES));
	for (let context = 0; context < CONTEXTS; context++) forgetContext(context);
	invpcid(bare, 2, 0n);
	let current = 0;
	let stale = 0;
	for (let step = 0; step < 20_000; step++) {
		const context = below(CONTEXTS);
		const page = below(PAGES);
		const linear = BigInt((FIRST_PAGE + page) * 0x1000);
		switch (below(8)) {
			case 0:
				map(context, page, below(FRAMES));
				break;
			case 1:
				current = context;
				moveTo(bare, 3, BigInt(rootOf(context) | context) | KEEP);
				break;
			case 2:
				if (below(8) !== 0) break;
				current = context;
				moveTo(bare, 3, BigInt(rootOf(context) | context));
				forgetContext(context);
				break;
			case 3:
				bare.run("invlpg", { memory: true, address: Number(linear) });
				forget(current, page);
				break;
			case 4: {
				const type = below(16);
				if (type > 3) break;
				invpcid(bare, type, BigInt(context), linear);
				if (type === 0) forget(context, page);
				else if (type === 1) forgetContext(context);
				else for (let one = 0; one < CONTEXTS; one++) forgetContext(one);
				break;
			}
			default: {
				const seen = read(bare, page);
				assert.ok(allowed[current]![page]!.has(seen), `step ${step}: context ${current} page ${page} shows ${seen}`);
				if (seen !== inTable[current]![page]) stale++;
			}
		}
	}
	assert.ok(stale > 0, "translations are kept at all");
	assert.equal(
		bare.faultOf(() => bare.processor.core.memory.readLinear(Place.code, 0, 4, 0)),
		undefined,
	);
});

test("INVLPG of a global 2-MByte page forgets its pieces under every identifier", () => {
	const bare = withContexts();
	bare.state.cr4 |= Cr4.PGE;
	for (const context of [0, 1]) bare.write64(rootOf(context) + 0x2000 + 8, 0x200000n | 0x187n);
	const at = (linear: number): number => bare.processor.core.memory.readLinear(linear, 0, 4, 0);
	bare.write32(0x200000, 1);
	bare.write32(0x205000, 5);
	bare.write32(0x5000, 55);
	bare.write32(0, 11);
	for (const context of [0, 1]) {
		moveTo(bare, 3, BigInt(rootOf(context) | context) | KEEP);
		at(0x200000 + (context === 0 ? 0 : 0x5000));
	}
	for (const context of [0, 1]) bare.write64(rootOf(context) + 0x2000 + 8, 0x187n);
	bare.run("invlpg", { memory: true, address: 0x2ff000 });
	assert.equal(at(0x205000), 55);
	moveTo(bare, 3, BigInt(rootOf(0)) | KEEP);
	assert.equal(at(0x200000), 11);
});

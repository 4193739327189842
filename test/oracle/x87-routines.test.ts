// The x87 routines of generated code leave what the exact helpers leave, bit for bit, in both tiers: every instruction that has
// both, over random and edge operands, control words, tags and memory places. HYPERSCOPE_SEED repeats a run, HYPERSCOPE_CASES sets
// the number of states.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExecutionEngine } from "../../emulator/engine/execution-engine.ts";
import { AccessKind } from "../../emulator/engine/helper.ts";
import { instructionSet } from "../../emulator/engine/instruction-set.ts";
import { RecordReader } from "../../emulator/engine/record.ts";
import type { Row } from "../../emulator/isa/row.ts";
import { type SegmentIndex, SegmentSlot, State, segmentSlot } from "../../emulator/isa/state.ts";
import { EmulatedProcessor } from "./emulated-processor.ts";
import { encodingsOf } from "./encodings.ts";
import { randomFloatingPoint } from "./floating-point-state.ts";
import { Generator } from "./generator.ts";
import { helpersOfRow, type RowHelper } from "./helper-of-row.ts";
import { Random } from "./random.ts";
import { type Bits, Case, CaseRecord, Fxsave, Layout } from "./records.ts";

const seed = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 0x1_0000_0000) >>> 0;
const cases = Number(process.env.HYPERSCOPE_CASES ?? 12_000);
/** States in which the same code is run. */
const STATES = 8;
const MODE = { 16: 1, 32: 2, 64: 3 } as const;
const JUMP_SHORT = 0xeb;

/** Significands around what the precisions round, and exponents around what the formats hold. */
const EDGE_SIGNIFICANDS = [
	0x8000000000000000n,
	0x8000000000000001n,
	0xffffffffffffffffn,
	0xfffffffffffffc00n,
	0xfffffffffffff800n,
	0x8000000000000400n,
	0x8000000000000c00n,
	0x8000008000000000n,
	0xffffff0000000000n,
	0xffffff8000000000n,
	0xfffffffeffffffffn,
	0x80000000ffffffffn,
];
const EDGE_EXPONENTS = [
	...[0, 1, 2, 0x3bcc, 0x3bcd, 0x3bce, 0x3c00, 0x3c01, 0x3c02, 0x3f69, 0x3f6a, 0x3f80, 0x3f81, 0x3f82],
	...[0x3ffd, 0x3ffe, 0x3fff, 0x4000, 0x400d, 0x400e, 0x401d, 0x401e, 0x403c, 0x403d, 0x403e, 0x403f],
	...[0x407d, 0x407e, 0x407f, 0x43fd, 0x43fe, 0x43ff, 0x7ffd, 0x7ffe, 0x7fff],
];
const DISTANCES = [0, 0, 1, 1, 2, 3, 10, 11, 12, 31, 32, 33, 39, 40, 62, 63, 64, 65, 66, 127, 128, 129];

/** Data registers with edge values, and others close to them, in place of some of the random ones. */
function sharpen(random: Random, one: CaseRecord): void {
	const view = new DataView(one.bytes.buffer, one.bytes.byteOffset + Case.fxsave);
	for (let n = 0; n < 8; n++) {
		const at = Fxsave.st + n * 16;
		const kind = random.below(10);
		if (kind < 3) {
			view.setBigUint64(at, random.pick(EDGE_SIGNIFICANDS), true);
			view.setUint16(at + 8, random.pick(EDGE_EXPONENTS) | (random.below(2) << 15), true);
		} else if (kind < 6 && n > 0) {
			const low = view.getBigUint64(at - 16, true) + BigInt(random.below(5) - 2);
			const high = view.getUint16(at - 8, true);
			const exponent = Math.max(0, (high & 0x7fff) - random.pick(DISTANCES));
			view.setBigUint64(at, BigInt.asUintN(64, low), true);
			view.setUint16(at + 8, exponent | (random.below(2) << 15), true);
		}
	}
}

/** State words that the guest cannot see. */
const HIDDEN: readonly (readonly [number, number])[] = [
	[State.ripBase, 8],
	[State.flagsResult, 12],
	[State.fuel, 8],
	[State.tlbContext, 12],
	[State.exchange, 0x60],
];

interface Left {
	readonly state: Uint8Array;
	readonly window: Uint8Array;
	readonly vector: number | undefined;
}

function left({ physical, processor, window }: EmulatedProcessor): Left {
	const state = physical.u8.slice(0, State.end);
	for (const [at, size] of HIDDEN) state.fill(0, at, at + size);
	new DataView(state.buffer).setInt32(State.flagsRest, processor.core.flags.readEflags(), true);
	return { state, window: window.slice(), vector: processor.fault?.vector };
}

function difference(a: Left, b: Left): string | undefined {
	if (a.vector !== b.vector) return `exception ${a.vector}, then ${b.vector}`;
	for (let at = 0; at < a.state.length; at++)
		if (a.state[at] !== b.state[at])
			return `state byte ${at.toString(16)}: ${a.state[at]!.toString(16)}, then ${b.state[at]!.toString(16)}`;
	if (Buffer.compare(a.window, b.window) === 0) return undefined;
	const at = a.window.findIndex((byte, n) => byte !== b.window[n]);
	return `window byte ${at.toString(16)}: ${a.window[at]}, then ${b.window[at]}`;
}

/** Counts the helper calls of an engine from now on. */
function countHelpers(engine: ExecutionEngine): { calls: number } {
	const counter = { calls: 0 };
	const callHelper = engine.callHelper.bind(engine);
	engine.callHelper = (record, number, parameter) => {
		counter.calls++;
		return callHelper(record, number, parameter);
	};
	return counter;
}

const GENERAL_PROTECTION = 13;
const ERROR_SUMMARY = 0x80;
const CARRY = 1;
const PARITY = 4;
const ZERO = 0x40;
const conditions: Readonly<Record<string, number>> = { b: CARRY, e: ZERO, be: CARRY | ZERO, u: PARITY };

/** FCMOV has a helper call for a condition that holds and one for a condition that does not. */
function chosen(row: Row, helpers: readonly RowHelper[], eflags: number): RowHelper {
	const match = /^Fcmov(n?)(b|e|be|u)_/.exec(row.name);
	if (!match) return helpers[0]!;
	const isSet = (eflags & conditions[match[2]!]!) !== 0;
	return helpers[isSet !== (match[1] === "n") ? 0 : 1]!;
}

/** Has the helper do the instruction at `record`, from its memory operand on. */
function byHelper(processor: EmulatedProcessor, record: number, helper: RowHelper, sourceSize: number): void {
	const { engine, physical } = processor;
	const { helperNames } = instructionSet();
	const call = ({ name, parameter }: RowHelper) => engine.callHelper(record, helperNames.indexOf(name), parameter);
	const records = new RecordReader(physical);
	if (/^x87:fx(save|rstor)$/.test(helper.name)) {
		// The row looks for the alignment first, and not for a pending exception.
		const base = physical.i64[(segmentSlot(records.segment(record) as SegmentIndex) + SegmentSlot.effectiveBase) >> 3]!;
		const isAligned = ((records.effectiveAddress(record) + base) & 15n) === 0n;
		if (!isAligned && call({ name: "raise", parameter: GENERAL_PROTECTION })) return;
	} else if (physical.i32[State.x87Status >> 2]! & ERROR_SUMMARY && call({ name: "x87:pending", parameter: 0 })) return;
	if (sourceSize > 0) {
		const offset = records.effectiveAddress(record);
		const low = Number(BigInt.asIntN(32, offset));
		const high = Number(BigInt.asIntN(32, offset >> 32n));
		if (engine.slowRead(record, low, high, sourceSize | (records.segment(record) << AccessKind.segmentShift))) return;
	}
	call(helper);
}

interface Tally {
	states: number;
	/** By the row's name: states in which no helper was called. */
	readonly fast: Map<string, number>;
	compiled: number;
}

function compareRow(
	row: Row,
	bits: Bits,
	random: Random,
	interpreting: EmulatedProcessor,
	compiling: EmulatedProcessor,
	helperCalls: { calls: number },
	tally: Tally,
): void {
	const { helpers, sourceSize } = helpersOfRow(row);
	const generator = new Generator(random);
	const encodings = encodingsOf(row, bits);
	const one = new CaseRecord(new Uint8Array(Case.size), 0);
	let length = 0;
	let usable = false;
	while (!usable) {
		const instruction = generator.make(random.pick(encodings), one);
		length = instruction.length;
		usable = instruction.code === row.code && length <= 13 && (one.u32(Case.codeOffset) & 0xfff) <= 4080;
		instruction.free();
	}
	// The instruction and a jump back to it: a block that ends there, and can be compiled.
	one.bytes.set([JUMP_SHORT, 0x100 - length - 2], Case.code + length);
	one.setU32(Case.codeLength, length + 2);
	const page = (Layout.codeBase + one.u32(Case.codeOffset)) >> 12;
	for (const processor of [interpreting, compiling]) {
		processor.load(one);
		processor.engine.code.flush();
	}
	for (let n = 0; n < STATES; n++) {
		if (n > 0) randomFloatingPoint(random, one);
		sharpen(random, one);
		interpreting.loadState(one);
		const eflags = interpreting.processor.core.flags.readEflags();
		helperCalls.calls = 0;
		interpreting.engine.execute(2);
		const wasFast = helperCalls.calls === 0 && interpreting.processor.fault === undefined;
		if (wasFast) tally.fast.set(row.name, (tally.fast.get(row.name) ?? 0) + 1);
		const interpreted = left(interpreting);

		const block = interpreting.engine.code.blocksOf(page, MODE[bits])[0];
		assert.ok(block, row.name);
		interpreting.loadState(one);
		byHelper(interpreting, block.record, chosen(row, helpers, eflags), sourceSize);
		const exact = left(interpreting);

		compiling.loadState(one);
		if (n === 0) {
			compiling.engine.execute(2);
			compiling.engine.regions!.compilePage(page, MODE[bits]);
			compiling.loadState(one);
		}
		const before = compiling.engine.tiers.compiled;
		compiling.engine.execute(2);
		if (wasFast) tally.compiled += compiling.engine.tiers.compiled - before;
		const compiled = left(compiling);

		const describe = `HYPERSCOPE_SEED=${seed}, ${bits} bits, ${row.name} ${Buffer.from(one.code).toString("hex")}, FXSAVE ${Buffer.from(one.bytes.subarray(Case.fxsave, Case.fxsave + 160)).toString("hex")}`;
		assert.equal(difference(exact, interpreted), undefined, `helper and interpreter: ${describe}`);
		assert.equal(difference(exact, compiled), undefined, `helper and compiler: ${describe}`);
		tally.states++;
	}
}

describe("x87 routines leave what the helpers leave", () => {
	for (const bits of [64, 32] as const)
		test(`${bits}-bit code`, (context) => {
			const random = new Random(seed ^ bits);
			const rows = instructionSet().table.rows.filter(
				(row) =>
					row.options.unit === "x87" && helpersOfRow(row).helpers.length > 0 && encodingsOf(row, bits).length > 0,
			);
			assert.ok(rows.length > 100, `only ${rows.length} rows`);
			const interpreting = new EmulatedProcessor(bits, "interpreter");
			const compiling = new EmulatedProcessor(bits);
			const helperCalls = countHelpers(interpreting.engine);
			const tally: Tally = { states: 0, fast: new Map(), compiled: 0 };
			const compareOne = (row: Row) => compareRow(row, bits, random, interpreting, compiling, helperCalls, tally);
			for (let n = 0; n < Math.max(rows.length, cases / 2 / STATES); n++) compareOne(rows[n % rows.length]!);
			// Each routine has to be met.
			for (const row of rows) for (let n = 0; n < 50 && !tally.fast.has(row.name); n++) compareOne(row);
			const fast = [...tally.fast.values()].reduce((sum, count) => sum + count, 0);
			const never = rows.filter(({ name }) => !tally.fast.has(name)).map(({ name }) => name);
			context.diagnostic(
				`seed ${seed}: ${tally.states} states of ${rows.length} rows, ${fast} without a helper, ${tally.compiled / 2} compiled`,
			);
			assert.deepEqual(never, []);
			assert.ok(fast > tally.states / 4, `${fast} of ${tally.states} states without a helper`);
			assert.ok(tally.compiled / 2 > fast * 0.6, `${tally.compiled / 2} of ${fast} states compiled`);
		});
});

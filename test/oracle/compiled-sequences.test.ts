// Which tier ran a block cannot be told: random programs leave the same state behind, after the same number of instructions,
// interpreted and compiled. HYPERSCOPE_SEED repeats a run, HYPERSCOPE_CASES sets the number of programs.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { instructionSet } from "../../emulator/engine/instruction-set.ts";
import { State } from "../../emulator/isa/state.ts";
import { EmulatedProcessor } from "./emulated-processor.ts";
import { exclusionOf } from "./exclusions.ts";
import { fillWithNumbers } from "./floating-point-state.ts";
import { Random } from "./random.ts";
import { Case, CaseRecord, Fxsave, Layout } from "./records.ts";
import { pointerValue, randomProgram, sequenceEncodings } from "./sequence.ts";

const seed = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 0x1_0000_0000) >>> 0;
const cases = Number(process.env.HYPERSCOPE_CASES ?? 3000);
const CODE_OFFSET = 0x100;
const PAGE = (Layout.codeBase + CODE_OFFSET) >> 12;
const MODE = { 32: 2, 64: 3 } as const;

/** What a run leaves behind. */
interface Left {
	readonly state: Uint8Array;
	readonly window: Uint8Array;
	readonly reason: number;
	readonly retired: number;
	readonly vector: number | undefined;
}

/** State words that the guest cannot see. */
const HIDDEN: readonly (readonly [number, number])[] = [
	[State.ripBase, 8],
	[State.flagsResult, 12],
	[State.fuel, 8],
	[State.tlbContext, 12],
	[State.exchange, 0x60],
];

function run(processor: EmulatedProcessor, count: number): Left {
	const { engine, physical } = processor;
	const before = engine.retired;
	const reason = engine.execute(count);
	const state = physical.u8.slice(0, State.end);
	for (const [at, size] of HIDDEN) state.fill(0, at, at + size);
	new DataView(state.buffer).setInt32(State.flagsRest, processor.processor.core.flags.readEflags(), true);
	return {
		state,
		window: processor.window.slice(),
		reason,
		retired: engine.retired - before,
		vector: processor.processor.fault?.vector,
	};
}

function difference(a: Left, b: Left): string | undefined {
	if (a.reason !== b.reason || a.vector !== b.vector)
		return `ended by ${a.reason}/${a.vector}, then ${b.reason}/${b.vector}`;
	if (a.retired !== b.retired) return `${a.retired} instructions, then ${b.retired}`;
	for (let at = 0; at < a.state.length; at++)
		if (a.state[at] !== b.state[at])
			return `state byte ${at.toString(16)}: ${a.state[at]!.toString(16)}, then ${b.state[at]!.toString(16)}`;
	const at = Buffer.compare(a.window, b.window) === 0 ? -1 : a.window.findIndex((byte, n) => byte !== b.window[n]);
	return at < 0 ? undefined : `window byte ${at.toString(16)}: ${a.window[at]}, then ${b.window[at]}`;
}

/** The x87 part of an FXSAVE image: all exceptions masked; for programs of x87 instructions numbers in most registers. */
function setX87(random: Random, image: Uint8Array, withNumbers: boolean): void {
	const view = new DataView(image.buffer, image.byteOffset);
	view.setUint16(Fxsave.control, 0x37f | (withNumbers && random.chance(30) ? random.below(4) << 10 : 0), true);
	if (!withNumbers) return;
	view.setUint16(Fxsave.status, random.below(8) << 11, true);
	view.setUint8(Fxsave.tag, random.chance(50) ? 0x3f << random.below(3) : random.below(256));
	for (let n = 0; n < 8; n++) fillWithNumbers(random, image.subarray(Fxsave.st + n * 16, Fxsave.st + n * 16 + 10), 10);
}

describe("compiled code leaves what interpreted code leaves", () => {
	for (const bits of [64, 32] as const)
		test(`${bits}-bit programs`, (context) => {
			const random = new Random(seed ^ bits);
			const rows = instructionSet().table.rows.filter((row) => exclusionOf(row.name) === undefined);
			const encodings = sequenceEncodings(rows, bits);
			const processor = new EmulatedProcessor(bits);
			const { engine } = processor;
			const bytes = new Uint8Array(Case.size);
			const one = new CaseRecord(bytes, 0);
			let retired = 0;
			for (let n = 0; n < cases; n++) {
				bytes.fill(0);
				one.setU32(Case.bits, bits);
				one.setU32(Case.codeOffset, CODE_OFFSET);
				for (let register = 0; register < (bits === 64 ? 16 : 8); register++) {
					const value = pointerValue(register) ?? random.operand();
					one.setGeneral(register, bits === 64 ? value : BigInt.asUintN(32, value));
				}
				one.setU32(Case.flags, random.bits32() & 0x8d5);
				const image = bytes.subarray(Case.fxsave);
				new DataView(image.buffer, image.byteOffset).setUint32(Fxsave.mxcsr, random.chance(70) ? 0x1fa0 : 0x1f80, true);
				const isX87 = random.chance(25);
				setX87(random, image, isX87);
				fillWithNumbers(random, image.subarray(Fxsave.xmm, Fxsave.xmm + 256), random.chance(50) ? 4 : 8);
				const mixture = isX87 ? { common: encodings.x87, all: encodings.all } : encodings;
				const program = randomProgram(mixture, bits, Number(one.rip), 6 + random.below(34), random);
				const count = random.chance(20) ? 256 + random.below(700) : 300 + random.below(40);

				processor.loadState(one);
				processor.physical.poke(Number(one.rip), program);
				engine.code.flush();
				const start = processor.physical.u8.slice(0, State.end);
				const interpreted = run(processor, count);
				engine.regions!.compilePage(PAGE, MODE[bits]);
				processor.loadState(one);
				processor.physical.u8.set(start);
				const before = engine.tiers.compiled;
				const compiled = run(processor, count);
				retired += engine.tiers.compiled - before;
				const found = difference(interpreted, compiled);
				assert.equal(
					found,
					undefined,
					`HYPERSCOPE_SEED=${seed}, program ${n}, ${count} instructions: ${Buffer.from(program).toString("hex")}`,
				);
			}
			context.diagnostic(`seed ${seed}: ${cases} programs, ${retired} instructions in compiled code`);
			assert.ok(retired > cases * 3, `only ${retired} instructions ran compiled`);
		});
});

// Whatever the guest puts into tables and registers: every helper ends with an outcome or a fault, every delivery ends, and the
// words that generated code trusts stay in their ranges.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BareProcessor, gpr, Place } from "../../test/tools/bare-processor.ts";
import { Fault } from "../engine/fault.ts";
import { RAM_BASE, RecordFlags, Segment, type SegmentIndex, State } from "../isa/state.ts";

const word = fc.oneof(
	fc.integer({ min: -0x80000000, max: 0x7fffffff }),
	fc.constantFrom(0, 1, 3, 8, 0x10, 0x1b, 0x23, 0x28, 0x33, 0x38, 0x80, 0x1000, Place.stack, Place.tss, 0xc0000080 | 0),
);

/** The upper half of a present descriptor or gate of any type. */
const upperHalf = fc
	.record({ type: fc.nat(31), dpl: fc.constantFrom(0, 3), present: fc.boolean() })
	.map(({ type, dpl, present }) => 0xcf0000 | (type << 8) | (dpl << 13) | (present ? 0x8000 : 0));

const step = fc.record({
	helper: fc.nat(),
	parameter: fc.constantFrom(2, 4, 8),
	registers: fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 2, maxLength: 2 }),
	memory: fc.boolean(),
	address: word,
	immediate: word,
	segment: fc.integer({ min: 0, max: 5 }),
	rep: fc.boolean(),
	gpr: fc.record({ register: fc.nat(7), value: word }),
	poke: fc.record({
		page: fc.constantFrom(Place.gdt, Place.idt, Place.tss, Place.tables, Place.stack),
		at: fc.nat(0x7f),
		value: fc.oneof(word, upperHalf),
	}),
	deliver: fc.option(fc.record({ vector: fc.nat(31), code: fc.option(fc.nat(0xffff), { nil: undefined }) }), {
		nil: undefined,
	}),
});

/** Helpers whose first operand is not a general register. */
const NUMBERED = new Set(["moveToSegment", "popSegment", "moveToControl", "moveToDebug"]);
const NUMBERED_SOURCE = new Set(["moveFromSegment", "moveFromControl", "moveFromDebug"]);

/** Segments that LES and its kin can load; CS is none of them. */
const LOADABLE = [Segment.es, Segment.ss, Segment.ss, Segment.ds, Segment.fs, Segment.gs];

function checkState(bare: BareProcessor): void {
	const { i32 } = bare.physical;
	const at = (offset: number): number => i32[offset >> 2]!;
	assert.ok(at(State.cpl) >= 0 && at(State.cpl) <= 3);
	assert.ok([1, 2, 3].includes(at(State.codeSize)));
	assert.ok([0, 32, 48].includes(at(State.stackMaskShift)));
	assert.equal(at(State.interruptsEnabled), (at(State.flagsRest) >> 9) & 1);
	for (const segment of [0, 1, 2, 3, 4, 5] as SegmentIndex[]) {
		const { read, write } = bare.bounds(segment);
		assert.ok(bare.state.mode64 || (read <= 1n << 32n && write <= read), `bounds of segment ${segment}`);
	}
	if (bare.state.virtual8086) assert.equal(at(State.cpl), 3);
	if (!bare.state.mode64) assert.equal(bare.bounds(Segment.cs).base >> 32n, 0n);
}

test("no table and no register makes a helper throw anything but a fault", () => {
	// The floating-point helpers have parameters and tests of their own.
	const names = Object.keys(new BareProcessor().processor.helpers).filter((name) => !name.includes(":"));
	const bares = [new BareProcessor({ smep: true, smap: true, fsgsbase: true })];
	const setUps = fc.constantFrom("real", "protected", "user", "long", "longUser");
	const seen = new Set<number>();
	fc.assert(
		fc.property(setUps, fc.array(step, { minLength: 1, maxLength: 60 }), (setUp, steps) => {
			const bare = bares[0]!;
			bare.physical.u8.fill(0, RAM_BASE, RAM_BASE + 0x20000);
			bare.processor.reset();
			if (setUp === "real") bare.realMode();
			else if (setUp === "protected") bare.protectedMode();
			else if (setUp === "user") bare.protectedMode().ring(3);
			else bare.longMode(setUp === "long" ? 0 : 3);
			for (let vector = 0; vector < 32; vector++)
				bare.gate(
					Place.idt + vector * (setUp.startsWith("long") ? 16 : 8),
					setUp.startsWith("long") ? 0x28 : 8,
					0x1000,
					0xee,
				);
			bare.physical.i32[State.fuel >> 2] = 10_000;
			bare.processor.delivery.onEvent = (vector) => {
				seen.add(vector);
				return undefined;
			};
			for (const each of steps) {
				bare.state.setGpr32(each.gpr.register, each.gpr.value);
				bare.write32(each.poke.page + each.poke.at * 4, each.poke.value);
				const name = names[each.helper % names.length]!;
				const [first, second] = each.registers as [number, number];
				const registers = NUMBERED.has(name)
					? [first, gpr(second)]
					: NUMBERED_SOURCE.has(name)
						? [gpr(first), second]
						: [gpr(first), gpr(second)];
				const port = /^(in|out)(s|Dx)?$/.test(name);
				const size = bare.state.mode64 && !port ? each.parameter : Math.min(each.parameter, 4);
				const parameter = name === "loadFarPointer" ? size | (LOADABLE[each.segment]! << 8) : size;
				try {
					const outcome = bare.run(
						name,
						{
							registers,
							memory: each.memory && !NUMBERED_SOURCE.has(name) && name !== "moveToControl" && name !== "moveToDebug",
							address: each.address,
							immediate: BigInt(each.immediate),
							segment: each.segment as SegmentIndex,
							flags: each.rep ? RecordFlags.rep : 0,
						},
						parameter,
					);
					assert.ok([0, 1, 2].includes(outcome), name);
				} catch (error) {
					if (!(error instanceof Fault)) throw error;
					if (!bare.processor.deliver(error)) return;
				}
				checkState(bare);
				if (each.deliver && !bare.processor.deliver(new Fault(each.deliver.vector, each.deliver.code))) return;
				checkState(bare);
			}
		}),
		{ seed: 86, numRuns: 6000, includeErrorInReport: true },
	);
	for (const vector of [6, 8, 10, 11, 12, 13, 14]) assert.ok(seen.has(vector), `vector ${vector} came up`);
});

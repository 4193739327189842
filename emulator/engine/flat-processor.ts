// A processor with nothing around it: flat segments, linear = physical, every exception ends the run. Tests and benchmarks of
// the engine use it; machines use the one of cpu/.

import { Segment, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { type EngineTier, ExecutionEngine } from "./execution-engine.ts";
import { Fault, Vector } from "./fault.ts";
import { type Helper, Outcome, type ProcessorHooks } from "./helper.ts";
import { instructionSet } from "./instruction-set.ts";
import { PhysicalMemory } from "./physical-memory.ts";
import { TranslationLookasideBuffer } from "./translation-lookaside-buffer.ts";

export class FlatProcessor implements ProcessorHooks {
	readonly physical: PhysicalMemory;
	readonly tlb: TranslationLookasideBuffer;
	readonly engine: ExecutionEngine;
	readonly helpers: Record<string, Helper> = {};
	/** The exception that ended the last run, if one did. */
	fault: Fault | undefined;

	/**
	 * @param codeSize log2 of the code size in bytes: 1, 2 or 3
	 * @param helpers those that do not end the run with #UD
	 */
	constructor(
		ramBytes: number,
		codeSize: 1 | 2 | 3,
		helpers: Readonly<Record<string, Helper>> = {},
		tier: EngineTier = "compiled",
	) {
		this.physical = new PhysicalMemory(ramBytes);
		this.tlb = new TranslationLookasideBuffer(this.physical);
		const { i32, i64 } = this.physical;
		for (const segment of Object.values(Segment)) {
			const slot = segmentSlot(segment);
			const bound = codeSize === 3 ? -1n : codeSize === 2 ? 0x1_0000_0000n : 0x10000n;
			i64[(slot + SegmentSlot.readBound) >> 3] = bound;
			i64[(slot + SegmentSlot.writeBound) >> 3] = bound;
			i32[(slot + SegmentSlot.limit) >> 2] = codeSize === 1 ? 0xffff : -1;
		}
		i32[State.flatSegments >> 2] = codeSize === 2 ? 0x3f3f : 0x3f00;
		i32[State.codeSize >> 2] = codeSize;
		i32[State.stackMaskShift >> 2] = codeSize === 3 ? 0 : codeSize === 2 ? 32 : 48;
		for (const name of instructionSet().helperNames) {
			if (name === "raise" || name === "divide128") continue;
			this.helpers[name] =
				helpers[name] ??
				(() => {
					throw new Fault(Vector.invalidOpcode);
				});
		}
		this.helpers.hlt = (record) => {
			i64[State.rip >> 3]! += BigInt(this.physical.u8[record + 2]!);
			return Outcome.exit;
		};
		this.tlb.updateContext();
		this.engine = new ExecutionEngine(this.physical, this.tlb, this, tier);
	}

	private address(low: number): number {
		const address = low >>> 0;
		if (!this.physical.isBacked(address)) throw new Fault(Vector.pageFault, 0);
		return address;
	}

	slowRead(_record: number, low: number, _high: number, kind: number): void {
		const size = kind & 0xff;
		const address = this.address(low);
		this.tlb.fill(low, 0, address >>> 12, true);
		for (let n = 0; n < size; n++) this.physical.u8[State.exchange + n] = this.physical.read(this.address(low + n), 1);
		void address;
	}

	slowWrite(_record: number, low: number, _high: number, kind: number): void {
		const size = kind & 0xff;
		for (let n = 0; n < size; n++) this.address(low + n);
		for (let n = 0; n < size; n++) this.physical.write((low >>> 0) + n, 1, this.physical.u8[State.exchange + n]!);
		this.tlb.fill(low, 0, low >>> 12, true);
	}

	fetchAddress(rip: bigint): number {
		return this.address(Number(BigInt.asIntN(32, rip)));
	}

	deliver(fault: Fault): boolean {
		this.fault = fault;
		return false;
	}
}

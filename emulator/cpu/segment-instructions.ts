// Instructions that load and store segment registers (SDM Vol. 2: MOV, POP, PUSH, LDS/LES/LFS/LGS/LSS, SWAPGS, RDFSBASE, ...).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4 } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { isCanonical } from "./memory-access.ts";
import { kernelGsBaseSlot } from "./model-specific-registers.ts";

export function segmentInstructions(core: ProcessorCore): Record<string, Helper> {
	const { state, memory, segmentation, operands } = core;

	/** After a load: SS shields the next instruction from interrupts (SDM Vol. 3A §6.8.3); a change of SS may change the stack's size. */
	const loaded = (record: number, segment: SegmentIndex): Outcome => {
		if (segment !== Segment.ss) return Outcome.next;
		core.beginStackShadow();
		return operands.advance(record, core.leave());
	};

	const baseOf = (segment: SegmentIndex, write: boolean): Helper => {
		return (record, size) => {
			// SDM Vol. 2B, RDFSBASE: 64-bit mode with CR4.FSGSBASE only.
			if (!state.mode64 || (state.cr4 & Cr4.FSGSBASE) === 0) throw new Fault(Vector.invalidOpcode);
			const register = operands.register(record, 0);
			if (write) {
				const low = operands.readRegister(register, size);
				const high = size === 8 ? operands.high : 0;
				if (!isCanonical(high)) throw new Fault(Vector.generalProtection, 0);
				state.setSegmentBase(segment, (BigInt(high) << 32n) | BigInt(low));
			} else operands.writeRegister(register, size, state.baseLow(segment), state.baseHigh(segment));
			return Outcome.next;
		};
	};

	return {
		moveToSegment(record) {
			const segment = operands.register(record, 0) as SegmentIndex;
			if (segment === Segment.cs) throw new Fault(Vector.invalidOpcode);
			segmentation.load(segment, operands.readRm(record, 1, 2));
			return loaded(record, segment);
		},
		moveFromSegment(record, size) {
			const selector = state.selector(operands.register(record, 1) as SegmentIndex);
			if (operands.isMemory(record)) operands.writeMemory(record, 2, selector);
			else operands.writeRegister(operands.register(record, 0), size, selector);
			return Outcome.next;
		},
		popSegment(record, size) {
			const segment = operands.register(record, 0) as SegmentIndex;
			const selector = operands.peekStack(0, size) & 0xffff;
			// The pointer moves by the stack's size of before; a new SS takes effect after it.
			const shift = state.i32[State.stackMaskShift >> 2]!;
			segmentation.load(segment, selector);
			const now = state.i32[State.stackMaskShift >> 2]!;
			state.i32[State.stackMaskShift >> 2] = shift;
			operands.moveStack(size);
			state.i32[State.stackMaskShift >> 2] = now;
			return loaded(record, segment);
		},
		/** LDS, LES, LFS, LGS, LSS: parameter = size | segment << 8. */
		loadFarPointer(record, parameter) {
			const size = parameter & 0xff;
			const segment = (parameter >> 8) as SegmentIndex;
			const low = operands.readMemory(record, size);
			const high = size === 8 ? operands.high : 0;
			const selector = operands.readMemory(record, 2, size);
			segmentation.load(segment, selector);
			operands.writeRegister(operands.register(record, 0), size, low, high);
			// LSS holds no interrupts back, but the stack's size may have changed.
			return segment === Segment.ss ? operands.advance(record, core.leave()) : Outcome.next;
		},
		swapgs() {
			if (!state.mode64) throw new Fault(Vector.invalidOpcode);
			if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
			const { i32 } = state;
			const kernel = kernelGsBaseSlot >> 2;
			const [low, high] = [i32[kernel]!, i32[kernel + 1]!];
			i32[kernel] = state.baseLow(Segment.gs);
			i32[kernel + 1] = state.baseHigh(Segment.gs);
			state.setSegmentBaseHalves(Segment.gs, low, high);
			return Outcome.next;
		},
		rdfsbase: baseOf(Segment.fs, false),
		rdgsbase: baseOf(Segment.gs, false),
		wrfsbase: baseOf(Segment.fs, true),
		wrgsbase: baseOf(Segment.gs, true),
		/** CLFLUSH: caches are not modelled; the address is checked as a byte read (SDM Vol. 2A, CLFLUSH). */
		clflush(record) {
			operands.locate(record);
			memory.probeRead(operands.segmentOf(record), operands.offsetLow, operands.offsetHigh);
			return Outcome.next;
		},
	};
}

// Instructions on descriptors and descriptor tables (SDM Vol. 2: LAR, LSL, VERR, VERW, ARPL, LLDT, LTR, LGDT, ...; Vol. 3A §5.10).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { type Descriptor, SystemType } from "./descriptor.ts";
import { isCanonical } from "./memory-access.ts";
import { selectorFault } from "./segmentation.ts";

/** System types that LAR accepts in legacy mode, and with EFER.LMA (SDM Vol. 2A Table 3-53). */
const LAR_TYPES = [1, 2, 3, 4, 5, 9, 11, 12];
const LAR_TYPES_LONG = [2, 9, 11, 12];
/** The same of LSL (Table 3-57). */
const LSL_TYPES = [1, 2, 3, 9, 11];
const LSL_TYPES_LONG = [2, 9, 11];

export function descriptorInstructions(core: ProcessorCore): Record<string, Helper> {
	const { state, segmentation, operands, memory } = core;

	const requireProtected = (): void => {
		if (!state.protectedMode || state.virtual8086) throw new Fault(Vector.invalidOpcode);
	};
	const requireCpl0 = (): void => {
		if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
	};
	const setZero = (set: boolean): void => core.flags.writeEflags(set ? Eflags.ZF : 0, Eflags.ZF);

	/** The descriptor that LAR, LSL, VERR and VERW look at; undefined when it is null, beyond its table, or out of reach for CPL and RPL. */
	const visible = (selector: number, systemTypes: readonly number[]): Descriptor | undefined => {
		if ((selector & ~3) === 0) return undefined;
		const descriptor = segmentation.find(selector);
		if (!descriptor) return undefined;
		if (descriptor.isSystem && !systemTypes.includes(descriptor.type)) return undefined;
		const conforming = descriptor.isCode && descriptor.isConforming;
		if (!conforming && (descriptor.dpl < state.cpl || descriptor.dpl < (selector & 3))) return undefined;
		return descriptor;
	};

	const verify = (writing: boolean): Helper => {
		return (record) => {
			requireProtected();
			const descriptor = visible(operands.readRm(record, 0, 2), []);
			setZero(descriptor !== undefined && (writing ? descriptor.isWritableData : descriptor.isReadable));
			return Outcome.next;
		};
	};

	const load = (base: number, limit: number): Helper => {
		return (record, size) => {
			requireCpl0();
			const { mode64 } = state;
			const newLimit = operands.readMemory(record, 2);
			let low = operands.readMemory(record, mode64 ? 8 : 4, 2);
			const high = mode64 ? operands.high : 0;
			// With a 16-bit operand size the base has 24 bits (SDM Vol. 2A, LGDT).
			if (!mode64 && size === 2) low &= 0xffffff;
			if (!isCanonical(high)) throw new Fault(Vector.generalProtection, 0);
			state.i32[base >> 2] = low;
			state.i32[(base >> 2) + 1] = high;
			state.i32[limit >> 2] = newLimit;
			return Outcome.next;
		};
	};

	const store = (base: number, limit: number): Helper => {
		return (record) => {
			core.requireSupervisorUnderUmip();
			const wide = state.mode64;
			operands.locate(record);
			const segment = operands.segmentOf(record);
			memory.probeWrite(segment, operands.offsetLow, operands.offsetHigh, wide ? 10 : 6);
			operands.writeMemory(record, 2, state.i32[limit >> 2]!);
			const high = state.i32[(base >> 2) + 1]!;
			operands.writeMemory(record, wide ? 8 : 4, state.i32[base >> 2]!, high, 2);
			return Outcome.next;
		};
	};

	/** SLDT and STR: memory takes 16 bits, a register the zero-extended selector. */
	const storeSelector = (segment: typeof Segment.ldtr | typeof Segment.tr): Helper => {
		return (record, size) => {
			requireProtected();
			core.requireSupervisorUnderUmip();
			const selector = state.selector(segment);
			if (operands.isMemory(record)) operands.writeMemory(record, 2, selector);
			else operands.writeRegister(operands.register(record, 0), size, selector);
			return Outcome.next;
		};
	};

	return {
		lar(record, size) {
			requireProtected();
			const selector = operands.readRm(record, 1, 2);
			const descriptor = visible(selector, state.longMode ? LAR_TYPES_LONG : LAR_TYPES);
			if (descriptor) {
				const rights = descriptor.high & (size === 2 ? 0xff00 : 0x00ffff00);
				// Bits 19:16 are undefined; Intel's processors give zeros there.
				operands.writeRegister(operands.register(record, 0), size, rights & ~0xf0000);
			}
			setZero(descriptor !== undefined);
			return Outcome.next;
		},
		lsl(record, size) {
			requireProtected();
			const selector = operands.readRm(record, 1, 2);
			const descriptor = visible(selector, state.longMode ? LSL_TYPES_LONG : LSL_TYPES);
			if (descriptor) operands.writeRegister(operands.register(record, 0), size, descriptor.limit);
			setZero(descriptor !== undefined);
			return Outcome.next;
		},
		verr: verify(false),
		verw: verify(true),
		arpl(record) {
			requireProtected();
			const destination = operands.readRm(record, 0, 2);
			const rpl = operands.readRegister(operands.register(record, 1), 2) & 3;
			const raise = (destination & 3) < rpl;
			if (raise) operands.writeRm(record, 0, 2, (destination & ~3) | rpl);
			setZero(raise);
			return Outcome.next;
		},
		lgdt: load(State.gdtrBase, State.gdtrLimit),
		lidt: load(State.idtrBase, State.idtrLimit),
		sgdt: store(State.gdtrBase, State.gdtrLimit),
		sidt: store(State.idtrBase, State.idtrLimit),
		sldt: storeSelector(Segment.ldtr),
		str: storeSelector(Segment.tr),
		lldt(record) {
			requireProtected();
			requireCpl0();
			segmentation.loadLdtr(operands.readRm(record, 0, 2));
			return Outcome.next;
		},
		ltr(record) {
			requireProtected();
			requireCpl0();
			const selector = operands.readRm(record, 0, 2);
			if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
			if (selector & 4) throw selectorFault(Vector.generalProtection, selector);
			let descriptor = segmentation.read(selector);
			const { type } = descriptor;
			const available = type === SystemType.availableTss || (type === SystemType.availableTss16 && !state.longMode);
			if (!descriptor.isSystem || !available) throw selectorFault(Vector.generalProtection, selector);
			if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
			descriptor = segmentation.readUpper(selector, descriptor);
			if (!isCanonical(descriptor.upper)) throw selectorFault(Vector.generalProtection, selector);
			segmentation.setBusy(selector, true);
			const { access, baseLow, upper, limit } = descriptor;
			state.setSegment(Segment.tr, selector, access | 2, baseLow, upper, limit);
			return Outcome.next;
		},
	};
}

// What RET far and IRET share: the checks of the code and stack segment that control returns to
// (SDM Vol. 3A §5.8.6; Vol. 2A IRET, Vol. 2B RET, "Operation").

import { Fault, Vector } from "../engine/fault.ts";
import { Segment } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import type { Descriptor } from "./descriptor.ts";
import { isCanonical } from "./memory-access.ts";
import { selectorFault } from "./segmentation.ts";

/** The code segment of a return, checked. @throws {Fault} #GP, #NP */
export function readReturnCode(core: ProcessorCore, selector: number): Descriptor {
	if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
	const code = core.segmentation.read(selector);
	const rpl = selector & 3;
	const privilege = code.isConforming ? code.dpl <= rpl : code.dpl === rpl;
	if (!code.isCode || rpl < core.state.cpl || !privilege) throw selectorFault(Vector.generalProtection, selector);
	if (core.state.longMode && code.isLong && code.isBig) throw selectorFault(Vector.generalProtection, selector);
	if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
	return code;
}

/** The stack segment of a return to privilege level `cpl`; undefined for a null selector where 64-bit mode allows it. @throws {Fault} #GP, #SS */
export function readReturnStack(
	core: ProcessorCore,
	selector: number,
	cpl: number,
	toLong: boolean,
): Descriptor | undefined {
	if ((selector & ~3) === 0) {
		if (!toLong || cpl === 3 || (selector & 3) !== cpl) throw new Fault(Vector.generalProtection, 0);
		return undefined;
	}
	return core.segmentation.readStack(selector, cpl, Vector.generalProtection);
}

/** Checks the instruction pointer against the segment that it goes into. @throws {Fault} #GP(0) */
export function checkTarget(core: ProcessorCore, code: Descriptor, low: number, high: number): void {
	if (core.state.longMode && code.isLong) {
		if (!isCanonical(high)) throw new Fault(Vector.generalProtection, 0);
	} else if (low >>> 0 > code.limit) throw new Fault(Vector.generalProtection, 0);
}

/** Loads CS and CPL; with a stack selector SS too. @throws {Fault} #PF of a descriptor table, before anything has changed. */
export function commitReturn(
	core: ProcessorCore,
	codeSelector: number,
	code: Descriptor,
	stackSelector?: number,
	stack?: Descriptor,
): void {
	const { state, segmentation } = core;
	segmentation.prepare(codeSelector, code);
	if (stackSelector !== undefined) segmentation.prepare(stackSelector, stack);
	segmentation.commit(Segment.cs, codeSelector, code);
	if (stackSelector !== undefined) {
		if (stack) segmentation.commit(Segment.ss, stackSelector, stack);
		else segmentation.commitNullStack(stackSelector);
	}
	state.cpl = codeSelector & 3;
	state.updateMode();
}

// The XSAVE area: XSAVE, XSAVEOPT and XRSTOR of x87 and SSE state in the standard form (SDM Vol. 1 §13.4, §13.7 to §13.9).

import { Fault, Vector } from "../../engine/fault.ts";
import { type Helper, Outcome } from "../../engine/helper.ts";
import { type SegmentIndex, SegmentSlot, State, segmentSlot } from "../../isa/state.ts";
import { ImageFlag } from "../../isa/x87/forms.ts";
import { requireOsxsave, StateComponent } from "../extended-state.ts";
import {
	initializeX87,
	loadX87Region,
	MXCSR_MASK,
	mxcsrOf,
	setMxcsr,
	setXmmRegion,
	x87Region,
	xmmRegion,
} from "./state-image.ts";
import type { X87Unit } from "./x87-unit.ts";

/** Byte offsets in the area (§13.4.1). */
const Area = { mxcsr: 24, registers: 32, xmm: 160, header: 512, afterHeader: 576 } as const;
const ALIGNMENT = 63;
const CR0_TS = 8;
const EAX = State.gpr >> 2;

/** @throws {Fault} #UD, #NM, #GP(0) in this order. @returns the requested-feature bitmap (§13.3). */
function begin(unit: X87Unit, record: number): number {
	const { i32, i64 } = unit.host.physical;
	requireOsxsave(i32[State.cr4 >> 2]!);
	if (i32[State.cr0 >> 2]! & CR0_TS) throw new Fault(Vector.deviceNotAvailable);
	const base = i64[(segmentSlot(unit.records.segment(record) as SegmentIndex) + SegmentSlot.effectiveBase) >> 3]!;
	const linear = Number(BigInt.asIntN(32, base + unit.records.effectiveAddress(record)));
	if (linear & ALIGNMENT) throw new Fault(Vector.generalProtection, 0);
	return i32[EAX]! & i32[State.xcr0 >> 2]!;
}

/** The components that are not in their initial configuration (§13.6). MXCSR does not count. */
function inUse(unit: X87Unit): number {
	const initialHead = new Uint8Array(Area.registers);
	initialHead[0] = 0x7f;
	initialHead[1] = 0x03;
	const x87 = x87Region(unit, ImageFlag.rexW);
	const x87Used = x87.some((byte, index) => byte !== (initialHead[index] ?? 0));
	const sseUsed = xmmRegion(unit).some((byte) => byte !== 0);
	return (x87Used ? StateComponent.x87 : 0) | (sseUsed ? StateComponent.sse : 0);
}

/** Parts of the area that are written. */
type Part = readonly [offset: number, bytes: Uint8Array];

/** XSAVE; with `optimized` XSAVEOPT, which leaves out components in their initial configuration. EDX asks for nothing that exists. */
function save(unit: X87Unit, record: number, flags: number, optimized: boolean): void {
	const requested = begin(unit, record);
	const used = inUse(unit);
	const saved = optimized ? requested & used : requested;
	const parts: Part[] = [];
	if (saved & StateComponent.x87) {
		const x87 = x87Region(unit, flags);
		parts.push([0, x87.subarray(0, Area.mxcsr)], [Area.registers, x87.subarray(Area.registers)]);
	}
	// MXCSR goes with the request for SSE state, whether that is in use or not (§13.7, §13.9).
	if (requested & StateComponent.sse) parts.push([Area.mxcsr, mxcsrOf(unit)]);
	if (saved & StateComponent.sse) parts.push([Area.xmm, xmmRegion(unit)]);
	const header = unit.readMemory(record, 8, Area.header);
	header[0] = (header[0]! & ~requested) | (used & requested);
	parts.push([Area.header, header]);
	for (const [offset, bytes] of parts) unit.probeWrite(record, bytes.length, offset);
	for (const [offset, bytes] of parts) unit.writeMemory(record, bytes, bytes.length, offset);
}

/** @throws {Fault} #GP(0) for a header that is not one of the standard form, or asks for what XCR0 has not (§13.8). */
function restore(unit: X87Unit, record: number, flags: number): void {
	const requested = begin(unit, record);
	const header = unit.readMemory(record, Area.afterHeader - Area.header, Area.header);
	const components = header[0]!;
	const enabled = unit.host.physical.i32[State.xcr0 >> 2]!;
	// XSTATE_BV beyond XCR0; XCOMP_BV and the eight bytes behind it, all zero in the standard form.
	if (components & ~enabled || header.subarray(1, 24).some((byte) => byte !== 0))
		throw new Fault(Vector.generalProtection, 0);
	const loaded = requested & components;
	const image =
		loaded !== 0 || requested & StateComponent.sse ? unit.readMemory(record, Area.header) : new Uint8Array(0);
	if (requested & StateComponent.sse) {
		const mxcsr = new DataView(image.buffer).getInt32(Area.mxcsr, true);
		if (mxcsr & ~MXCSR_MASK) throw new Fault(Vector.generalProtection, 0);
		setMxcsr(unit, mxcsr);
		const registers = loaded & StateComponent.sse ? image.subarray(Area.xmm) : new Uint8Array(256);
		setXmmRegion(unit, registers);
	}
	if (loaded & StateComponent.x87) loadX87Region(unit, image, flags);
	else if (requested & StateComponent.x87) {
		initializeX87(unit);
		unit.u8.fill(0, State.x87, State.x87 + 8 * 16);
	}
}

export function xsaveHelpers(unit: X87Unit): Record<string, Helper> {
	const helper =
		(action: (record: number, flags: number) => void): Helper =>
		(record, parameter) => {
			action(record, parameter);
			return Outcome.next;
		};
	return {
		"x87:xsave": helper((record, flags) => save(unit, record, flags, false)),
		"x87:xsaveopt": helper((record, flags) => save(unit, record, flags, true)),
		"x87:xrstor": helper((record, flags) => restore(unit, record, flags)),
	};
}

// The images that x87 and SSE state is saved in: FNSTENV, FLDENV, FNSAVE, FRSTOR (SDM Vol. 1 §8.1.10), FXSAVE, FXRSTOR
// (Vol. 1 §10.5, Vol. 2A FXSAVE).

import { Fault, Vector } from "../../engine/fault.ts";
import { type Helper, Outcome } from "../../engine/helper.ts";
import { State } from "../../isa/state.ts";
import { ImageFlag } from "../../isa/x87/forms.ts";
import { Kind } from "./binary-float.ts";
import { unpackExtended } from "./extended.ts";
import type { X87Unit } from "./x87-unit.ts";

export const MXCSR_MASK = 0xffff;
const CR0_PE = 1;
const EFLAGS_VM = 0x20000;
const INITIAL_CONTROL = 0x37f;

/** The full tag word: 0 valid, 1 zero, 2 special, 3 empty (SDM Vol. 1 §8.1.7). */
function fullTag(unit: X87Unit): number {
	let tags = 0;
	for (let register = 0; register < 8; register++) {
		let tag = 3;
		if (unit.tag & (1 << register)) {
			const value = unpackExtended(unit.physicalBits(register));
			tag = value.kind === Kind.zero ? 1 : value.kind === Kind.finite && !value.denormal ? 0 : 2;
		}
		tags |= tag << (register * 2);
	}
	return tags;
}

function abridgedTag(tags: number): number {
	let abridged = 0;
	for (let register = 0; register < 8; register++) if (((tags >> (register * 2)) & 3) !== 3) abridged |= 1 << register;
	return abridged;
}

/** FNINIT's state, but for the data registers, which keep what they have. */
export function initializeX87(unit: X87Unit): void {
	const { i32, i64 } = unit.host.physical;
	unit.control = INITIAL_CONTROL;
	unit.status = 0;
	unit.tag = 0;
	i32[State.x87Opcode >> 2] = 0;
	i64[State.x87InstructionPointer >> 3] = 0n;
	i64[State.x87DataPointer >> 3] = 0n;
	i32[State.x87InstructionSelector >> 2] = 0;
	i32[State.x87DataSelector >> 2] = 0;
}

/** Real-address and virtual-8086 mode have linear pointers in the image instead of selectors. */
function hasLinearPointers(unit: X87Unit): boolean {
	const { i32 } = unit.host.physical;
	return (i32[State.cr0 >> 2]! & CR0_PE) === 0 || (i32[State.flagsRest >> 2]! & EFLAGS_VM) !== 0;
}

/** The environment: SDM Vol. 1 Figures 8-9 to 8-12. */
function environment(unit: X87Unit, wide: boolean): Uint8Array {
	const { i32 } = unit.host.physical;
	const ip = i32[State.x87InstructionPointer >> 2]! >>> 0;
	const dp = i32[State.x87DataPointer >> 2]! >>> 0;
	const cs = i32[State.x87InstructionSelector >> 2]! & 0xffff;
	const ds = i32[State.x87DataSelector >> 2]! & 0xffff;
	const opcode = i32[State.x87Opcode >> 2]! & 0x7ff;
	const words = [unit.control, unit.status, fullTag(unit)];
	const bytes = new Uint8Array(wide ? 28 : 14);
	const view = new DataView(bytes.buffer);
	const linear = hasLinearPointers(unit);
	const linearIp = cs * 16 + ip;
	const linearDp = ds * 16 + dp;
	if (wide) {
		for (const [index, word] of words.entries()) view.setUint32(index * 4, word | 0xffff0000, true);
		if (linear) {
			view.setUint32(12, (linearIp & 0xffff) | 0xffff0000, true);
			view.setUint32(16, ((linearIp >>> 16) << 12) | opcode, true);
			view.setUint32(20, (linearDp & 0xffff) | 0xffff0000, true);
			view.setUint32(24, (linearDp >>> 16) << 12, true);
		} else {
			view.setUint32(12, ip, true);
			view.setUint32(16, cs | (opcode << 16), true);
			view.setUint32(20, dp, true);
			view.setUint32(24, ds | 0xffff0000, true);
		}
		return bytes;
	}
	const rest = linear
		? [linearIp, ((linearIp >>> 4) & 0xf000) | opcode, linearDp, (linearDp >>> 4) & 0xf000]
		: [ip, cs, dp, ds];
	for (const [index, word] of [...words, ...rest].entries()) view.setUint16(index * 2, word & 0xffff, true);
	return bytes;
}

function loadEnvironment(unit: X87Unit, bytes: Uint8Array, wide: boolean): void {
	const { i32, i64 } = unit.host.physical;
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	const word = (index: number) => view.getUint16(index * (wide ? 4 : 2), true);
	const status = word(1);
	const tags = word(2);
	let ip: number;
	let dp: number;
	let cs = 0;
	let ds = 0;
	if (hasLinearPointers(unit)) {
		// The selectors are gone: the linear address serves as the offset.
		const second = wide ? view.getUint32(16, true) : word(4);
		const fourth = wide ? view.getUint32(24, true) : word(6);
		ip = word(3) | ((second & (wide ? 0x0ffff000 : 0xf000)) << 4);
		dp = word(5) | ((fourth & (wide ? 0x0ffff000 : 0xf000)) << 4);
		i32[State.x87Opcode >> 2] = second & 0x7ff;
	} else {
		ip = wide ? view.getUint32(12, true) : word(3);
		dp = wide ? view.getUint32(20, true) : word(5);
		cs = word(4);
		ds = word(6);
		if (wide) i32[State.x87Opcode >> 2] = view.getUint16(18, true) & 0x7ff;
	}
	i64[State.x87InstructionPointer >> 3] = BigInt(ip >>> 0);
	i64[State.x87DataPointer >> 3] = BigInt(dp >>> 0);
	i32[State.x87InstructionSelector >> 2] = cs;
	i32[State.x87DataSelector >> 2] = ds;
	unit.tag = abridgedTag(tags);
	unit.status = status;
	unit.control = word(0);
}

/** FNSTENV masks all exceptions afterwards; FNSAVE initializes the unit. */
function saveImage(unit: X87Unit, record: number, flags: number): void {
	const head = environment(unit, (flags & ImageFlag.wide) !== 0);
	if ((flags & ImageFlag.registers) === 0) {
		unit.writeMemory(record, head);
		unit.control |= 0x3f;
		return;
	}
	const bytes = new Uint8Array(head.length + 80);
	bytes.set(head);
	for (let index = 0; index < 8; index++) bytes.set(registerBytes(unit, index), head.length + index * 10);
	unit.writeMemory(record, bytes);
	initializeX87(unit);
}

function registerBytes(unit: X87Unit, index: number): Uint8Array {
	const at = State.x87 + ((unit.top + index) & 7) * 16;
	return unit.u8.subarray(at, at + 10);
}

function setRegisterBytes(unit: X87Unit, index: number, bytes: Uint8Array): void {
	unit.u8.set(bytes, State.x87 + ((unit.top + index) & 7) * 16);
}

function restoreImage(unit: X87Unit, record: number, flags: number): void {
	const wide = (flags & ImageFlag.wide) !== 0;
	const head = wide ? 28 : 14;
	const withRegisters = (flags & ImageFlag.registers) !== 0;
	const bytes = unit.readMemory(record, withRegisters ? head + 80 : head);
	loadEnvironment(unit, bytes, wide);
	if (!withRegisters) return;
	for (let index = 0; index < 8; index++)
		setRegisterBytes(unit, index, bytes.subarray(head + index * 10, head + index * 10 + 10));
}

/** XMM registers that exist in the mode. */
function xmmCount(unit: X87Unit): number {
	return unit.host.physical.i32[State.codeSize >> 2] === 3 ? 16 : 8;
}

const MXCSR_OFFSET = 24;
const XMM_OFFSET = 160;

/** The x87 state as it lies in the first 160 bytes of the image; the place of MXCSR is empty. */
export function x87Region(unit: X87Unit, flags: number): Uint8Array {
	const { i32, i64 } = unit.host.physical;
	const bytes = new Uint8Array(XMM_OFFSET);
	const view = new DataView(bytes.buffer);
	view.setUint16(0, unit.control, true);
	view.setUint16(2, unit.status, true);
	bytes[4] = unit.tag;
	view.setUint16(6, i32[State.x87Opcode >> 2]!, true);
	if (flags & ImageFlag.rexW) {
		view.setBigInt64(8, i64[State.x87InstructionPointer >> 3]!, true);
		view.setBigInt64(16, i64[State.x87DataPointer >> 3]!, true);
	} else {
		view.setInt32(8, i32[State.x87InstructionPointer >> 2]!, true);
		view.setUint16(12, i32[State.x87InstructionSelector >> 2]!, true);
		view.setInt32(16, i32[State.x87DataPointer >> 2]!, true);
		view.setUint16(20, i32[State.x87DataSelector >> 2]!, true);
	}
	for (let index = 0; index < 8; index++) bytes.set(registerBytes(unit, index), 32 + index * 16);
	return bytes;
}

/** MXCSR and MXCSR_MASK. */
export function mxcsrOf(unit: X87Unit): Uint8Array {
	const bytes = new Uint8Array(8);
	const view = new DataView(bytes.buffer);
	view.setInt32(0, unit.host.physical.i32[State.mxcsr >> 2]!, true);
	view.setInt32(4, MXCSR_MASK, true);
	return bytes;
}

export function setMxcsr(unit: X87Unit, value: number): void {
	unit.host.physical.i32[State.mxcsr >> 2] = value;
}

/** The XMM registers of the mode. */
export function xmmRegion(unit: X87Unit): Uint8Array {
	return unit.u8.slice(State.xmm, State.xmm + xmmCount(unit) * 16);
}

export function setXmmRegion(unit: X87Unit, bytes: Uint8Array): void {
	unit.u8.set(bytes.subarray(0, xmmCount(unit) * 16), State.xmm);
}

function fxsave(unit: X87Unit, record: number, flags: number): void {
	const xmm = xmmRegion(unit);
	const bytes = new Uint8Array(XMM_OFFSET + xmm.length);
	bytes.set(x87Region(unit, flags));
	bytes.set(mxcsrOf(unit), MXCSR_OFFSET);
	bytes.set(xmm, XMM_OFFSET);
	// The operand is 512 bytes long, though its last bytes are not written (SDM Vol. 1 §10.5.1).
	unit.writeMemory(record, bytes, 512);
}

/** @throws {Fault} #GP(0) when a reserved bit of MXCSR is set in the image. */
function fxrstor(unit: X87Unit, record: number, flags: number): void {
	const bytes = unit.readMemory(record, 512);
	const mxcsr = new DataView(bytes.buffer).getInt32(MXCSR_OFFSET, true);
	if (mxcsr & ~MXCSR_MASK) throw new Fault(Vector.generalProtection, 0);
	setMxcsr(unit, mxcsr);
	loadX87Region(unit, bytes, flags);
	setXmmRegion(unit, bytes.subarray(XMM_OFFSET));
}

/** Loads the x87 state from the first 160 bytes of an image. */
export function loadX87Region(unit: X87Unit, bytes: Uint8Array, flags: number): void {
	const { i32, i64 } = unit.host.physical;
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	unit.status = view.getUint16(2, true);
	unit.tag = bytes[4]!;
	unit.control = view.getUint16(0, true);
	i32[State.x87Opcode >> 2] = view.getUint16(6, true) & 0x7ff;
	if (flags & ImageFlag.rexW) {
		i64[State.x87InstructionPointer >> 3] = view.getBigInt64(8, true);
		i64[State.x87DataPointer >> 3] = view.getBigInt64(16, true);
		i32[State.x87InstructionSelector >> 2] = 0;
		i32[State.x87DataSelector >> 2] = 0;
	} else {
		i64[State.x87InstructionPointer >> 3] = BigInt(view.getUint32(8, true));
		i64[State.x87DataPointer >> 3] = BigInt(view.getUint32(16, true));
		i32[State.x87InstructionSelector >> 2] = view.getUint16(12, true);
		i32[State.x87DataSelector >> 2] = view.getUint16(20, true);
	}
	for (let index = 0; index < 8; index++)
		setRegisterBytes(unit, index, bytes.subarray(32 + index * 16, 32 + index * 16 + 10));
}

export function stateImageHelpers(unit: X87Unit): Record<string, Helper> {
	const helper =
		(action: (unit: X87Unit, record: number, flags: number) => void): Helper =>
		(record, parameter) => {
			action(unit, record, parameter);
			return Outcome.next;
		};
	return {
		"x87:saveImage": helper(saveImage),
		"x87:restoreImage": helper(restoreImage),
		"x87:fxsave": helper(fxsave),
		"x87:fxrstor": helper(fxrstor),
		"x87:fldcw": (_record, _parameter) => {
			unit.control = unit.view.getUint16(State.exchange, true);
			return Outcome.next;
		},
	};
}

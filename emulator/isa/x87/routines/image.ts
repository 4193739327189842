// FXSAVE, FXRSTOR, XSAVE, XSAVEOPT and XRSTOR of an image that lies in one page, whose bytes are at `at` (SDM Vol. 1 §10.5.1, §13.4, §13.7
// to §13.9). What raises an exception is the helper's.

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { State } from "../../state.ts";
import { DONE, NOT_DONE, Status } from "./words.ts";

const { i32, i64 } = ValueType;
const HERE = Value.i32(0);

/** Byte offsets in the image (§10.5.1, Table 10-2; §13.4.2). */
const Image = {
	control: 0,
	status: 2,
	tag: 4,
	opcode: 6,
	instructionPointer: 8,
	instructionSelector: 12,
	dataPointer: 16,
	dataSelector: 20,
	mxcsr: 24,
	mxcsrMask: 28,
	registers: 32,
	xmm: 160,
	components: 512,
} as const;
export const FXSAVE_BYTES = 512;
/** The legacy region and the header. */
export const XSAVE_BYTES = 576;
/** Bytes of the header that have to be 0 behind XSTATE_BV, with the upper part of that. */
const HEADER_WORDS = [520, 528] as const;

const MXCSR_BITS = 0xffff;
const INITIAL_CONTROL = 0x37f;
const REGISTERS = 8;
const X87 = 1;
const SSE = 2;
const CR4_OSXSAVE = 0x40000;
const CR0_TS = 8;

const word = (f: FunctionBuilder, offset: number) => f.load(i32, 4, HERE, offset);
const wide64 = (f: FunctionBuilder, offset: number) => f.load(i64, 8, HERE, offset);
const set32 = (f: FunctionBuilder, offset: number, value: Value) => f.store(4, HERE, value, offset);
const set64 = (f: FunctionBuilder, offset: number, value: Value) => f.store(8, HERE, value, offset);

/** i32, from `status`: byte offset of the slot of ST(index) from State.x87. */
function slotOf(status: Value, index: number): Value {
	return status
		.shrU(7)
		.add(index << 4)
		.and(0x70);
}

function saveX87(f: FunctionBuilder, at: Value, wide: Value): void {
	const status = f.let(word(f, State.x87Status));
	f.store(2, at, word(f, State.x87Control), Image.control);
	f.store(2, at, status, Image.status);
	f.store(2, at, word(f, State.x87Tag).and(0xff), Image.tag);
	f.store(2, at, word(f, State.x87Opcode), Image.opcode);
	f.store(8, at, wide64(f, State.x87InstructionPointer), Image.instructionPointer);
	f.store(8, at, wide64(f, State.x87DataPointer), Image.dataPointer);
	f.if(wide.eqz(), () => {
		f.store(4, at, word(f, State.x87InstructionSelector).and(0xffff), Image.instructionSelector);
		f.store(4, at, word(f, State.x87DataSelector).and(0xffff), Image.dataSelector);
	});
	for (let index = 0; index < REGISTERS; index++) {
		const slot = f.let(slotOf(status, index));
		f.store(8, at, f.load(i64, 8, slot, State.x87), Image.registers + index * 16);
		f.store(8, at, f.load(i64, 2, slot, State.x87 + 8), Image.registers + index * 16 + 8);
	}
}

function loadX87(f: FunctionBuilder, at: Value, wide: Value): void {
	const control = f.let(f.load(i32, 2, at, Image.control).and(0x1f3f).or(0x40));
	const raw = f.let(f.load(i32, 2, at, Image.status));
	// ES and B follow from the flags and the masks (SDM Vol. 1 §8.1.3).
	const pending = raw.and(control.not()).and(Status.exceptions);
	set32(f, State.x87Control, control);
	set32(f, State.x87Status, raw.and(~Status.pending).or(pending.select(Value.i32(Status.pending), HERE)));
	set32(f, State.x87Tag, f.load(i32, 1, at, Image.tag));
	set32(f, State.x87Opcode, f.load(i32, 2, at, Image.opcode).and(0x7ff));
	f.if(
		wide,
		() => {
			set64(f, State.x87InstructionPointer, f.load(i64, 8, at, Image.instructionPointer));
			set64(f, State.x87DataPointer, f.load(i64, 8, at, Image.dataPointer));
			set32(f, State.x87InstructionSelector, HERE);
			set32(f, State.x87DataSelector, HERE);
		},
		() => {
			set64(f, State.x87InstructionPointer, f.load(i64, 4, at, Image.instructionPointer));
			set64(f, State.x87DataPointer, f.load(i64, 4, at, Image.dataPointer));
			set32(f, State.x87InstructionSelector, f.load(i32, 2, at, Image.instructionSelector));
			set32(f, State.x87DataSelector, f.load(i32, 2, at, Image.dataSelector));
		},
	);
	for (let index = 0; index < REGISTERS; index++) {
		const slot = f.let(slotOf(raw, index));
		f.store(8, slot, f.load(i64, 8, at, Image.registers + index * 16), State.x87);
		f.store(2, slot, f.load(i32, 2, at, Image.registers + index * 16 + 8), State.x87 + 8);
	}
}

/** FNINIT's state with cleared data registers. */
function initializeX87(f: FunctionBuilder): void {
	f.fillMemory(Value.i32(State.x87), HERE, Value.i32(REGISTERS * 16));
	set32(f, State.x87Control, Value.i32(INITIAL_CONTROL));
	for (const offset of [State.x87Status, State.x87Tag, State.x87Opcode]) set32(f, offset, HERE);
	set64(f, State.x87InstructionPointer, Value.i64(0));
	set64(f, State.x87DataPointer, Value.i64(0));
	set32(f, State.x87InstructionSelector, HERE);
	set32(f, State.x87DataSelector, HERE);
}

function saveMxcsr(f: FunctionBuilder, at: Value): void {
	f.store(4, at, word(f, State.mxcsr), Image.mxcsr);
	f.store(4, at, Value.i32(MXCSR_BITS), Image.mxcsrMask);
}

/** i32: bytes of the XMM registers that the mode has. */
function xmmBytes(f: FunctionBuilder): Value {
	return word(f, State.codeSize).eq(3).select(Value.i32(256), Value.i32(128));
}

function saveXmm(f: FunctionBuilder, at: Value): void {
	f.copyMemory(at.add(Image.xmm), Value.i32(State.xmm), xmmBytes(f));
}

function loadXmm(f: FunctionBuilder, at: Value): void {
	f.copyMemory(Value.i32(State.xmm), at.add(Image.xmm), xmmBytes(f));
}

/** Returns from the routine when MXCSR in the image has reserved bits. */
function requireMxcsr(f: FunctionBuilder, at: Value): Value {
	const mxcsr = f.let(f.load(i32, 4, at, Image.mxcsr));
	f.if(mxcsr.and(~MXCSR_BITS), () => f.return(NOT_DONE));
	return mxcsr;
}

function routine(name: string, parameters: Routine["parameters"], emit: (f: FunctionBuilder) => void): Routine {
	return {
		name: `x87.${name}`,
		parameters,
		results: [i32],
		changesState: true,
		emit(f) {
			emit(f);
			f.return(DONE);
		},
	};
}

/** (at, wide): `wide` is 1 with REX.W. */
export const fxsave = routine("fxsave", [i32, i32], (f) => {
	const at = f.parameter(0).get;
	saveX87(f, at, f.parameter(1).get);
	saveMxcsr(f, at);
	saveXmm(f, at);
});

/** (at, wide) */
export const fxrstor = routine("fxrstor", [i32, i32], (f) => {
	const at = f.parameter(0).get;
	set32(f, State.mxcsr, requireMxcsr(f, at));
	loadX87(f, at, f.parameter(1).get);
	loadXmm(f, at);
});

/** The requested components; returns from the routine for what begins with an exception. */
function beginXsave(f: FunctionBuilder, at: Value): Value {
	const refused = word(f, State.cr4).and(CR4_OSXSAVE).eqz().or(word(f, State.cr0).and(CR0_TS)).or(at.and(63));
	f.if(refused, () => f.return(NOT_DONE));
	return f.let(word(f, State.gpr).and(word(f, State.xcr0)));
}

/** i32: the components that are not in their initial configuration (§13.6). */
function inUse(f: FunctionBuilder): Value {
	const low16 = (offset: number) => word(f, offset).and(0xffff);
	const words = low16(State.x87Control)
		.xor(INITIAL_CONTROL)
		.or(low16(State.x87Status))
		.or(word(f, State.x87Tag).and(0xff))
		.or(low16(State.x87Opcode));
	const x87 = f.variable(i64);
	f.set(x87, words.extendU().or(wide64(f, State.x87InstructionPointer)).or(wide64(f, State.x87DataPointer)));
	for (let register = 0; register < REGISTERS; register++) {
		const at = State.x87 + register * 16;
		f.set(x87, x87.get.or(wide64(f, at)).or(f.load(i64, 2, HERE, at + 8)));
	}
	const sse = f.variable(i64);
	const orXmm = (from: number, to: number) => {
		for (let at = from; at < to; at += 8) f.set(sse, sse.get.or(wide64(f, State.xmm + at)));
	};
	f.set(sse, Value.i64(0));
	orXmm(0, 128);
	f.if(word(f, State.codeSize).eq(3), () => orXmm(128, 256));
	return f.let(x87.get.ne(0).or(sse.get.ne(0).shl(1)));
}

/** (at, wide, optimized): XSAVE, or XSAVEOPT, which leaves out what is in its initial configuration. */
export const xsave = routine("xsave", [i32, i32, i32], (f) => {
	const at = f.parameter(0).get;
	const requested = beginXsave(f, at);
	const used = inUse(f);
	const saved = f.let(f.parameter(2).get.select(requested.and(used), requested));
	f.if(saved.and(X87), () => saveX87(f, at, f.parameter(1).get));
	// MXCSR goes with the request for SSE state, whether that is in use or not (§13.7, §13.9).
	f.if(requested.and(SSE), () => saveMxcsr(f, at));
	f.if(saved.and(SSE), () => saveXmm(f, at));
	const components = f.load(i32, 1, at, Image.components);
	f.store(1, at, components.and(requested.not()).or(used.and(requested)), Image.components);
});

/** (at, wide) */
export const xrstor = routine("xrstor", [i32, i32], (f) => {
	const at = f.parameter(0).get;
	const wide = f.parameter(1).get;
	const requested = beginXsave(f, at);
	const components = f.let(f.load(i64, 8, at, Image.components));
	const enabled = word(f, State.xcr0).and(0xff).extendU();
	const reserved = HEADER_WORDS.reduce(
		(sum, offset) => sum.or(f.load(i64, 8, at, offset)),
		components.and(enabled.xor(Value.i64(-1))),
	);
	f.if(reserved.ne(0), () => f.return(NOT_DONE));
	const loaded = f.let(requested.and(components.wrap()));
	f.if(requested.and(SSE), () => {
		set32(f, State.mxcsr, requireMxcsr(f, at));
		f.if(
			loaded.and(SSE),
			() => loadXmm(f, at),
			() => f.fillMemory(Value.i32(State.xmm), HERE, xmmBytes(f)),
		);
	});
	f.if(requested.and(X87), () =>
		f.if(
			loaded.and(X87),
			() => loadX87(f, at, wide),
			() => initializeX87(f),
		),
	);
});

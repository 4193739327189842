// PUSH, POP, PUSHA, POPA, ENTER, LEAVE (SDM Vol. 2).

import { Value, ValueType } from "../emit/value.ts";
import { Gpr, type OperandSize, type Operation, wordType } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

/** Operand size by the letter of the mnemonic: Pushw, Pushd, Pushq. */
export function sizeOfSuffix(name: string, mnemonic: string): OperandSize {
	const letter = name.charAt(mnemonic.length);
	return letter === "d" ? 4 : letter === "q" ? 8 : 2;
}

/** POP to memory: the address is formed with the stack pointer already moved (SDM Vol. 2, POP). */
function popMemory(o: Operation): void {
	const size = o.size(0);
	const value = o.peekStack(size);
	const before = o.f.let(o.gpr(Gpr.rsp, 8));
	o.releaseStack(size);
	const after = o.f.let(o.gpr(Gpr.rsp, 8));
	const address = o.f.let(o.effectiveAddress());
	o.setGpr(Gpr.rsp, 8, before);
	const place = o.placeAt("write", size, o.segment(), address);
	o.f.store(size, place.address, value);
	place.commit();
	o.setGpr(Gpr.rsp, 8, after);
}

function popRegister(o: Operation): void {
	const size = o.size(0);
	const value = o.peekStack(size);
	o.releaseStack(size);
	o.write(0, value);
}

function pushAll(o: Operation, size: OperandSize): void {
	const top = o.f.let(o.gpr(Gpr.rsp, 8));
	for (let register = 0; register < 8; register++) {
		const pointer = o.maskStack(top.sub(size * (register + 1)));
		const place = o.placeAt("write", size, o.stackSlot(), pointer);
		o.f.store(size, place.address, o.gpr(register, size));
		place.commit();
	}
	o.setStackPointer(top.sub(size * 8));
}

function popAll(o: Operation, size: OperandSize): void {
	const values: Value[] = [];
	for (let register = 7; register >= 0; register--) values[register] = o.peekStack(size, size * (7 - register));
	o.releaseStack(size * 8);
	for (let register = 7; register >= 0; register--)
		if (register !== Gpr.rsp) o.setGpr(register, size, values[register]!);
}

function leave(o: Operation, size: OperandSize): void {
	const frame = o.f.let(o.maskStack(o.gpr(Gpr.rbp, 8)));
	const place = o.placeAt("read", size, o.stackSlot(), frame);
	const value = o.f.let(o.f.load(wordType(size), size, place.address));
	o.setStackPointer(frame.add(size));
	o.setGpr(Gpr.rbp, size, value);
}

function enter(o: Operation, size: OperandSize): void {
	const { i64, i32 } = ValueType;
	const level = o.f.let(o.secondImmediate().and(31));
	const pointer = o.f.variable(i64);
	const link = o.f.variable(i64);
	const count = o.f.variable(i32);
	const pushWord = (value: Value) => {
		o.f.set(pointer, o.maskStack(pointer.get.sub(size)));
		const place = o.placeAt("write", size, o.stackSlot(), pointer.get);
		o.f.store(size, place.address, value);
		place.commit();
	};
	o.f.set(pointer, o.gpr(Gpr.rsp, 8));
	pushWord(o.gpr(Gpr.rbp, size));
	// The frame pointer is the whole of ESP or RSP, also where the stack counts in SP.
	const before = o.f.let(o.gpr(Gpr.rsp, 8));
	const frame = o.f.let(before.sub(o.maskStack(before)).add(pointer.get));
	o.f.if(level, () => {
		o.f.set(link, o.gpr(Gpr.rbp, 8));
		o.f.set(count, level.sub(1));
		o.f.block((done) => {
			o.f.loop((again) => {
				o.f.brIf(done, count.get.eqz());
				o.f.scoped(() => {
					o.f.set(link, o.maskStack(link.get.sub(size)));
					const place = o.placeAt("read", size, o.stackSlot(), link.get);
					pushWord(o.f.let(o.f.load(wordType(size), size, place.address)));
				});
				o.f.set(count, count.get.sub(1));
				o.f.br(again);
			});
		});
		pushWord(size === 8 ? frame : frame.wrap());
	});
	const top = o.f.let(o.maskStack(pointer.get.sub(o.immediate64().and(Value.i64(0xffff)))));
	// A write with the final stack pointer has to be possible, though none is done (SDM Vol. 2A, ENTER, "Exceptions").
	o.placeAt("modify", size, o.stackSlot(), top);
	o.setStackPointer(top);
	o.setGpr(Gpr.rbp, size, size === 8 ? frame : frame.wrap());
}

export function defineStack(table: InstructionTable): void {
	table.define(/^Push_(r|rm)\d+$/, (o) => o.push(o.size(0), o.read(0)));
	table.define(/^Push_imm16$/, (o) => o.push(2, o.immediate(2)));
	table.define(/^Push[wdq]_imm\d+$/, (o, name) => {
		const size = sizeOfSuffix(name, "Push");
		o.push(size, o.immediate(size));
	});
	table.define(/^Pop_r\d+$/, popRegister);
	table.define(/^Pop_rm\d+$/, (o) => (o.memoryForm ? popMemory(o) : popRegister(o)));
	table.define(/^Pusha[wd]$/, (o, name) => pushAll(o, sizeOfSuffix(name, "Pusha")), { cold: true });
	table.define(/^Popa[wd]$/, (o, name) => popAll(o, sizeOfSuffix(name, "Popa")), { cold: true });
	table.define(/^Leave[wdq]$/, (o, name) => leave(o, sizeOfSuffix(name, "Leave")));
	table.define(/^Enter[wdq]_imm16_imm8$/, (o, name) => enter(o, sizeOfSuffix(name, "Enter")), { cold: true });
}

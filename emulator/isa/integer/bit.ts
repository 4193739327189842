// Bit tests and scans (SDM Vol. 2, BT BTS BTR BTC BSF BSR POPCNT BSWAP). BT and its kin change CF only.

import { Value } from "../emit/value.ts";
import { flagsOfLogic, setCarry, setZero } from "../flags.ts";
import { type Operation, wordType } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

type BitChange = ((old: Value, mask: Value) => Value) | undefined;

function bitTest(o: Operation, change: BitChange): void {
	const size = o.size(0);
	const bits = size * 8;
	const type = wordType(size);
	const one = type === Value.i64(0).type ? Value.i64(1) : Value.i32(1);
	const offset = o.f.let(o.readAs(1, size));
	const position = o.f.let(offset.and(bits - 1));
	const test = (old: Value) => o.f.let(old.shrU(position).toI32().and(1));
	if (!o.memoryForm) {
		const old = o.f.let(o.read(0));
		const found = test(old);
		if (change) o.write(0, change(old, one.shl(position)));
		setCarry(o, found);
		return;
	}
	// A bit offset in a register reaches beyond the operand: SDM Vol. 2, BT, "bit strings".
	let address = o.effectiveAddress();
	if (o.operands[1]!.kind === "gpr") {
		const extended = size === 8 ? offset : size === 4 ? offset.extendS() : offset.extend16S().extendS();
		const log = size === 8 ? 6 : size === 4 ? 5 : 4;
		const mask = Value.i64(-1).shrU(o.addressShift().extendU());
		address = address.add(extended.shrS(log).mul(size)).and(mask);
	}
	const place = o.placeAt(change ? "modify" : "read", size, o.segment(), address);
	const old = o.f.let(o.f.load(type, size, place.address));
	const found = test(old);
	if (change) {
		o.f.store(size, place.address, change(old, one.shl(position)));
		place.commit();
	}
	setCarry(o, found);
}

/** BSF and BSR: with a zero source ZF is set and the destination keeps its value (SDM: undefined; all processors keep it). */
function scan(o: Operation, reverse: boolean): void {
	const size = o.size(0);
	const source = o.f.let(o.read(1));
	o.f.if(
		source.eqz(),
		() => flagsOfLogic(o, size, source),
		() => {
			const type = source.type;
			const width = type === Value.i64(0).type ? 63 : 31;
			const constant = (value: number) => (width === 63 ? Value.i64(value) : Value.i32(value));
			const result = o.f.let(reverse ? constant(width).sub(source.clz()) : source.ctz());
			o.write(0, result);
			flagsOfLogic(o, size, o.f.let(source.or(1)));
			setZero(o, Value.i32(0));
		},
	);
}

function byteSwap(o: Operation): void {
	const size = o.size(0);
	if (size === 2) {
		// Deviation: undefined by the SDM; processors clear the 16 bits.
		o.write(0, Value.i32(0));
		return;
	}
	const old = o.f.let(o.read(0));
	if (size === 4) {
		o.write(
			0,
			old
				.rotl(8)
				.and(0x00ff00ff)
				.or(old.rotr(8).and(0xff00ff00 | 0)),
		);
		return;
	}
	const bytes = o.f.let(
		old
			.shl(8)
			.and(Value.i64(0xff00ff00ff00ff00n))
			.or(old.shrU(8).and(Value.i64(0x00ff00ff00ff00ffn))),
	);
	const words = o.f.let(
		bytes
			.shl(16)
			.and(Value.i64(0xffff0000ffff0000n))
			.or(bytes.shrU(16).and(Value.i64(0x0000ffff0000ffffn))),
	);
	o.write(0, words.rotl(32));
}

export function defineBit(table: InstructionTable): void {
	const change: Record<string, BitChange> = {
		Bts: (old, mask) => old.or(mask),
		Btr: (old, mask) => old.and(mask.not()),
		Btc: (old, mask) => old.xor(mask),
	};
	table.define(/^Bt_/, (o) => bitTest(o, undefined));
	for (const [name, operation] of Object.entries(change))
		table.define(new RegExp(`^${name}_`), (o) => bitTest(o, operation));
	// Without BMI1 and LZCNT the prefix of TZCNT and LZCNT is ignored (SDM Vol. 2, TZCNT).
	table.define(/^(Bsf|Tzcnt)_/, (o) => scan(o, false));
	table.define(/^(Bsr|Lzcnt)_/, (o) => scan(o, true));
	table.define(/^Bswap_/, byteSwap);
}

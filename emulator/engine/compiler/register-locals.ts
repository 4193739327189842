// The general registers inside a compiled block: read from the state once, then kept in locals as well. Every write goes to the
// state at once, so that the state is right wherever the block is left.

import type { FunctionBuilder, Variable } from "../../isa/emit/function-builder.ts";
import { Value, ValueType } from "../../isa/emit/value.ts";
import { State } from "../../isa/state.ts";

const { i32, i64 } = ValueType;

/** What a register's locals hold. */
const Held = {
	/** The wide local is the register. */
	wide: 1,
	/** The narrow local is the low half. */
	narrow: 2,
	/** The upper half is zero. */
	upperZero: 4,
} as const;

export class RegisterLocals {
	private readonly wide: Variable[] = [];
	private readonly narrow: Variable[] = [];
	private held = new Uint8Array(16);

	/** @param mode64 64-bit code: registers are read whole */
	constructor(
		private readonly f: FunctionBuilder,
		private readonly mode64: boolean,
		/** Blocks, loops and branches that are open where no part of an instruction is conditional. */
		private readonly base: () => number,
	) {}

	/** Forgets what the locals hold, at the start of a block. */
	forget(): void {
		this.held.fill(0);
	}

	/** What forget() and put-back of a failed attempt need. */
	save(): Uint8Array {
		return this.held.slice();
	}

	restore(held: Uint8Array): void {
		this.held = held.slice();
	}

	private wideLocal(register: number): Variable {
		this.wide[register] ??= this.f.persistentVariable(i64);
		return this.wide[register];
	}

	private narrowLocal(register: number): Variable {
		this.narrow[register] ??= this.f.persistentVariable(i32);
		return this.narrow[register];
	}

	private place(register: number): number {
		return State.gpr + register * 8;
	}

	private get conditional(): boolean {
		return this.f.nesting !== this.base();
	}

	/** The register's low 32 bits, held from now on unless this is conditional code. */
	private low(register: number): Value {
		const held = this.held[register]!;
		if (held & Held.narrow) return this.narrowLocal(register).get;
		if (held & Held.wide) return this.wideLocal(register).get.wrap();
		const loaded = this.f.load(i32, 4, Value.i32(0), this.place(register));
		if (this.conditional) return loaded;
		if (this.mode64) return this.whole(register).wrap();
		const local = this.narrowLocal(register);
		this.f.set(local, loaded);
		this.held[register] = Held.narrow;
		return local.get;
	}

	private whole(register: number): Value {
		const held = this.held[register]!;
		if (held & Held.wide) return this.wideLocal(register).get;
		if (held & Held.narrow && held & Held.upperZero) return this.narrowLocal(register).get.extendU();
		const loaded = this.f.load(i64, 8, Value.i32(0), this.place(register));
		if (this.conditional || !this.mode64) return Value.withLow(loaded, this.low(register));
		const local = this.wideLocal(register);
		this.f.set(local, loaded);
		this.held[register] = held | Held.wide;
		return local.get;
	}

	/**
	 * Reads `size` bytes, zero-extended to their word type.
	 * @param at byte offset of the register in the state; odd for AH, CH, DH, BH
	 */
	read(at: number, size: number): Value {
		const register = at >> 3;
		if (size === 8) return this.whole(register);
		const low = this.low(register);
		if (size === 4) return low;
		return (at & 1 ? low.shrU(8) : low).and(size === 1 ? 0xff : 0xffff);
	}

	/** Writes `size` bytes; a 4-byte write clears the upper half (SDM Vol. 1 §3.4.1.1). */
	write(at: number, size: number, value: Value): void {
		const register = at >> 3;
		if (size === 8) this.writeWhole(register, value);
		else if (size === 4) this.writeLow(register, value);
		else this.writePart(register, size, (at & 1) * 8, value);
	}

	private writeWhole(register: number, value: Value): void {
		if (value.isZeroExtended && value.low) {
			this.writeLow(register, value.low);
			return;
		}
		const held = this.held[register]!;
		if (this.conditional) {
			const kept = this.f.let(value);
			this.f.store(8, Value.i32(0), kept, this.place(register));
			if (held & Held.wide) this.f.set(this.wideLocal(register), kept);
			if (held & Held.narrow) this.f.set(this.narrowLocal(register), kept.wrap());
			this.held[register] = held & ~Held.upperZero;
			return;
		}
		const local = this.wideLocal(register);
		this.f.set(local, value);
		this.f.store(8, Value.i32(0), local.get, this.place(register));
		this.held[register] = Held.wide;
	}

	private writeLow(register: number, value: Value): void {
		const held = this.held[register]!;
		if (this.conditional) {
			const kept = this.f.let(value);
			this.f.store(8, Value.i32(0), kept.extendU(), this.place(register));
			if (held & Held.wide) this.f.set(this.wideLocal(register), kept.extendU());
			if (held & Held.narrow) this.f.set(this.narrowLocal(register), kept);
			return;
		}
		const local = this.narrowLocal(register);
		this.f.set(local, value);
		this.f.store(8, Value.i32(0), local.get.extendU(), this.place(register));
		this.held[register] = Held.narrow | Held.upperZero;
	}

	/** One or two bytes: merged into a local that holds the register, so that the state is written in a size that later loads find. */
	private writePart(register: number, size: number, shift: number, value: Value): void {
		const { f } = this;
		const held = this.held[register]!;
		const mask = (size === 1 ? 0xff : 0xffff) << shift;
		const part = value.toI32().and(size === 1 ? 0xff : 0xffff);
		if (this.conditional) {
			const kept = f.let(part);
			f.store(size, Value.i32(0), kept, this.place(register) + shift / 8);
			const shifted = kept.shl(shift);
			if (held & Held.narrow) {
				const local = this.narrowLocal(register);
				f.set(local, local.get.and(~mask).or(shifted));
			}
			if (held & Held.wide) {
				const local = this.wideLocal(register);
				f.set(local, local.get.and(Value.i64(~BigInt(mask))).or(shifted.extendU()));
			}
			return;
		}
		if (held & Held.wide || (held === 0 && this.mode64)) {
			const old = this.whole(register);
			const local = this.wideLocal(register);
			f.set(local, old.and(Value.i64(~BigInt(mask))).or(part.shl(shift).extendU()));
			f.store(8, Value.i32(0), local.get, this.place(register));
			this.held[register] = Held.wide;
			return;
		}
		const old = this.low(register);
		const local = this.narrowLocal(register);
		f.set(local, old.and(~mask).or(part.shl(shift)));
		if (held & Held.upperZero) f.store(8, Value.i32(0), local.get.extendU(), this.place(register));
		else f.store(4, Value.i32(0), local.get, this.place(register));
		this.held[register] = Held.narrow | (held & Held.upperZero);
	}
}

// EFLAGS between its architectural form and the lazy form that generated code keeps.
//
// In the state, with `result` = flagsResult (64 bits) and `aux` = flagsAux (32 bits):
//   ZF = result is 0                  SF = bit 63 of result, inverted by aux bit 0
//   PF = even parity of the low byte of result, after XOR with aux bits 15:8
//   CF = aux bit 31                   OF = aux bit 31 XOR aux bit 30               AF = aux bit 3

import type { PhysicalMemory } from "../engine/physical-memory.ts";
import { Eflags } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import { VmxWord } from "./vmx/vmx-state.ts";

const RESULT = State.flagsResult >> 2;
const AUX = State.flagsAux >> 2;
const REST = State.flagsRest >> 2;

/** 1 when the number of set bits in the low byte is even. */
function evenParity(byte: number): number {
	const nibble = (byte ^ (byte >> 4)) & 0xf;
	return (0x9669 >> nibble) & 1;
}

export class Flags {
	private readonly i32: Int32Array;

	constructor(physical: PhysicalMemory) {
		this.i32 = physical.i32;
	}

	/** EFLAGS as PUSHF would store it with nothing masked; bit 1 is set. */
	readEflags(): number {
		const low = this.i32[RESULT]!;
		const high = this.i32[RESULT + 1]!;
		const aux = this.i32[AUX]!;
		const carry = aux >>> 31;
		const zero = low === 0 && high === 0 ? Eflags.ZF : 0;
		const sign = ((high >>> 31) ^ (aux & 1)) << 7;
		const parity = evenParity((low ^ (aux >> 8)) & 0xff) << 2;
		const overflow = (carry ^ ((aux >>> 30) & 1)) << 11;
		const adjust = ((aux >>> 3) & 1) << 4;
		return this.i32[REST]! | Eflags.fixed | carry | parity | adjust | zero | sign | overflow;
	}

	/** Sets the flags in `mask` to those of `value`; flags that do not exist stay 0. Keeps State.interruptsEnabled in step. */
	writeEflags(value: number, mask: number): void {
		if (mask & Eflags.arithmetic) {
			const flags = (mask & Eflags.arithmetic) === Eflags.arithmetic ? value : this.merge(value, mask);
			const zero = (flags & Eflags.ZF) !== 0;
			const carry = flags & 1;
			const overflow = (flags >> 11) & 1;
			const parity = (flags >> 2) & 1;
			// The low byte of the result is 0 (even) when ZF is set, else 1 (odd); the correction in aux makes PF right.
			const parityByte = zero ? parity ^ 1 : parity;
			this.i32[RESULT] = zero ? 0 : 1;
			this.i32[RESULT + 1] = 0;
			this.i32[AUX] =
				(carry << 31) | ((carry ^ overflow) << 30) | (parityByte << 8) | (((flags >> 4) & 1) << 3) | ((flags >> 7) & 1);
		}
		const rest = mask & Eflags.rest;
		if (rest) {
			const now = (this.i32[REST]! & ~rest) | (value & rest);
			this.i32[REST] = now;
			this.i32[State.interruptsEnabled >> 2] = ((now >> 9) & 1) | this.i32[VmxWord.interruptsUnmasked >> 2]!;
		}
	}

	private merge(value: number, mask: number): number {
		return (this.readEflags() & ~mask) | (value & mask);
	}
}

// Random numbers that a seed repeats, and operand values at which instructions change their behaviour.

/** The generator xoshiro128** of Blackman and Vigna, seeded from one 32-bit number. */
export class Random {
	private readonly state = new Uint32Array(4);

	constructor(seed: number) {
		// Successive values of a Weyl sequence, mixed, so that similar seeds differ everywhere.
		for (let n = 0; n < 4; n++) {
			let z = (seed + Math.imul(n + 1, 0x9e3779b9)) | 0;
			z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
			z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
			this.state[n] = (z ^ (z >>> 16)) | 1;
		}
	}

	/** 32 random bits, unsigned. */
	bits32(): number {
		const s = this.state;
		const product = Math.imul(s[1]!, 5);
		const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
		const shifted = s[1]! << 9;
		s[2] = s[2]! ^ s[0]!;
		s[3] = s[3]! ^ s[1]!;
		s[1] = s[1]! ^ s[2]!;
		s[0] = s[0]! ^ s[3]!;
		s[2] = s[2]! ^ shifted;
		s[3] = (s[3]! << 11) | (s[3]! >>> 21);
		return result;
	}

	bits64(): bigint {
		return (BigInt(this.bits32()) << 32n) | BigInt(this.bits32());
	}

	/** An integer from 0 to bound - 1. */
	below(bound: number): number {
		return Math.floor((this.bits32() / 0x1_0000_0000) * bound);
	}

	/** True in `percent` of 100 calls. */
	chance(percent: number): boolean {
		return this.bits32() < percent * 42949672.96;
	}

	pick<T>(values: readonly T[]): T {
		return values[this.below(values.length)]!;
	}

	/** A 64-bit operand: often a small number, or one beside the boundary of a signed or unsigned size. */
	operand(): bigint {
		switch (this.below(6)) {
			case 0:
				return BigInt.asUintN(64, BigInt(this.below(5) - 2));
			case 1: {
				const boundary = 1n << BigInt(this.pick([3, 4, 7, 8, 15, 16, 31, 32, 63]));
				return BigInt.asUintN(64, boundary + BigInt(this.below(3) - 1));
			}
			case 2: {
				// The same value in each 32-, 16- or 8-bit part, so that it is there at every operand size.
				const part = this.pick([0x80n, 0x7fn, 0xffn, 0x01n, 0x8000n, 0x7fffn, 0x99n, 0x0fn]);
				return (part * this.pick([0x0101010101010101n, 0x0000000100000001n, 0x1n])) & 0xffffffffffffffffn;
			}
			case 3:
				return BigInt(this.bits32());
			case 4:
				return BigInt.asUintN(64, BigInt(this.bits32() | 0));
			default:
				return this.bits64();
		}
	}

	/** Fills bytes at random or with operands. */
	fill(bytes: Uint8Array): void {
		const random = this.below(2) === 0;
		for (let at = 0; at < bytes.length; at += 8) {
			let value = random ? this.bits64() : this.operand();
			for (let n = 0; n < 8 && at + n < bytes.length; n++) {
				bytes[at + n] = Number(value & 0xffn);
				value >>= 8n;
			}
		}
	}
}

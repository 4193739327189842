// LZMA: a range coder over adaptive bits, literals and matches in what was written before; and LZMA2, which cuts it into chunks.
// Reference: "LZMA specification" of the LZMA SDK (Igor Pavlov, public domain); The .xz File Format 1.1.0, §5.3.1 (LZMA2).

import { damaged } from "./errors.ts";

const TOP = 2 ** 24;
const INITIAL = 1024;
const STATES = 12;
/** From this state on the last thing was a match. */
const FIRST_MATCH_STATE = 7;
const POSITION_STATES = 16;
const LONGEST_SLOTTED = 4;
const ALIGN_BITS = 4;
/** Distances of slots below this one have their low bits in adaptive models. */
const END_OF_MODELS = 14;

/** Places of the models in one array. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP_0 = IS_REP + STATES;
const IS_REP_1 = IS_REP_0 + STATES;
const IS_REP_2 = IS_REP_1 + STATES;
const IS_REP_0_LONG = IS_REP_2 + STATES;
const SLOTS = IS_REP_0_LONG + STATES * POSITION_STATES;
const SPECIAL = SLOTS + LONGEST_SLOTTED * 64;
const ALIGN = SPECIAL + 128;
const MATCH_LENGTH = ALIGN + (1 << ALIGN_BITS);
/** A length coder: two choices, 16 low trees, 16 middle trees, a high tree. */
const LOW = 2;
const MIDDLE = LOW + (POSITION_STATES << 3);
const HIGH = MIDDLE + (POSITION_STATES << 3);
const LENGTH_MODELS = HIGH + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_MODELS;
const LITERALS = REP_LENGTH + LENGTH_MODELS;
const LITERAL_MODELS = 0x300;

export class LzmaDecoder {
	private models = new Uint16Array(LITERALS + LITERAL_MODELS);
	private literalContextBits = 0;
	private literalPositionMask = 0;
	private positionMask = 0;
	private state = 0;
	private readonly reps = [0, 0, 0, 0];
	private range = 0;
	private code = 0;
	/** Where the next byte is read and written. */
	input = 0;
	output = 0;
	/** Matches do not reach before it. */
	dictionaryStart = 0;

	constructor(
		private readonly from: Uint8Array,
		private readonly to: Uint8Array,
	) {}

	/** lc, lp and pb in one byte. @throws {CompressionError} */
	setProperties(byte: number): void {
		if (byte >= 9 * 5 * 5) damaged(`${byte} is no LZMA property byte`);
		this.literalContextBits = byte % 9;
		const rest = Math.floor(byte / 9);
		this.literalPositionMask = (1 << (rest % 5)) - 1;
		this.positionMask = (1 << Math.floor(rest / 5)) - 1;
		this.models = new Uint16Array(LITERALS + (LITERAL_MODELS << (this.literalContextBits + (rest % 5))));
	}

	resetState(): void {
		this.models.fill(INITIAL);
		this.state = 0;
		this.reps.fill(0);
	}

	/** The range coder begins at `input`. */
	begin(): void {
		const { from } = this;
		if (from[this.input] !== 0) damaged("a range coder does not begin with 0");
		this.range = 0xffff_ffff;
		this.code = 0;
		for (let i = 1; i < 5; i++) this.code = ((this.code << 8) | from[this.input + i]!) >>> 0;
		this.input += 5;
	}

	private normalize(): void {
		if (this.range >= TOP) return;
		this.range = (this.range << 8) >>> 0;
		this.code = ((this.code << 8) | this.from[this.input++]!) >>> 0;
	}

	private bit(model: number): 0 | 1 {
		if (this.range < TOP) this.normalize();
		const { models } = this;
		const probability = models[model]!;
		const bound = (this.range >>> 11) * probability;
		if (this.code < bound) {
			this.range = bound;
			models[model] = probability + ((2048 - probability) >> 5);
			return 0;
		}
		this.range -= bound;
		this.code -= bound;
		models[model] = probability - (probability >> 5);
		return 1;
	}

	/** Bits without a model, the highest first. */
	private direct(count: number): number {
		let value = 0;
		for (let i = 0; i < count; i++) {
			this.normalize();
			this.range >>>= 1;
			const one = this.code >= this.range ? 1 : 0;
			if (one) this.code -= this.range;
			value = value * 2 + one;
		}
		return value;
	}

	private tree(models: number, bits: number): number {
		let node = 1;
		for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(models + node);
		return node - (1 << bits);
	}

	private reverseTree(models: number, bits: number): number {
		let node = 1;
		let value = 0;
		for (let i = 0; i < bits; i++) {
			const one = this.bit(models + node);
			node = (node << 1) | one;
			value |= one << i;
		}
		return value;
	}

	/** Decodes until `end` bytes are written. @throws {CompressionError} */
	decode(end: number): void {
		const { to, from } = this;
		while (this.output < end) {
			// Reads beyond the end give zeros, which may go on for ever.
			if (this.input > from.length) damaged("the data ends early");
			const position = (this.output - this.dictionaryStart) & this.positionMask;
			const { state } = this;
			if (this.bit(IS_MATCH + state * POSITION_STATES + position) === 0) this.literal();
			else if (this.bit(IS_REP + state) === 0) this.match(end, position);
			else this.repeated(end, position);
		}
		this.normalize();
		if (this.output > to.length) damaged("more data than announced");
	}

	private literal(): void {
		const { to, output } = this;
		const before = output > this.dictionaryStart ? to[output - 1]! : 0;
		const low = ((output - this.dictionaryStart) & this.literalPositionMask) << this.literalContextBits;
		const models = LITERALS + LITERAL_MODELS * (low + (before >> (8 - this.literalContextBits)));
		let symbol = 1;
		if (this.state >= FIRST_MATCH_STATE) {
			let match = to[output - this.reps[0]! - 1]!;
			// Behind a match the byte that would have gone on is the context, until the first bit that differs.
			while (symbol < 0x100) {
				const expected = (match >> 7) & 1;
				match <<= 1;
				const one = this.bit(models + ((1 + expected) << 8) + symbol);
				symbol = (symbol << 1) | one;
				if (one !== expected) break;
			}
		}
		while (symbol < 0x100) symbol = (symbol << 1) | this.bit(models + symbol);
		to[output] = symbol;
		this.output = output + 1;
		this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6;
	}

	private match(end: number, position: number): void {
		const { reps } = this;
		reps[3] = reps[2]!;
		reps[2] = reps[1]!;
		reps[1] = reps[0]!;
		const length = this.length(MATCH_LENGTH, position);
		const slot = this.tree(SLOTS + Math.min(length, LONGEST_SLOTTED - 1) * 64, 6);
		reps[0] = this.distance(slot);
		this.state = this.state < FIRST_MATCH_STATE ? 7 : 10;
		this.copy(length + 2, end);
	}

	private distance(slot: number): number {
		if (slot < 4) return slot;
		const bits = (slot >> 1) - 1;
		const base = (2 | (slot & 1)) * 2 ** bits;
		if (slot < END_OF_MODELS) return base + this.reverseTree(SPECIAL + base - slot, bits);
		return base + this.direct(bits - ALIGN_BITS) * (1 << ALIGN_BITS) + this.reverseTree(ALIGN, ALIGN_BITS);
	}

	private repeated(end: number, position: number): void {
		const { reps, state } = this;
		if (this.bit(IS_REP_0 + state) === 0) {
			if (this.bit(IS_REP_0_LONG + state * POSITION_STATES + position) === 0) {
				this.state = state < FIRST_MATCH_STATE ? 9 : 11;
				this.copy(1, end);
				return;
			}
		} else {
			const which = this.bit(IS_REP_1 + state) === 0 ? 1 : this.bit(IS_REP_2 + state) === 0 ? 2 : 3;
			const [chosen] = reps.splice(which, 1);
			reps.unshift(chosen!);
		}
		const length = this.length(REP_LENGTH, position);
		this.state = state < FIRST_MATCH_STATE ? 8 : 11;
		this.copy(length + 2, end);
	}

	/** A length less 2. */
	private length(models: number, position: number): number {
		if (this.bit(models) === 0) return this.tree(models + LOW + (position << 3), 3);
		if (this.bit(models + 1) === 0) return 8 + this.tree(models + MIDDLE + (position << 3), 3);
		return 16 + this.tree(models + HIGH, 8);
	}

	private copy(length: number, end: number): void {
		const { to, output } = this;
		const source = output - this.reps[0]! - 1;
		if (source < this.dictionaryStart) damaged("a match reaches before the beginning");
		if (output + length > end) damaged("a match is longer than the rest");
		// It may overlap what it writes.
		for (let i = 0; i < length; i++) to[output + i] = to[source + i]!;
		this.output = output + length;
	}

	/** LZMA2 from `input` on. @throws {CompressionError} */
	decodeChunks(): void {
		const { from, to } = this;
		let needs = 3;
		for (;;) {
			const control = from[this.input++];
			if (control === undefined) damaged("the data ends early");
			if (control === 0) return;
			const at = this.input;
			const sixteen = (offset: number) => (from[at + offset]! << 8) | from[at + offset + 1]!;
			// Bits 6 and 5 say what begins anew: state, properties, dictionary. 1 and 2 are chunks as they are.
			const resets = control >= 0x80 ? (control >> 5) & 3 : control === 1 ? 3 : 0;
			if (control < 0x80 && control > 2) damaged(`${control} begins no LZMA2 chunk`);
			if (resets === 3) this.dictionaryStart = this.output;
			if (control < 0x80) {
				const size = sixteen(0) + 1;
				this.input = at + 2 + size;
				if (this.input > from.length || this.output + size > to.length) damaged("a chunk is too long");
				if (needs === 3 && resets !== 3) damaged("the first chunk does not begin a dictionary");
				to.set(from.subarray(at + 2, this.input), this.output);
				this.output += size;
				needs = Math.min(needs, 2);
				continue;
			}
			if (resets < needs) damaged("a chunk goes on with what no chunk has begun");
			needs = 0;
			const end = this.output + ((control & 0x1f) << 16) + sixteen(0) + 1;
			const size = sixteen(2) + 1;
			this.input = at + 4;
			if (resets >= 2) this.setProperties(from[this.input++]!);
			if (resets >= 1) this.resetState();
			const next = this.input + size;
			if (next > from.length || end > to.length) damaged("a chunk is too long");
			this.begin();
			this.decode(end);
			if (this.input !== next || this.code !== 0) damaged("a chunk does not end where it should");
		}
	}
}

/** The older format: properties, dictionary size, size, data. @throws {CompressionError} */
export function decodeLzma(bytes: Uint8Array, size: number): Uint8Array {
	const output = new Uint8Array(size);
	const decoder = new LzmaDecoder(bytes, output);
	decoder.setProperties(bytes[0]!);
	decoder.resetState();
	decoder.input = 13;
	decoder.begin();
	decoder.decode(size);
	return output;
}

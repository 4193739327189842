// One of the three counters of an 8254, as a function of time: nothing runs between accesses.
// Reference: Intel 8254 data sheet (order number 231164), "Mode Definitions", "Read/Write Operations".

/** The counter's saved state. Ticks are input clocks since power-on. */
export interface PitCounterState {
	/** The last control word without the counter number: RW in bits 5-4, mode in 3-1, BCD in 0. */
	control: number;
	/** The count register as last written, and whether its first byte of two has come. */
	count: number;
	firstByte: number | null;
	/** The next read gives the high byte of a two-byte count. */
	readHigh: boolean;
	latchedCount: number | null;
	latchedStatus: number | null;
	/** The count that runs (0 stands for 65536 or 10000), or null: none since the control word, or no trigger yet in modes 1 and 5. */
	running: number | null;
	/** The tick at which the running count was (or will be) in the counting element. */
	loaded: number;
	/** Ticks counted when a low gate stopped modes 0 and 4; null while it counts. */
	held: number | null;
	/** A count written while modes 2 and 3 run: it takes over at the end of the (half) period, at this tick. */
	takeover: number | null;
	/** The level at the GATE pin. */
	gate: boolean;
}

/** @param gate the level at the GATE pin. */
export function pitCounterAtPowerOn(gate: boolean): PitCounterState {
	return {
		control: 0x30,
		count: 0,
		firstByte: null,
		readHigh: false,
		latchedCount: null,
		latchedStatus: null,
		running: null,
		loaded: 0,
		held: null,
		takeover: null,
		gate,
	};
}

const RW_LOW = 1;
const RW_HIGH = 2;

/** Reads, writes and the OUT pin of a counter at a given tick. */
export class PitCounter {
	constructor(public state: PitCounterState) {}

	/** 0 to 5; modes 6 and 7 are 2 and 3 (data sheet, "Control Word Format": M2 is don't care for them). */
	get mode(): number {
		const mode = (this.state.control >> 1) & 7;
		return mode > 5 ? mode - 4 : mode;
	}

	private get readWrite(): number {
		return (this.state.control >> 4) & 3;
	}

	private get modulus(): number {
		return this.state.control & 1 ? 10_000 : 0x1_0000;
	}

	/** The number of clocks that the written count stands for; 0 is the largest. */
	private decode(count: number): number {
		if (!(this.state.control & 1)) return count || 0x1_0000;
		let value = 0;
		for (let shift = 12; shift >= 0; shift -= 4) value = value * 10 + ((count >> shift) & 15);
		return value || 10_000;
	}

	private encode(value: number): number {
		if (!(this.state.control & 1)) return value & 0xffff;
		let count = 0;
		for (let shift = 0; shift < 16; shift += 4) {
			count |= (value % 10) << shift;
			value = Math.trunc(value / 10);
		}
		return count;
	}

	writeControl(control: number): void {
		const gate = this.state.gate;
		this.state = { ...pitCounterAtPowerOn(gate), control: control & 0x3f };
	}

	latchCount(tick: number): void {
		if (this.state.latchedCount === null) this.state.latchedCount = this.countAt(tick);
	}

	latchStatus(tick: number): void {
		const { state } = this;
		if (state.latchedStatus === null) state.latchedStatus = this.status(tick);
	}

	/** Status byte: OUT, null count, control (data sheet, "Status Byte"). */
	status(tick: number): number {
		this.settle(tick);
		const { state } = this;
		const nullCount = state.running === null || state.takeover !== null || tick < state.loaded;
		return (this.output(tick) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | state.control;
	}

	read(tick: number): number {
		const { state } = this;
		if (state.latchedStatus !== null) {
			const status = state.latchedStatus;
			state.latchedStatus = null;
			return status;
		}
		const count = state.latchedCount ?? this.countAt(tick);
		if (this.readWrite === RW_LOW || this.readWrite === RW_HIGH) {
			state.latchedCount = null;
			return this.readWrite === RW_LOW ? count & 0xff : count >> 8;
		}
		if (state.readHigh) {
			state.readHigh = false;
			state.latchedCount = null;
			return count >> 8;
		}
		state.readHigh = true;
		return count & 0xff;
	}

	writeCount(tick: number, value: number): void {
		const { state } = this;
		this.settle(tick);
		if (this.readWrite === RW_LOW) this.load(tick, value);
		else if (this.readWrite === RW_HIGH) this.load(tick, value << 8);
		else if (state.firstByte === null) {
			state.firstByte = value;
			// Mode 0: writing the first byte disables counting and sets OUT low immediately.
			if (this.mode === 0) state.running = null;
		} else {
			const low = state.firstByte;
			state.firstByte = null;
			this.load(tick, low | (value << 8));
		}
	}

	private load(tick: number, count: number): void {
		const { state } = this;
		state.count = count;
		const mode = this.mode;
		if (mode === 1 || mode === 5) return;
		if ((mode === 2 || mode === 3) && state.running !== null) {
			// "Writing a new count while counting does not affect the current counting sequence."
			if (state.gate) state.takeover = this.nextBoundary(tick);
			return;
		}
		state.running = count;
		state.loaded = tick + 1;
		state.held = state.gate ? null : 0;
	}

	/** The level at the GATE pin changes. */
	setGate(tick: number, level: boolean): void {
		const { state } = this;
		this.settle(tick);
		if (level === state.gate) return;
		state.gate = level;
		const mode = this.mode;
		if (mode === 0 || mode === 4) {
			if (state.running === null) return;
			if (!level) state.held = Math.max(tick - state.loaded, 0);
			else if (state.held !== null) {
				state.loaded = tick - state.held + (state.held === 0 ? 1 : 0);
				state.held = null;
			}
		} else if (mode === 1 || mode === 5) {
			if (level) {
				state.running = state.count;
				state.loaded = tick + 1;
			}
		} else if (state.running !== null) {
			if (level) {
				state.running = state.count;
				state.loaded = tick + 1;
				state.held = null;
				state.takeover = null;
			} else state.held = Math.max(tick - state.loaded, 0);
		}
	}

	/** OUT at `tick`. */
	output(tick: number): boolean {
		this.settle(tick);
		const { state } = this;
		const mode = this.mode;
		if (state.running === null) return mode !== 0;
		const clocks = this.decode(state.running);
		const elapsed = state.held ?? tick - state.loaded;
		switch (mode) {
			case 0:
			case 1:
				// Deviation: in mode 1 OUT falls with the trigger, not at the next clock.
				return elapsed >= clocks;
			case 2:
				return !state.gate || elapsed < 0 || clocks === 1 || elapsed % clocks !== clocks - 1;
			case 3:
				return !state.gate || elapsed < 0 || elapsed % clocks < (clocks + 1) >> 1;
			default:
				return elapsed !== clocks;
		}
	}

	/** The first tick after `tick` at which OUT may differ from OUT at `tick`; Infinity if it stays as it is. */
	nextChange(tick: number): number {
		this.settle(tick);
		// A count that takes over may bring the next edge forward.
		return Math.min(this.nextEdge(tick), this.state.takeover ?? Number.POSITIVE_INFINITY);
	}

	/** The state with everything that is due by `tick` done: equal for equal behaviour from here on. */
	settled(tick: number): PitCounterState {
		const copy = new PitCounter({ ...this.state });
		copy.settle(tick);
		return copy.state;
	}

	private nextEdge(tick: number): number {
		const { state } = this;
		if (state.running === null || state.held !== null) return Number.POSITIVE_INFINITY;
		const clocks = this.decode(state.running);
		const elapsed = tick - state.loaded;
		const at = (moment: number) => (state.loaded + moment > tick ? state.loaded + moment : Number.POSITIVE_INFINITY);
		switch (this.mode) {
			case 0:
			case 1:
				return at(clocks);
			case 2: {
				if (clocks === 1) return Number.POSITIVE_INFINITY;
				const phase = elapsed < 0 ? elapsed : elapsed % clocks;
				return tick - phase + (phase < clocks - 1 ? clocks - 1 : clocks);
			}
			case 3: {
				if (clocks === 1) return Number.POSITIVE_INFINITY;
				const high = (clocks + 1) >> 1;
				const phase = elapsed < 0 ? elapsed : elapsed % clocks;
				return tick - phase + (phase < high ? high : clocks);
			}
			default:
				return Math.min(at(clocks), at(clocks + 1));
		}
	}

	/** The counting element as a read sees it. */
	countAt(tick: number): number {
		this.settle(tick);
		const { state } = this;
		const { modulus } = this;
		if (state.running === null) return state.count;
		const clocks = this.decode(state.running);
		const elapsed = Math.max(state.held ?? tick - state.loaded, 0);
		if (this.mode === 2) return this.encode((clocks - (elapsed % clocks)) % modulus);
		if (this.mode === 3) {
			// Counts by two; an odd count is loaded less one (data sheet, "Mode 3").
			const high = (clocks + 1) >> 1;
			const phase = elapsed % clocks;
			const steps = phase < high ? phase : phase - high;
			return this.encode(((clocks & ~1) - 2 * steps) % modulus);
		}
		const remaining = (clocks - elapsed) % modulus;
		return this.encode(remaining < 0 ? remaining + modulus : remaining);
	}

	/** The end of the running period (mode 2) or half period (mode 3). */
	private nextBoundary(tick: number): number {
		const { state } = this;
		const clocks = this.decode(state.running!);
		const elapsed = tick - state.loaded;
		if (elapsed < 0) return state.loaded;
		const phase = elapsed % clocks;
		const half = (clocks + 1) >> 1;
		return tick - phase + (this.mode === 3 && phase < half && clocks > 1 ? half : clocks);
	}

	/** Lets a count that was written while a period ran take over, if its moment has come. */
	private settle(tick: number): void {
		const { state } = this;
		if (state.takeover === null || tick < state.takeover || state.running === null) return;
		const clocks = this.decode(state.running);
		// Mode 3 may change over at the half period: the new count's low half follows.
		const atHalf =
			this.mode === 3 && clocks > 1 && (state.takeover - state.loaded) % clocks !== 0 && state.takeover > state.loaded;
		const next = this.decode(state.count);
		state.running = state.count;
		state.loaded = atHalf ? state.takeover - ((next + 1) >> 1) : state.takeover;
		state.takeover = null;
	}
}

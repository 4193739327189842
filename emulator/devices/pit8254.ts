// The 8254 programmable interval timer of a PC. Reference: Intel 8254 data sheet (order number 231164).

import type { Alarm, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { PitCounter, type PitCounterState, pitCounterAtPowerOn } from "./pit-counter.ts";
import { TickRate } from "./tick-rate.ts";

/** The PC's input clock: 14.31818 MHz / 12, to the whole hertz. */
export const PIT_HERTZ = 1_193_182;

/** Offset of the control word register; 0 to 2 are the counters. */
const CONTROL = 3;
/** Control word, SC field: the read-back command. */
const READ_BACK = 3;
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

const readWriteNames = ["latch", "low byte", "high byte", "low then high byte"];
const modeNames = [
	"interrupt on terminal count",
	"hardware retriggerable one-shot",
	"rate generator",
	"square wave",
	"software triggered strobe",
	"hardware triggered strobe",
];

interface PitState {
	counters: PitCounterState[];
}

function powerOn(): PitState {
	// GATE 0 and 1 are tied high on a PC; GATE 2 is bit 0 of port 0x61.
	return { counters: [pitCounterAtPowerOn(true), pitCounterAtPowerOn(true), pitCounterAtPowerOn(false)] };
}

/** Register block: 4 ports at 0x40. OUT 0 drives `irq0`; OUT 2 and GATE 2 belong to port 0x61. */
export class Pit8254 implements Device, RegisterBlock {
	readonly name = "8254";
	readonly widestAccess = 1;
	private readonly rate = new TickRate(PIT_HERTZ);
	private counters: PitCounter[] = [];
	private alarm: Alarm | undefined;

	constructor(
		private readonly clock: Clock,
		private readonly irq0: InterruptLine,
	) {
		this.setState(powerOn());
	}

	read(offset: number): number {
		// "The control word register can only be written to; the status information is available with the read-back command."
		if (offset === CONTROL) return 0xff;
		return this.counters[offset]!.read(this.tick());
	}

	write(offset: number, _size: number, value: number): void {
		const tick = this.tick();
		if (offset !== CONTROL) {
			this.counters[offset]!.writeCount(tick, value);
			if (offset === 0) this.follow();
			return;
		}
		const selected = value >> 6;
		if (selected === READ_BACK) {
			for (let i = 0; i < 3; i++) {
				if (!(value & (2 << i))) continue;
				if (!(value & READ_BACK_NO_COUNT)) this.counters[i]!.latchCount(tick);
				if (!(value & READ_BACK_NO_STATUS)) this.counters[i]!.latchStatus(tick);
			}
		} else if ((value & 0x30) === 0) this.counters[selected]!.latchCount(tick);
		else {
			this.counters[selected]!.writeControl(value);
			if (selected === 0) this.follow();
		}
	}

	/** The level at OUT of counter 0, 1 or 2. */
	output(counter: number): boolean {
		const asked = this.counters[counter]!;
		// A count that is to take over is left for the guest's own accesses: looking changes nothing.
		const looked = asked.state.takeover === null ? asked : new PitCounter({ ...asked.state });
		return looked.output(this.tick());
	}

	get gate2(): boolean {
		return this.counters[2]!.state.gate;
	}

	setGate2(level: boolean): void {
		this.counters[2]!.setGate(this.tick(), level);
	}

	reset(): void {
		this.setState(powerOn());
		this.follow();
	}

	save(): unknown {
		const tick = this.tick();
		return { counters: this.counters.map((counter) => counter.settled(tick)) } satisfies PitState;
	}

	restore(state: unknown): void {
		this.setState(structuredClone(state as PitState));
		this.follow();
	}

	registers(): RegisterView[] {
		const tick = this.tick();
		return this.counters.flatMap(({ state }, i) => {
			const counter = new PitCounter({ ...state });
			const out = counter.output(tick) ? "high" : "low";
			const { control } = state;
			const how = `mode ${counter.mode}: ${modeNames[counter.mode]}, ${readWriteNames[(control >> 4) & 3]}, ${control & 1 ? "BCD" : "binary"}`;
			return [
				{ name: `counter ${i} count`, width: 16, value: counter.countAt(tick), meaning: `OUT ${out}` },
				{ name: `counter ${i} reload`, width: 16, value: state.count, meaning: `GATE ${state.gate ? "high" : "low"}` },
				{ name: `counter ${i} status`, width: 8, value: counter.status(tick), meaning: how },
			];
		});
	}

	private tick(): number {
		return this.rate.ticksAt(this.clock.now());
	}

	private setState(state: PitState): void {
		this.counters = state.counters.map((counter) => new PitCounter(counter));
	}

	/** Drives IRQ 0 from OUT 0 and asks for an alarm at its next edge. */
	private follow(): void {
		this.alarm?.cancel();
		this.alarm = undefined;
		const tick = this.tick();
		const counter = this.counters[0]!;
		this.irq0.set(counter.output(tick));
		const next = counter.nextChange(tick);
		if (next !== Number.POSITIVE_INFINITY) this.alarm = this.clock.at(this.rate.timeOfTick(next), () => this.follow());
	}
}

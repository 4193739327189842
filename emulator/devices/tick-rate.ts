// Conversion between virtual time and the ticks of an oscillator, exact in integers below 2^53: no drift, no rounding.

const nanosecondsPerSecond = 1_000_000_000;

function greatestCommonDivisor(a: number, b: number): number {
	while (b !== 0) [a, b] = [b, a % b];
	return a;
}

/** An oscillator of a whole number of hertz that has run since virtual time 0. */
export class TickRate {
	private readonly numerator: number;
	private readonly denominator: number;

	/** @throws RangeError when `hertz` is not a positive integer or too uneven for exact arithmetic (above about 9 MHz, multiples of 1 kHz are safe). */
	constructor(readonly hertz: number) {
		const divisor = greatestCommonDivisor(hertz, nanosecondsPerSecond);
		this.numerator = hertz / divisor;
		this.denominator = nanosecondsPerSecond / divisor;
		if (!Number.isInteger(hertz) || hertz <= 0 || this.numerator * this.denominator > Number.MAX_SAFE_INTEGER)
			throw new RangeError(`An oscillator of ${hertz} Hz has no exact tick count: give another frequency.`);
	}

	/** Ticks that have passed at `time` (nanoseconds): floor(time * hertz / 10^9). */
	ticksAt(time: number): number {
		const rest = time % this.denominator;
		const product = rest * this.numerator;
		return (
			((time - rest) / this.denominator) * this.numerator + (product - (product % this.denominator)) / this.denominator
		);
	}

	/** The first nanosecond at which `ticksAt` gives `tick`. */
	timeOfTick(tick: number): number {
		const rest = tick % this.numerator;
		const product = rest * this.denominator;
		const remainder = product % this.numerator;
		const whole = (product - remainder) / this.numerator;
		return ((tick - rest) / this.numerator) * this.denominator + whole + (remainder > 0 ? 1 : 0);
	}
}

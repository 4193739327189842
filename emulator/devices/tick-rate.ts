// Conversion between virtual time and the ticks of an oscillator, exact in integers below 2^53: no drift, no rounding.

const nanosecondsPerSecond = 1_000_000_000;

/**
 * Quotient and remainder of integers from 0 to 2^53: the division is off by one at most, and the remainder tells. (The operator % on
 * such numbers costs as much as ten divisions, and guests that wait for a timer ask for its ticks at every turn.)
 */
function floorDivide(dividend: number, divisor: number): number {
	const quotient = Math.floor(dividend / divisor);
	const rest = dividend - quotient * divisor;
	return rest < 0 ? quotient - 1 : rest >= divisor ? quotient + 1 : quotient;
}

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
		const { numerator, denominator } = this;
		const whole = floorDivide(time, denominator);
		return whole * numerator + floorDivide((time - whole * denominator) * numerator, denominator);
	}

	/** The first nanosecond at which `ticksAt` gives `tick`. */
	timeOfTick(tick: number): number {
		const { numerator, denominator } = this;
		const whole = floorDivide(tick, numerator);
		const product = (tick - whole * numerator) * denominator;
		const nanoseconds = floorDivide(product, numerator);
		return whole * denominator + nanoseconds + (product > nanoseconds * numerator ? 1 : 0);
	}
}

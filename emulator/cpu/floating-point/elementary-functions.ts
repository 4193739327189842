// Mathematical constants and elementary functions in fixed point: integers that stand for value × 2^FRACTION.

import { finite, type Unpacked, zero } from "./binary-float.ts";
import { integerSquareRoot } from "./exact-arithmetic.ts";

/** Fraction bits: 64 for the result, and room for cancellation and for the errors of the series. */
export const FRACTION = 320;
const BITS = BigInt(FRACTION);
export const ONE = 1n << BITS;

/**
 * x - x^3 / 3 + x^5 / 5 - ..., the arctangent, or with equal signs the inverse hyperbolic tangent, of a small x.
 */
function arctangentSeries(x: bigint, alternating: boolean): bigint {
	if (x < 0n) return -arctangentSeries(-x, alternating);
	const square = (x * x) >> BITS;
	let power = x;
	let sum = 0n;
	for (let n = 0n; power !== 0n; n++) {
		const term = power / (2n * n + 1n);
		sum += alternating && n % 2n === 1n ? -term : term;
		power = (power * square) >> BITS;
	}
	return sum;
}

/** arctan x for |x| <= 1. Halves the angle until the series is quick. */
export function arctangent(x: bigint): bigint {
	let argument = x;
	let doublings = 0n;
	// arctan t = 2 arctan(t / (1 + sqrt(1 + t^2)))
	while (absolute(argument) > ONE >> 4n) {
		const root = integerSquareRoot((ONE << BITS) + argument * argument);
		argument = (argument << BITS) / (ONE + root);
		doublings++;
	}
	return arctangentSeries(argument, true) << doublings;
}

function absolute(value: bigint): bigint {
	return value < 0n ? -value : value;
}

/** ln((1 + t) / (1 - t)) / 2. */
function inverseHyperbolicTangent(t: bigint): bigint {
	return arctangentSeries(t, false);
}

/** ln(1 + x) for x above -1, quick for small x. */
export function naturalLogarithmOfSum(x: bigint): bigint {
	// ln(1 + x) = 2 artanh(x / (2 + x))
	return 2n * inverseHyperbolicTangent((x << BITS) / (2n * ONE + x));
}

/** e^x - 1 for |x| <= 1. */
export function exponentialMinusOne(x: bigint): bigint {
	let term = ONE;
	let sum = 0n;
	for (let n = 1n; ; n++) {
		term = (term * x) / (ONE * n);
		if (term === 0n) return sum;
		sum += term;
	}
}

/** sin x and cos x for |x| < 1. */
export function sineAndCosine(x: bigint): { sine: bigint; cosine: bigint } {
	const square = (x * x) >> BITS;
	let sine = 0n;
	let cosine = 0n;
	let term = ONE;
	for (let n = 0n; term !== 0n; n++) {
		cosine += n % 2n === 0n ? term : -term;
		term = (term * square) / (ONE * (2n * n + 1n) * (2n * n + 2n));
	}
	term = x;
	for (let n = 0n; term !== 0n; n++) {
		sine += n % 2n === 0n ? term : -term;
		term = (term * square) / (ONE * (2n * n + 2n) * (2n * n + 3n));
	}
	return { sine, cosine };
}

/** π = 16 arctan(1/5) - 4 arctan(1/239). */
export const PI = 16n * arctangentSeries(ONE / 5n, true) - 4n * arctangentSeries(ONE / 239n, true);

/** ln 2 = 2 artanh(1/3). */
export const LN2 = 2n * inverseHyperbolicTangent(ONE / 3n);
/** ln 10 = 3 ln 2 + ln 1.25. */
const LN10 = 3n * LN2 + naturalLogarithmOfSum(ONE / 4n);

const loaded: readonly Unpacked[] = [
	finite(false, 1n, 0),
	finite(false, (LN10 << BITS) / LN2, -FRACTION),
	finite(false, (ONE << BITS) / LN2, -FRACTION),
	finite(false, PI, -FRACTION),
	finite(false, (LN2 << BITS) / LN10, -FRACTION),
	finite(false, LN2, -FRACTION),
	zero(false),
];

/** The exact-enough value that FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ round (index in this order). */
export function constantValue(index: number): Unpacked {
	return loaded[index]!;
}

/** The π of 66 bits that the processor reduces the arguments of FSIN, FCOS, FSINCOS and FPTAN by (SDM Vol. 1 §8.3.8). */
export const REDUCTION_PI = 0xc90fdaa22168c234cn << BigInt(FRACTION - 66);

// What is left open of the x87 state: condition codes, and results of operands that an instruction is not made for.

import { Case, type CaseRecord, Fxsave, Result, type ResultRecord } from "./records.ts";

const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;
const CONDITION_CODES = C0 | C1 | C2 | C3;
const ERROR_SUMMARY = 0x80;
const DENORMAL = 2;
const PRECISION = 0x20;
const transcendental = /^F(2xm1|yl2x|yl2xp1|sin|cos|sincos|ptan|patan)$/;

/** Sign and exponent, and significand, of ST(n) before the instruction; undefined when the register is empty. */
function stackRegister(one: CaseRecord, n: number): { exponent: number; significand: bigint } | undefined {
	const top = (one.u16(Case.fxsave + Fxsave.status) >> 11) & 7;
	if (((one.bytes[Case.fxsave + Fxsave.tag]! >> ((top + n) & 7)) & 1) === 0) return undefined;
	const at = Case.fxsave + Fxsave.st + n * 16;
	return { exponent: one.u16(at + 8) & 0x7fff, significand: one.u64(at) };
}

function isFiniteNumber(one: CaseRecord, n: number): boolean {
	const register = stackRegister(one, n);
	return register !== undefined && register.exponent !== 0x7fff && register.significand >= 1n << 63n;
}

/** What is compared of the x87 state after an instruction. */
export interface X87Comparison {
	/** False: nothing of the x87 state. */
	readonly state: boolean;
	/** Bits of the status word that are not compared. */
	readonly openStatus: number;
	/** By how much significands may differ, in units of the last place. */
	readonly tolerance: bigint;
}

const everything: X87Comparison = { state: true, openStatus: 0, tolerance: 0n };
const nothing: X87Comparison = { state: false, openStatus: 0, tolerance: 0n };

export function comparedX87(name: string, one: CaseRecord, expected: ResultRecord): X87Comparison {
	const status = expected.u16(Result.fxsave + Fxsave.status);
	const unmasked = (status & ERROR_SUMMARY) !== 0;
	// SDM Vol. 1 §8.5.2: an unmasked denormal operand is left where it is; AMD's processors go on with it (APM Vol. 1 §6.8.2).
	if (status & DENORMAL && (one.u16(Case.fxsave + Fxsave.control) & DENORMAL) === 0) return nothing;
	// SDM Vol. 2A, FPREM: the condition codes are a quotient's bits; without a quotient some processors leave them.
	if (/^Fprem1?$/.test(name)) {
		const quotient = isFiniteNumber(one, 0) && isFiniteNumber(one, 1);
		return { ...everything, openStatus: quotient && !unmasked ? 0 : CONDITION_CODES };
	}
	if (transcendental.test(name)) {
		// SDM Vol. 2A, FYL2XP1: "ST(0) in the range -(1 - sqrt(2)/2) to (1 - sqrt(2)/2)"; F2XM1: "-1.0 to +1.0".
		const exponent = stackRegister(one, 0)?.exponent ?? 0;
		const limit = name === "Fyl2xp1" ? 0x3ffd : name === "F2xm1" ? 0x4000 : 0x8000;
		if (exponent >= limit && exponent !== 0x7fff) return nothing;
		// SDM Vol. 1 §8.3.10: an error of less than 1 ulp; whether it was rounded up is then the processor's own.
		return { ...everything, openStatus: C1 | PRECISION, tolerance: 1n };
	}
	// SDM Vol. 2A, FCOMI: C1 is 0; AMD's processors leave it (APM Vol. 5, FCOMI).
	if (/^Fu?comip?_/.test(name)) return { ...everything, openStatus: C1 };
	// SDM Vol. 2A, FCOM: with an unmasked exception the condition codes are not set; AMD's processors set them.
	if (/^(Fu?com|Ficom|Ftst)/.test(name) && unmasked) return { ...everything, openStatus: CONDITION_CODES };
	return everything;
}

/**
 * True for a store that raises an unmasked exception and has a memory operand that faults: which of the two comes first is not
 * said.
 */
export function isFaultingStore(name: string, expected: ResultRecord, actual: ResultRecord): boolean {
	const pending = (result: ResultRecord) => (result.u16(Result.fxsave + Fxsave.status) & ERROR_SUMMARY) !== 0;
	return /^F(istt?p?|stp?|bstp)_m/.test(name) && pending(expected) !== pending(actual);
}

/** EFLAGS that are open because an unmasked exception kept FCOMI from setting them on some processors. */
export function undefinedByException(name: string, expected: ResultRecord): number {
	const unmasked = (expected.u16(Result.fxsave + Fxsave.status) & ERROR_SUMMARY) !== 0;
	return unmasked && /^Fu?comip?_/.test(name) ? 0x8d5 : 0;
}

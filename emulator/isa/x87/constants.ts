// The constants that can be pushed, in encoding order, rounded to nearest (SDM Vol. 1 §8.3.8, Vol. 2A FLD1 ... FLDZ).

export interface Constant {
	readonly mnemonic: string;
	/** The significand with its integer bit. */
	readonly low: bigint;
	/** Biased. */
	readonly exponent: number;
}

export const constants: readonly Constant[] = [
	{ mnemonic: "Fld1", low: 0x8000000000000000n, exponent: 0x3fff },
	{ mnemonic: "Fldl2t", low: 0xd49a784bcd1b8afen, exponent: 0x4000 },
	{ mnemonic: "Fldl2e", low: 0xb8aa3b295c17f0bcn, exponent: 0x3fff },
	{ mnemonic: "Fldpi", low: 0xc90fdaa22168c235n, exponent: 0x4000 },
	{ mnemonic: "Fldlg2", low: 0x9a209a84fbcff799n, exponent: 0x3ffd },
	{ mnemonic: "Fldln2", low: 0xb17217f7d1cf79acn, exponent: 0x3ffe },
	{ mnemonic: "Fldz", low: 0n, exponent: 0 },
];

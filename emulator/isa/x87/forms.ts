// What the rows of the x87 pass to the helpers, as the `parameter` of Operation.helper().

/** The eight operations that share encodings, in encoding order (SDM Vol. 2D Table B-39, opcode bits 5:3). */
export const ArithmeticOperation = { add: 0, mul: 1, com: 2, comp: 3, sub: 4, subr: 5, div: 6, divr: 7 } as const;

/** Where the operands of an arithmetic operation are; shifted left by 8 in the parameter. */
export const ArithmeticForm = {
	/** ST(0) is the destination, ST(i) the source. */
	toTop: 0,
	/** ST(i) is the destination, ST(0) the source. */
	toRegister: 1,
	/** The same, then the stack is popped. */
	toRegisterPop: 2,
	single: 3,
	double: 4,
	integer16: 5,
	integer32: 6,
} as const;

/** The format of a load or store. */
export const DataFormat = {
	single: 0,
	double: 1,
	extended: 2,
	integer16: 3,
	integer32: 4,
	integer64: 5,
	decimal: 6,
	register: 7,
} as const;

/** Added to a store's or comparison's parameter. */
export const StoreFlag = { pop: 0x10, truncate: 0x20, emptyAllowed: 0x40 } as const;

/** Comparisons. */
export const CompareFlag = { quiet: 1, pop: 2, popTwice: 4, toEflags: 8, withZero: 16 } as const;

/** Environment and state images: operand size, and what is in the image. */
export const ImageFlag = { wide: 1, registers: 2, rexW: 4 } as const;

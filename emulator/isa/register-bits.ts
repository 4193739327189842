// Names of the bits in the control registers and EFLAGS, as signed 32-bit masks.

/** EFLAGS (SDM Vol. 1 §3.4.3, Figure 3-8). */
export const Eflags = {
	CF: 1 << 0,
	fixed: 1 << 1,
	PF: 1 << 2,
	AF: 1 << 4,
	ZF: 1 << 6,
	SF: 1 << 7,
	TF: 1 << 8,
	IF: 1 << 9,
	DF: 1 << 10,
	OF: 1 << 11,
	IOPL: 3 << 12,
	NT: 1 << 14,
	RF: 1 << 16,
	VM: 1 << 17,
	AC: 1 << 18,
	VIF: 1 << 19,
	VIP: 1 << 20,
	ID: 1 << 21,
	/** CF, PF, AF, ZF, SF and OF. */
	arithmetic: 0x8d5,
	/** All that exist and are not arithmetic. */
	rest: 0x3f7700,
} as const;

/** CR0 (SDM Vol. 3A §2.5, Figure 2-7). */
export const Cr0 = {
	PE: 1 << 0,
	MP: 1 << 1,
	EM: 1 << 2,
	TS: 1 << 3,
	ET: 1 << 4,
	NE: 1 << 5,
	WP: 1 << 16,
	AM: 1 << 18,
	NW: 1 << 29,
	CD: 1 << 30,
	PG: 1 << 31,
} as const;

/** CR4 (SDM Vol. 3A §2.5, Figure 2-7). */
export const Cr4 = {
	VME: 1 << 0,
	PVI: 1 << 1,
	TSD: 1 << 2,
	DE: 1 << 3,
	PSE: 1 << 4,
	PAE: 1 << 5,
	MCE: 1 << 6,
	PGE: 1 << 7,
	PCE: 1 << 8,
	OSFXSR: 1 << 9,
	OSXMMEXCPT: 1 << 10,
	UMIP: 1 << 11,
	VMXE: 1 << 13,
	FSGSBASE: 1 << 16,
	PCIDE: 1 << 17,
	OSXSAVE: 1 << 18,
	SMEP: 1 << 20,
	SMAP: 1 << 21,
} as const;

/** IA32_EFER (SDM Vol. 3A §2.2.1). */
export const Efer = { SCE: 1 << 0, LME: 1 << 8, LMA: 1 << 10, NXE: 1 << 11 } as const;

/** Access rights of a segment, in the format of `SegmentSlot.access`. */
export const Access = {
	/** Of data segments: writable; of code segments: readable. */
	writable: 1 << 1,
	readable: 1 << 1,
	/** Of data segments: expand-down; of code segments: conforming. */
	expandDown: 1 << 2,
	conforming: 1 << 2,
	code: 1 << 3,
	accessed: 1 << 0,
	/** Code or data, not a system segment. */
	S: 1 << 4,
	dplShift: 5,
	P: 1 << 7,
	AVL: 1 << 12,
	L: 1 << 13,
	DB: 1 << 14,
	G: 1 << 15,
	unusable: 1 << 16,
} as const;

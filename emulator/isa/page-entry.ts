// Bits of paging-structure entries (SDM Vol. 3A §4.3, §4.4, §4.5), in their two halves as signed 32-bit masks.

/** In the low half. */
export const PageEntry = {
	present: 1 << 0,
	writable: 1 << 1,
	user: 1 << 2,
	accessed: 1 << 5,
	dirty: 1 << 6,
	pageSize: 1 << 7,
	global: 1 << 8,
} as const;

/** In the high half. */
export const PageEntryHigh = {
	/** Bits of the address, 39:32: MAXPHYADDR is 40. */
	address: 0xff,
	executeDisable: 1 << 31,
	/** Reserved: 51:40 with 4-level paging, 62:40 with PAE paging (Tables 4-14 to 4-19, 4-8 to 4-11). */
	reservedFourLevel: 0x000fff00,
	reservedPae: 0x7fffff00,
} as const;

/** Address bits that are reserved in the low half of an entry for a large page, without bit 12 (PAT): 2 MBytes, 1 GByte (Tables 4-15, 4-18). */
export const RESERVED_2M = 0x1fe000;
export const RESERVED_1G = 0x3fffe000;

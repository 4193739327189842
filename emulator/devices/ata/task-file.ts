// The registers of the command block and their bits. Reference: ATA/ATAPI-7 (T13/1532D) volume 2, clauses 5 and 6.

/** Offsets from the command block's first port (0x1f0, 0x170). */
export const Register = {
	data: 0,
	/** Read: error. Written: features. */
	error: 1,
	count: 2,
	low: 3,
	mid: 4,
	high: 5,
	device: 6,
	/** Read: status, which ends a pending interrupt. Written: command. */
	status: 7,
} as const;

export const Status = { error: 0x01, dataRequest: 0x08, seekDone: 0x10, fault: 0x20, ready: 0x40, busy: 0x80 } as const;
export const STATUS_NAMES = ["ERR", "", "", "DRQ", "DSC", "DF", "DRDY", "BSY"] as const;

export const ErrorBit = { aborted: 0x04, notFound: 0x10 } as const;

/** Device register: bit 4 selects drive 1, bit 6 says that the address is an LBA. */
export const DEVICE_SELECT = 0x10;
export const DEVICE_LBA = 0x40;

/** Device control register (0x3f6, 0x376). */
export const Control = { interruptDisable: 0x02, softwareReset: 0x04, highOrderByte: 0x80 } as const;

/** The registers that a host writes, each with the byte written before (LBA48 commands use both). */
export interface TaskFile {
	features: number;
	count: number;
	low: number;
	mid: number;
	high: number;
	previous: { features: number; count: number; low: number; mid: number; high: number };
	device: number;
	error: number;
	status: number;
}

export function emptyTaskFile(): TaskFile {
	const bytes = { features: 0, count: 0, low: 0, mid: 0, high: 0 };
	return { ...bytes, previous: { ...bytes }, device: 0, error: 0, status: 0 };
}

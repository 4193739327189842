// The registers of an Intel 82540EM and their bits. Reference: PCI/PCI-X Family of Gigabit Ethernet Controllers Software
// Developer's Manual (order number 317453), chapter 13 "Register descriptions".

export const Offset = {
	control: 0x0000,
	status: 0x0008,
	eepromControl: 0x0010,
	eepromRead: 0x0014,
	phyAccess: 0x0020,
	cause: 0x00c0,
	causeSet: 0x00c8,
	maskSet: 0x00d0,
	maskClear: 0x00d8,
	receiveControl: 0x0100,
	transmitControl: 0x0400,
	receiveBase: 0x2800,
	receiveBaseHigh: 0x2804,
	receiveLength: 0x2808,
	receiveHead: 0x2810,
	receiveTail: 0x2818,
	transmitBase: 0x3800,
	transmitBaseHigh: 0x3804,
	transmitLength: 0x3808,
	transmitHead: 0x3810,
	transmitTail: 0x3818,
	multicastTable: 0x5200,
	receiveAddress: 0x5400,
} as const;

/** Statistics: cleared by reading (§13.7). */
export const Statistic = {
	first: 0x4000,
	missed: 0x4010,
	goodReceived: 0x4074,
	broadcastReceived: 0x4078,
	multicastReceived: 0x407c,
	goodSent: 0x4080,
	goodOctetsReceived: 0x4088,
	goodOctetsSent: 0x4090,
	octetsReceived: 0x40c0,
	octetsSent: 0x40c8,
	received: 0x40d0,
	sent: 0x40d4,
	end: 0x4128,
} as const;

/** Bytes of base address register 0, and those of it that hold registers. */
export const WINDOW_BYTES = 0x2_0000;
export const REGISTER_BYTES = 0x6000;

export const Control = { setLinkUp: 0x40, reset: 0x0400_0000 } as const;
/** Full duplex, link up, 1000 Mbit/s. */
export const STATUS_LINKED = 0x83;
export const STATUS_UNLINKED = 0x81;
export const LINK_UP = 0x02;

export const Cause = {
	transmitDone: 0x01,
	transmitEmpty: 0x02,
	linkChange: 0x04,
	receiveThreshold: 0x10,
	overrun: 0x40,
	received: 0x80,
} as const;
export const CAUSE_NAMES = ["TXDW", "TXQE", "LSC", "RXSEQ", "RXDMT0", "", "RXO", "RXT0"] as const;

export const ReceiveControl = {
	enable: 0x02,
	unicastPromiscuous: 0x08,
	multicastPromiscuous: 0x10,
	loopback: 0xc0,
	broadcastAccept: 0x8000,
	sizeExtension: 0x0200_0000,
	stripChecksum: 0x0400_0000,
} as const;
export const TRANSMIT_ENABLE = 0x02;

/** Registers as 32-bit words. */
export class Words {
	readonly values = new Uint32Array(REGISTER_BYTES / 4);

	get(offset: number): number {
		return this.values[offset >> 2]!;
	}

	set(offset: number, value: number): void {
		this.values[offset >> 2] = value;
	}

	/** Counters stop at their highest value (§13.7). */
	count(offset: number, by = 1): void {
		this.set(offset, Math.min(0xffff_ffff, this.get(offset) + by));
	}

	/** A counter of 64 bits in two registers. */
	count64(offset: number, by: number): void {
		const low = this.get(offset) + by;
		this.set(offset, low % 2 ** 32);
		if (low >= 2 ** 32) this.count(offset + 4);
	}
}

/** A ring of descriptors of 16 bytes. */
export interface Ring {
	readonly base: bigint;
	readonly length: number;
}

export function ringAt(words: Words, baseOffset: number): Ring {
	const base = (BigInt(words.get(baseOffset + 4)) << 32n) | BigInt((words.get(baseOffset) & ~15) >>> 0);
	return { base: BigInt.asUintN(64, base), length: Math.floor((words.get(baseOffset + 8) & 0xf_ff80) / 16) };
}

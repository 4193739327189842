// Where things lie in the random kernel, and the numbers that its fragments should meet.

export const GUEST_MEMORY = 4 << 20;
/** Fragments of a kernel. */
export const FRAGMENTS = 64;
export const FRAGMENT_BYTES = 128;
export const BASE = 0x100000;
export const BYTES = 0x12000;

/** Offsets from BASE. */
export const Part = {
	/** Operands of LGDT and LIDT, 16 bytes each; the first two are the kernel's own. */
	tableImages: 0x100,
	dispatch: 0x200,
	/** Runs once, before the first fragment. */
	setUp: 0x400,
	/** Eight dwords for each fragment. */
	registers: 0x1000,
	/** The page directory, or with PAE the page-directory-pointer table. */
	directory: 0x2000,
	pageTable: 0x3000,
	/** Two pages of tables whose entries are random. */
	randomTables: 0x4000,
	gdt: 0x6000,
	idt: 0x7000,
	tss: 0x7800,
	/** A second task that begins with the dispatcher. */
	otherTask: 0x7900,
	stack: 0x9000,
	code: 0xa000,
	/** What bus masters are told to look at: descriptors of transfers. */
	dma: 0xe000,
	/** Apart from code: what writes there drops translations. */
	counter: 0xf000,
	target: 0xf004,
	vmxon: 0x10000,
	vmcs: 0x11000,
} as const;

export const TABLE_IMAGES = 16;
export const GDT_ENTRIES = 32;
/** Registers of the optional PCI devices, where the kernel puts them. */
export const DMA_ENGINE = 0xe0000000;
export const E1000 = 0xe0020000;
export const IDE_BUS_MASTER = 0xc000;

/** Where the kernel begins the next fragment, and where it counts those that it has begun. */
export const dispatchAddress = BASE + Part.dispatch;
export const counterAddress = BASE + Part.counter;

/** Addresses that a fragment should meet: the kernel's own structures, devices, the edges of linear space, where VMMs lie. */
export const ADDRESSES: readonly number[] = [
	...Object.values(Part).map((at) => BASE + at),
	BASE + Part.randomTables + 0x1000,
	...[0, 0x1000, 0x9fffe, 0xa0000, 0xb8000, 0xc0000, 0x3ffffe, 0x400000, 0x800000, 0x500000, 0x1000000],
	...[0x7fffffff, 0x80000000, 0xfec00000, 0xfec00010, 0xfed90000, 0xfee00000, 0xfee000b0, 0xfee00300],
	...[DMA_ENGINE, E1000, 0xffbffffe, 0xffc00000, 0xffc00014, 0xffc10000],
	...[0xffc20000, 0xffc30000, 0xffc31000, 0xffc32ff0, 0xffd00000, 0xffffefff, 0xfffffffe],
];

/** Selectors of the guest's own table, of the VMM's descriptors under bt and trap, and of the host's. */
export const SELECTORS: readonly number[] = [
	...[0, 1, 3, 8, 9, 0x10, 0x11, 0x1b, 0x23, 0x28, 0x30, 0x34, 0x38, 0x48, 0x58, 0x68, 0x78, 0x88, 0x98, 0xa8, 0xb8],
	...[0xc8, 0xffa8, 0xffa9, 0xffb1, 0xffb8, 0xffbb, 0xffc0, 0xffc1, 0xffc9, 0xffcb, 0xffd0, 0xffd8, 0xffe0, 0xffe8],
	0xfff8,
];

/** Ports of devices that do not end the machine. */
export const PORTS: readonly number[] = [
	...[0x00, 0x01, 0x08, 0x0a, 0x0b, 0x0c, 0x81, 0x87, 0xc0, 0xd0, 0xd4, 0xd6],
	...[0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x70, 0x71, 0x80, 0xb2, 0xe9, 0xf0],
	...[0x3c0, 0x3c4, 0x3ce, 0x3d4, 0x3d5, 0x3da, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x2f8, 0x510, 0x511, 0x514],
	...[0x1f0, 0x1f1, 0x1f2, 0x1f6, 0x1f7, 0x3f6, 0x170, 0x177, 0xcf8, 0xcfc, 0xcfe, IDE_BUS_MASTER],
];

/** Model-specific registers that mean something to some processor. */
export const MSRS: readonly number[] = [
	...[0x10, 0x1b, 0x3a, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x186, 0x1a0, 0x1d9, 0x200, 0x201, 0x250, 0x277],
	...[0x2ff, 0x480, 0x482, 0x48b, 0x491, 0x6e0, 0x802, 0x808, 0x80b, 0x830, 0x83f],
	...[0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103],
];

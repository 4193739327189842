// The VMM's own memory under VT-x: a run of host frames, reached by the host at linear = host-physical addresses. Numbers are byte
// offsets from its start, each on a page boundary; host selectors as the host sees them.

export const Area = {
	vmxonRegion: 0x0000,
	vmcs: 0x1000,
	/** SDM Vol. 3C §25.6.4: A for ports 0 to 7fffH, B for the others. */
	ioBitmapA: 0x2000,
	ioBitmapB: 0x3000,
	/** SDM Vol. 3C §25.6.9 */
	msrBitmap: 0x4000,
	descriptorTables: 0x5000,
	/** All gates are empty: with interrupts off and no exceptions of its own, the VMM needs none. */
	interruptDescriptorTable: 0x6000,
	stack: 0x7000,
	stackEnd: 0x8000,
	/** The VMX instructions that the host executes for the VMM; they run on into the entry page when they fail. */
	instructions: 0x8000,
	/** Every VM exit leads here (HOST_RIP). */
	entryPage: 0x9000,
	/** PML4, PDPT, and a page directory for each GByte of host memory. */
	pageTables: 0xa000,
	end: 0x10000,
} as const;

/** Offsets in the page of instructions. RAX points to the operand of the first three, the address of a region. */
export const Instruction = {
	vmxon: 0x000,
	vmclear: 0x010,
	vmptrld: 0x020,
	vmlaunch: 0xff8,
	vmresume: 0xffd,
} as const;

/** Machine code by place (SDM Vol. 3C §31.3): VMLAUNCH jumps over VMRESUME to the entry page when it fails. */
export const machineCode: readonly (readonly [offset: number, bytes: readonly number[]])[] = [
	[Instruction.vmxon, [0xf3, 0x0f, 0xc7, 0x30]],
	[Instruction.vmclear, [0x66, 0x0f, 0xc7, 0x30]],
	[Instruction.vmptrld, [0x0f, 0xc7, 0x30]],
	[Instruction.vmlaunch, [0x0f, 0x01, 0xc2, 0xeb, 0x03]],
	[Instruction.vmresume, [0x0f, 0x01, 0xc3]],
];

export const HostSelector = { code: 0x08, data: 0x10, taskState: 0x18 } as const;

/** First vector of the host's interrupt controllers, and the line by which the guest's devices call the VMM while the guest runs. */
export const HOST_INTERRUPTS = 0x20;
export const VMM_INTERRUPT_LINE = 5;

// The VMM's own part of linear space, present in the tables of every domain. Xen's slots of the top-level table are 256 to 271
// (arch-x86/xen-x86_64.h); which of them holds what is the hypervisor's own affair.

/** First and one past the last slot of a top-level table that the guest does not own. */
export const FIRST_XEN_SLOT = 256;
export const END_XEN_SLOT = 272;
/** First entry of the level-2 table of a 32-bit guest's top GByte that belongs to the VMM: that of COMPAT_VIRT_START. */
export const FIRST_COMPAT_L2_SLOT = 428;

/** Slot of the machine-to-physical table, of what belongs to the domain (GDT, LDT), and of the VMM proper. */
export const XenSlot = { machineToPhysical: 256, perDomain: 260, vmm: 261 } as const;

/** High half of every linear address below. */
export const VMM_HIGH = 0xffff8280 | 0;
export const PER_DOMAIN_HIGH = 0xffff8200 | 0;
export const VMM_LINEAR = 0xffff828000000000n;

/** Offsets in the per-domain area. Sixteen pages each: the frames of the guest's GDT and then the VMM's page; the guest's LDT. */
export const PerDomainArea = { gdt: 0, ldt: 0x10000, end: 0x20000 } as const;
export const GDT_LIMIT = 0xffff;

/** Offsets in the VMM's area, from VMM_LINEAR. */
export const VmmArea = {
	/** Two pages that gates and SYSCALL lead into: 16 bytes a vector, then the entries below. */
	entry: 0x0000,
	syscallEntry: 0x1000,
	sysenterEntry: 0x1010,
	idle: 0x1020,
	entryEnd: 0x2000,
	interruptDescriptorTable: 0x2000,
	taskState: 0x3000,
	/** One page; the stack starts at its end. */
	stack: 0x4000,
	stackEnd: 0x5000,
	end: 0x5000,
} as const;
export const ENTRY_BYTES = 16;

/** Selectors of the VMM's descriptors in the reserved page of the GDT. */
export const VmmSelector = { code: 0xe008, data: 0xe010, taskState: 0xe040, localDescriptorTable: 0xe050 } as const;

/** First vector of the host's interrupt controllers; 0x80 and 0x82 are open to guests. */
export const INTERRUPT_VECTOR = 0xe0;
export const SYSTEM_CALL_VECTOR = 0x80;
export const HYPERCALL_VECTOR = 0x82;
/** The host's interrupt line by which timers call the VMM while a guest runs: no device of a PC drives it. */
export const TIMER_LINE = 7;

// Numbers of the interface between Xen and its paravirtual guests, as far as this VMM uses them. Each group names the public header
// of Xen 4.17 (xen/include/public) that it follows; layouts of structures stand beside the code that reads them.

/** Hypercalls by name: xen.h, "HYPERCALLS". */
export const Hypercall = {
	set_trap_table: 0,
	mmu_update: 1,
	set_gdt: 2,
	stack_switch: 3,
	set_callbacks: 4,
	fpu_taskswitch: 5,
	sched_op_compat: 6,
	set_debugreg: 8,
	get_debugreg: 9,
	update_descriptor: 10,
	memory_op: 12,
	multicall: 13,
	update_va_mapping: 14,
	set_timer_op: 15,
	xen_version: 17,
	console_io: 18,
	grant_table_op: 20,
	vm_assist: 21,
	update_va_mapping_otherdomain: 22,
	iret: 23,
	vcpu_op: 24,
	set_segment_base: 25,
	mmuext_op: 26,
	xsm_op: 27,
	nmi_op: 28,
	sched_op: 29,
	callback_op: 30,
	event_channel_op: 32,
	physdev_op: 33,
} as const;
export type HypercallName = keyof typeof Hypercall;

/** errno.h; hypercalls return them negative. */
export const Errno = {
	EPERM: 1,
	ENOENT: 2,
	ESRCH: 3,
	E2BIG: 7,
	EAGAIN: 11,
	ENOMEM: 12,
	EACCES: 13,
	EFAULT: 14,
	EBUSY: 16,
	EEXIST: 17,
	EINVAL: 22,
	ENOSPC: 28,
	ENOSYS: 38,
	EOPNOTSUPP: 95,
	ETIME: 62,
} as const;

/** xen.h, "DOMID definitions". */
export const Domid = { self: 0x7ff0, io: 0x7ff1, xen: 0x7ff2, invalid: 0x7ff4, mask: 0x7fff } as const;

/** xen.h, flags of start_info. */
export const StartFlags = { privileged: 1, initialDomain: 2, modStartPfn: 8 } as const;

/** elfnote.h */
export const ElfNoteType = {
	entry: 1,
	hypercallPage: 2,
	virtualBase: 3,
	physicalOffset: 4,
	xenVersion: 5,
	guestOs: 6,
	paeMode: 9,
	hypervisorStartLow: 12,
	initialP2m: 15,
	modStartPfn: 16,
} as const;

/** features.h: what this VMM offers to every domain, bit numbers of submap 0. */
export const Feature = {
	writablePageTables: 0,
	paePgdirAbove4gb: 4,
	mmuPtUpdatePreserveAd: 5,
	highmemAssist: 6,
	gnttabMapAvailBits: 7,
	domain0: 11,
	memoryOpVnodeSupported: 13,
} as const;

/** Selectors that every guest finds in its GDT: arch-x86/xen-x86_64.h and arch-x86/xen-x86_32.h. */
export const GuestSelector = {
	ring3Code32: 0xe023,
	ring3Code64: 0xe033,
	ring3Data: 0xe02b,
	compatRing1Code: 0xe019,
	compatRing1Data: 0xe021,
	compatRing3Code: 0xe02b,
	compatRing3Data: 0xe033,
} as const;

/** arch-x86/xen.h: GDT entries that belong to the guest come before this page. */
export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_ENTRY = FIRST_RESERVED_GDT_PAGE * 512;

/** arch-x86/xen-x86_32.h: MACH2PHYS_VIRT_START_PAE, where the reserved top of a 32-bit address space begins. */
export const COMPAT_VIRT_START = 0xf5800000;
export const COMPAT_VIRT_END = 0xf6800000;
/** arch-x86/xen-x86_64.h: HYPERVISOR_VIRT_START and _END; the machine-to-physical table lies at the start. */
export const HYPERVISOR_VIRT_START = 0xffff800000000000n;
export const HYPERVISOR_VIRT_END = 0xffff880000000000n;

/** xen.h: virtual interrupts. */
export const Virq = { timer: 0, debug: 1, console: 2, domExc: 3 } as const;

/** sched.h: reasons of SCHEDOP_shutdown. */
export const ShutdownReason = { poweroff: 0, reboot: 1, suspend: 2, crash: 3, watchdog: 4 } as const;

/* Selectors and addresses. Shared by C, assembly, the hypervisor and its guest. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10
#define TASK_STATE_SELECTOR 0x18

#define PAGE_SIZE 4096
#define LARGE_PAGE_SIZE 0x200000

/* Guest-physical memory. The EPT has 4 KiB pages for the first 2 MiB of it, and a 2 MiB page for the rest. */
#define GUEST_BASE 0x400000
#define GUEST_HOLE 0x5FF000 /* not in the EPT until the guest touches it */
#define GUEST_HEAP_FRAMES 0x600000

/* Guest-linear: what the guest's own page-fault handler maps, page by page. */
#define GUEST_HEAP 0x40000000
#define GUEST_HEAP_PAGES 16

/* What the guest asks of the hypervisor by VMCALL: RAX; the argument is RBX. */
#define CALL_SAY 1       /* print the text at this guest-physical address */
#define CALL_EXITS 2     /* how many VM exits there have been, in RAX */
#define CALL_STEP 3      /* cause an exit after each of so many instructions */
#define CALL_TIMER 4     /* set the byte at this address after a while */
#define CALL_DONE 5

#define GUEST_CPUID_LEAF 0x40000000
#define GUEST_MSR 0x40000000
#define GUEST_PORT 0x510
#define VECTOR_PAGE_FAULT 14
#define VECTOR_TIMER 32

#endif

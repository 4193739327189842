/* Where things are: segment selectors and linear addresses. Shared by C, assembly, the kernel and user code. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* SYSCALL takes kernel code and the next one; SYSRET takes the one after user code 32 as SS and the second after it as CS
   (SDM volume 2, SYSRET). */
#define KERNEL_CODE_SELECTOR 0x08
#define KERNEL_DATA_SELECTOR 0x10
#define USER_CODE_32_SELECTOR 0x1b
#define USER_DATA_SELECTOR 0x23
#define USER_CODE_SELECTOR 0x2b
#define TASK_STATE_SELECTOR 0x30

#define PAGE_SIZE 4096
#define LARGE_PAGE_SIZE 0x200000
#define KERNEL_BASE 0xFFFFFFFF80000000
#define DIRECT_BASE 0xFFFF800000000000 /* guest-physical 0 to 8 MiB, by 2 MiB pages */
#define DIRECT_SIZE 0x800000
#define POOL_FRAMES_START 0x400000
#define POOL_FRAMES_END 0x800000

#define HEAP_START 0x0000100000000000
#define HEAP_SIZE 0x10000
#define STACK_TOP 0x00007FFFFFFF0000
#define STACK_SIZE 0x10000

#define SYSTEM_CALL_WRITE 1
#define SYSTEM_CALL_EXIT 2
#define SYSTEM_CALL_TICKS 3
#define SYSTEM_CALL_FILL 4

/* Offsets in struct processor_data. */
#define PROCESSOR_USER_STACK 8
#define PROCESSOR_KERNEL_STACK 16

#endif

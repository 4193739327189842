/* Where things are: segment selectors and linear addresses. Shared by C, assembly, the kernel and user code. */
#ifndef LAYOUT_H
#define LAYOUT_H

/* SYSENTER and SYSEXIT need kernel code, kernel data, user code and user data in this order (SDM volume 2, SYSEXIT). */
#define KERNEL_CODE_SELECTOR 0x08
#define KERNEL_DATA_SELECTOR 0x10
#define USER_CODE_SELECTOR 0x1b
#define USER_DATA_SELECTOR 0x23
#define TASK_STATE_SELECTOR 0x28
#define PROCESSOR_DATA_SELECTOR 0x30

#define PAGE_SIZE 4096
#define KERNEL_BASE 0xC0000000
#define POOL_BASE 0xC0400000 /* guest-physical 4 to 8 MiB: the pool of page frames */
#define POOL_FRAMES_START 0x00400000
#define POOL_FRAMES_END 0x00800000
#define WINDOW_BASE 0xC0800000 /* one page table for mappings that come and go */

#define CLOCK_PAGE 0x0F000000
#define HEAP_START 0x10000000
#define HEAP_LIMIT 0x10100000
#define STACK_TOP 0xBFFF0000
#define STACK_SIZE 0x10000

#define SYSTEM_CALL_VECTOR 0x80

#define SYSTEM_CALL_GETPID 1
#define SYSTEM_CALL_WRITE 2
#define SYSTEM_CALL_BRK 3
#define SYSTEM_CALL_YIELD 4
#define SYSTEM_CALL_EXIT 5
#define SYSTEM_CALL_DESCRIBE 6

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The page at CLOCK_PAGE, which every process can read. */
struct clock_page {
	volatile uint32_t ticks;
	uint32_t has_sysenter;
};

/* What SYSTEM_CALL_DESCRIBE writes. */
struct process_description {
	uint32_t pid;
	uint32_t heap_pages;
	uint32_t stack_pages;
	uint32_t copied_pages;
};
#endif

#endif

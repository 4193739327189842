/* What differs between nanobench and nanobench64: selectors, page tables, the frame of an interrupt. */
#ifndef ARCHITECTURE_H
#define ARCHITECTURE_H

#define KERNEL_CODE_SELECTOR 0x08
#define KERNEL_DATA_SELECTOR 0x10
#define USER_CODE_SELECTOR 0x1b
#define USER_DATA_SELECTOR 0x23
#define TASK_STATE_SELECTOR 0x28

#define PAGE_SIZE 4096
#define TABLE_ENTRIES 1024
#define USER_BASE 0x40000000
#define APIC_TASK_PRIORITY 0xfee00080

#ifndef __ASSEMBLER__
#include <stdint.h>

#define BITS "32"

/* What entries.S pushes; below it lies what the processor pushed. */
struct frame {
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector, error_code;
	uint32_t eip, cs, eflags, esp, ss;
};

static inline uintptr_t frame_number(const struct frame *frame)
{
	return frame->eax;
}

static inline uintptr_t frame_argument(const struct frame *frame)
{
	return frame->ebx;
}

static inline void frame_result(struct frame *frame, uintptr_t value)
{
	frame->eax = value;
}

/* A process before its first instruction, with an argument for it. */
static inline struct frame user_frame(uintptr_t instruction, uintptr_t stack, uintptr_t argument)
{
	return (struct frame){
		.eax = argument,
		.eip = instruction,
		.cs = USER_CODE_SELECTOR,
		.eflags = 0x202, /* IF */
		.esp = stack,
		.ss = USER_DATA_SELECTOR,
	};
}
#endif

#endif

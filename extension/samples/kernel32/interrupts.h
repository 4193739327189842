/* Interrupts and exceptions, after the stubs in entries.S. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdint.h>

/* What the stubs and the processor push; lowest address first. The last two only when the interrupted code ran in ring 3. */
struct interrupt_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector, error_code;
	uint32_t eip, cs, eflags;
	uint32_t user_esp, user_ss;
};

enum exception_vector {
	VECTOR_DIVIDE_ERROR = 0,
	VECTOR_BREAKPOINT = 3,
	VECTOR_GENERAL_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
};

static inline int from_user(const struct interrupt_frame *frame)
{
	return (frame->cs & 3) == 3;
}

void interrupt_dispatch(struct interrupt_frame *frame);

/* Prints why the sample cannot go on, and ends the machine with a failure. */
__attribute__((noreturn)) void give_up(const char *reason);

/* Lets interrupts in and halts until the timer has ticked count times. */
void wait_for_ticks(unsigned count);

static inline void interrupts_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

#endif

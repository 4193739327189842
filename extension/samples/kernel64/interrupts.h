/* Interrupts and exceptions, after the stubs in entries.S. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <stdint.h>

/* What the stubs and the processor push; lowest address first. */
struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum exception_vector {
	VECTOR_DIVIDE_ERROR = 0,
	VECTOR_BREAKPOINT = 3,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_GENERAL_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
};

extern volatile uint64_t ticks;

void interrupt_dispatch(struct interrupt_frame *frame);

/* Prints why the sample cannot go on, and ends the machine with a failure. */
__attribute__((noreturn)) void give_up(const char *reason);

/* Lets interrupts in and halts until the timer has ticked count times. */
void wait_for_ticks(unsigned count);

static inline int from_user(const struct interrupt_frame *frame)
{
	return (frame->cs & 3) == 3;
}

#endif

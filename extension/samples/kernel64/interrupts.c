#include "interrupts.h"
#include "checks.h"
#include "descriptors.h"
#include "instructions.h"
#include "layout.h"
#include "paging.h"
#include "ports.h"
#include "print.h"
#include "process.h"
#include "timer.h"

/* An instruction of the kernel that may fault, and where to go on after it has. */
struct recovery {
	const void *instruction;
	const void *continuation;
};

static const struct recovery recoveries[] = {
	{ divide_instruction, divide_recovery },
	{ read_instruction, read_recovery },
	{ write_instruction, write_recovery },
	{ not_executable, call_recovery },
};

volatile uint64_t ticks;

void give_up(const char *reason)
{
	print("SAMPLE FAILED: %s\n", reason);
	machine_exit(EXIT_VALUE_FAILURE);
}

static int recover(struct interrupt_frame *frame)
{
	for (unsigned i = 0; i < sizeof(recoveries) / sizeof(recoveries[0]); i++) {
		if ((uint64_t)recoveries[i].instruction != frame->rip)
			continue;
		print("exception %u, error code %u: ", (unsigned)frame->vector, (unsigned)frame->error_code);
		frame->rip = (uint64_t)recoveries[i].continuation;
		if (recoveries[i].instruction == not_executable)
			frame->rsp += 8; /* the return address that the CALL pushed */
		return 1;
	}
	return 0;
}

static void exception(struct interrupt_frame *frame)
{
	if (frame->vector == VECTOR_BREAKPOINT) {
		print("exception 3 (INT3) in %s, on its own stack: %s\n", from_user(frame) ? "user code" : "the kernel",
		      on_breakpoint_stack(frame) ? "yes" : "no");
		return;
	}
	if (from_user(frame)) {
		print("process: exception %u at %p, ended\n", (unsigned)frame->vector, (void *)frame->rip);
		process_exit(-1);
	}
	if (recover(frame))
		return;
	print("exception %u, error code %x at %p\n", (unsigned)frame->vector, (unsigned)frame->error_code,
	      (void *)frame->rip);
	give_up("an exception in the kernel that nothing expected");
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_PAGE_FAULT:
		if (!process_page_fault(read_cr2(), frame->error_code))
			exception(frame);
		break;
	case TIMER_VECTOR:
		ticks++;
		timer_acknowledge();
		break;
	default:
		exception(frame);
	}
}

void wait_for_ticks(unsigned count)
{
	__asm__ volatile("cli" : : : "memory");
	for (uint64_t until = ticks + count; ticks < until;) {
		/* An interrupt cannot come between STI and HLT (SDM volume 2, STI). */
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	__asm__ volatile("sti" : : : "memory");
}

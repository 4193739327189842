#include "interrupts.h"
#include "instructions.h"
#include "layout.h"
#include "paging.h"
#include "ports.h"
#include "print.h"
#include "process.h"
#include "system-calls.h"
#include "timer.h"

/* An instruction of the kernel that may fault, and where to go on after it has. */
struct recovery {
	const void *instruction;
	const void *continuation;
	enum exception_vector vector;
};

static const struct recovery recoveries[] = {
	{ divide_instruction, divide_recovery, VECTOR_DIVIDE_ERROR },
	{ system_segment_instruction, system_segment_recovery, VECTOR_GENERAL_PROTECTION },
	{ write_protected_instruction, write_protected_recovery, VECTOR_PAGE_FAULT },
};

void give_up(const char *reason)
{
	print("SAMPLE FAILED: %s\n", reason);
	machine_exit(EXIT_VALUE_FAILURE);
}

static int recover(struct interrupt_frame *frame)
{
	for (unsigned i = 0; i < sizeof(recoveries) / sizeof(recoveries[0]); i++) {
		const struct recovery *entry = &recoveries[i];
		if ((uint32_t)entry->instruction == frame->eip && entry->vector == frame->vector) {
			print("exception %u, error code %u: the kernel goes on at its recovery point\n", frame->vector,
			      frame->error_code);
			frame->eip = (uint32_t)entry->continuation;
			return 1;
		}
	}
	return 0;
}

static void exception(struct interrupt_frame *frame)
{
	if (frame->vector == VECTOR_BREAKPOINT) {
		print("exception 3 (INT3) in %s: resumed\n", from_user(frame) ? "user code" : "the kernel");
		return;
	}
	if (from_user(frame)) {
		print("process %u: exception %u at %p\n", current_process()->pid, frame->vector, (void *)frame->eip);
		process_exit(-1);
	}
	if (recover(frame))
		return;
	print("exception %u, error code %x at %p\n", frame->vector, frame->error_code, (void *)frame->eip);
	give_up("an exception in the kernel that nothing expected");
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_PAGE_FAULT: {
		uint32_t address = read_cr2();
		if (from_user(frame))
			interrupts_on();
		if (!process_page_fault(address, frame->error_code))
			exception(frame);
		break;
	}
	case TIMER_VECTOR:
		clock_page.ticks++;
		timer_acknowledge();
		break;
	case SYSTEM_CALL_VECTOR:
		interrupts_on();
		frame->eax = system_call(frame->eax, frame->ebx, frame->esi);
		break;
	default:
		exception(frame);
	}
}

void wait_for_ticks(unsigned count)
{
	interrupts_off();
	uint32_t until = clock_page.ticks + count;
	while ((int32_t)(clock_page.ticks - until) < 0) {
		/* An interrupt cannot come between STI and HLT (SDM volume 2, STI). */
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	interrupts_on();
}

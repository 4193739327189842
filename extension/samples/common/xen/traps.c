#include "traps.h"
#include "../print.h"
#include "domain.h"
#include "events.h"
#include "hypercall.h"

void trap_divide(void);
void trap_breakpoint(void);
void trap_invalid_opcode(void);
void trap_general_protection(void);
void trap_page_fault(void);
#ifndef __x86_64__
void trap_system_call(void);
#endif
extern char trap_stack[];

static unsigned long recovery[5];
static volatile int recovering;
static volatile unsigned recovered_vector;

void traps_initialize(void)
{
	static const struct trap_info table[] = {
		{ 0, 0, KERNEL_CS, (unsigned long)trap_divide },
		{ 3, TRAP_FOR_ALL, KERNEL_CS, (unsigned long)trap_breakpoint },
		{ 6, 0, KERNEL_CS, (unsigned long)trap_invalid_opcode },
		{ 13, 0, KERNEL_CS, (unsigned long)trap_general_protection },
		{ 14, TRAP_MASKS_EVENTS, KERNEL_CS, (unsigned long)trap_page_fault },
#ifndef __x86_64__
		{ VECTOR_SYSTEM_CALL, TRAP_FOR_ALL, KERNEL_CS, (unsigned long)trap_system_call },
#endif
		{ 0, 0, 0, 0 },
	};

	must(hypercall(HYPERCALL_SET_TRAP_TABLE, (unsigned long)table, 0, 0, 0) == 0);
	must(hypercall(HYPERCALL_STACK_SWITCH, KERNEL_DS, (unsigned long)trap_stack, 0, 0) == 0);
}

int from_user(const struct trap_frame *frame)
{
	return (frame->cs & 3) == 3;
}

int try_action(void (*action)(void), unsigned *vector)
{
	recovering = 1;
	if (__builtin_setjmp((void **)recovery) != 0) {
		*vector = recovered_vector;
		return 0;
	}
	action();
	recovering = 0;
	return 1;
}

static void go_on(void)
{
	__builtin_longjmp((void **)recovery, 1);
}

static void kernel_exception(struct trap_frame *frame)
{
	if (frame->vector == 3) {
		print("exception 3 (INT3) in the kernel: resumed\n");
		return;
	}
	if (!recovering) {
		print("exception %u, error code %x at %p\n", (unsigned)frame->vector, (unsigned)frame->error,
		      (void *)frame->ip);
		panic("an exception that nothing expects");
	}
	recovering = 0;
	recovered_vector = frame->vector;
	print("exception %u, error code %x: the kernel goes on at its recovery point\n", (unsigned)frame->vector,
	      (unsigned)frame->error & 0xffff);
	frame->ip = (unsigned long)go_on;
	/* As if it had been called. */
#ifdef __x86_64__
	frame->sp = (frame->sp & -16ul) - 8;
#endif
}

void trap_handler(struct trap_frame *frame)
{
	if (frame->vector == 0x100)
		event_upcall();
	else if (frame->vector == 0x101)
		panic("failsafe callback");
	else if (frame->vector == VECTOR_SYSTEM_CALL)
		user_system_call(frame);
	else if (from_user(frame))
		user_exception(frame);
	else
		kernel_exception(frame);
}

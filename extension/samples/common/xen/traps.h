/* Exceptions, system calls and events as the entry code hands them on. */
#ifndef TRAPS_H
#define TRAPS_H

#include "xen.h"

/* As the entry code lays it out. */
struct trap_frame {
#ifdef __x86_64__
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
#else
	unsigned long es, ds, di, si, bp, unused_sp, bx, dx, cx, ax;
#endif
	unsigned long vector, error, ip;
	/* The hypervisor puts the event mask above the selector. */
	uint16_t cs;
	uint16_t cs_above;
#ifdef __x86_64__
	uint32_t cs_high;
#endif
	unsigned long flags, sp, ss;
};

#define VECTOR_SYSTEM_CALL 0x80
#define PAGE_FAULT_PRESENT 1
#define PAGE_FAULT_WRITE 2
#define PAGE_FAULT_USER 4

void traps_initialize(void);
/* Whether the frame comes from a process. */
int from_user(const struct trap_frame *frame);

/* Runs an action; 0 when an exception ended it, whose vector is then in *vector. Prints what happened. */
int try_action(void (*action)(void), unsigned *vector);

/* The kernel's own handlers for what comes from processes. */
void user_system_call(struct trap_frame *frame);
void user_exception(struct trap_frame *frame);

/* Entry code. */
int user_run(unsigned long address, unsigned long stack);
void user_leave(int result) __attribute__((noreturn));

#endif

/* What processes ask of the kernel. */
#ifndef SYSTEM_CALLS_H
#define SYSTEM_CALLS_H

#include <stdint.h>

enum system_call_number {
	CALL_EXIT,  /* argument: status */
	CALL_FORK,  /* 0 in the child, its number in the parent */
	CALL_WAIT,  /* runs the child to its end: its status */
	CALL_MAP,   /* argument: pages at MAP_START, with frames at once */
	CALL_UNMAP, /* argument: pages at MAP_START */
};

/* Pages of a process: stack and data are filled when they are touched, and so is what lies at MAP_START. */
enum { STACK_PAGES = 4, DATA_PAGES = 64, MAP_PAGES = 128, USER_PAGES = STACK_PAGES + DATA_PAGES + MAP_PAGES };

#define STACK_TOP (USER_BASE + STACK_PAGES * PAGE_SIZE)
#define DATA_START STACK_TOP
#define MAP_START (DATA_START + DATA_PAGES * PAGE_SIZE)

/* Which part of user.c a process runs: the kernel starts user_main with it. */
enum user_program { PROGRAM_SYSTEM_CALLS, PROGRAM_PROCESSES };

#endif

/* Processes that fork, wait, map memory and fault. One kernel stack serves all: a process gives way only at a system call. */
#ifndef PROCESS_H
#define PROCESS_H

#include "system-calls.h"

/* Says why, and ends the machine with status 3. */
__attribute__((noreturn)) void give_up(const char *reason);

/* Runs a process from its first instruction to its exit. */
void process_run(enum user_program program);

#endif

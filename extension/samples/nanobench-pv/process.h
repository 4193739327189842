/* nanobench's processes, whose page tables change by hypercalls. */
#ifndef PROCESS_H
#define PROCESS_H

#include "xen.h"

#define USER_BASE 0x40000000
#define PAGE_SIZE PAGE_BYTES
#include "../nanobench/system-calls.h"

/* Runs a process from its first instruction to its exit. */
void process_run(enum user_program program);

#endif

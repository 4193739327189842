/* The one user process, in ring 3, and its system calls. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdint.h>

/* What GS reaches in the kernel; the offsets are in layout.h. */
struct processor_data {
	uint64_t system_calls; /* counted through GS */
	uint64_t user_stack;
	uint64_t kernel_stack;
};

extern struct processor_data processor_data;

/* The top of the stack on which the process enters the kernel. */
uint64_t process_kernel_stack(void);

/* Maps the process, runs it to its end and prints how it ended. */
void process_run(void);

__attribute__((noreturn)) void process_exit(int status);

/* Gives the process a zero-filled page where it may have one: 1 if the access may be tried again; ends the process that may
   not have one; 0 if the fault is the kernel's own. */
int process_page_fault(uint64_t address, uint64_t error_code);

uint64_t system_call(uint64_t number, uint64_t first, uint64_t second);

#endif

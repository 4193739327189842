/* User processes: each has a page directory, a kernel stack, and the same program. They take turns by SYSTEM_CALL_YIELD. */
#ifndef PROCESS_H
#define PROCESS_H

#include "layout.h"
#include <stdint.h>

#define PROCESS_COUNT 2

enum process_state { PROCESS_UNUSED, PROCESS_READY, PROCESS_RUNNING, PROCESS_ENDED };

struct process {
	uint32_t pid;
	enum process_state state;
	uint32_t directory; /* guest-physical address of its page directory */
	uint32_t *stack_pointer; /* in its kernel stack, while it does not run */
	uint32_t heap_end;
	int exit_status;
	struct {
		unsigned heap : 10;
		unsigned stack : 10;
		unsigned copied : 10;
		unsigned ended_by_fault : 1;
	} pages;
	uint32_t kernel_stack[1024];
};

/* What GS reaches in the kernel. */
struct processor_data {
	struct process *current;
	uint32_t switches;
};

extern struct processor_data processor_data;
extern struct process processes[PROCESS_COUNT];

static inline struct process *current_process(void)
{
	struct process *process;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(process));
	return process;
}

/* Makes the processes, runs them until the last has ended, and gives their memory back. */
void processes_run(void);

/* Lets the next ready process run; returns when it is this one's turn again. */
void process_yield(void);

__attribute__((noreturn)) void process_exit(int status);

/* Mends a page fault at a user address: zero-filled page, or copy on write. 1 if the access may be tried again; ends the
   process that may not do this; 0 if the fault is the kernel's own. */
int process_page_fault(uint32_t address, uint32_t error_code);

/* Whether all size bytes at address belong to user space. */
int is_user_range(uint32_t address, uint32_t size);

#endif

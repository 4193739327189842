/* The guest: it does one thing after the other that causes a VM exit, and some that do not. */
#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>

extern uint64_t guest_heap_table[];

/* guest-entry.S: VMCALL; RAX after it. */
uint64_t ask_hypervisor(uint64_t call, uint64_t argument);
/* Four instructions that the hypervisor steps through. */
void guest_steps(void);
extern const char page_fault_entry[], timer_entry[];

#endif

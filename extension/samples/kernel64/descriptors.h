/* The kernel's GDT, IDT and TSS in 64-bit mode (SDM volume 3, chapters 3, 6 and 7). */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include "interrupts.h"
#include <stdint.h>

struct gate_descriptor {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t stack_table : 3;
	uint8_t : 5;
	uint8_t type : 5;
	uint8_t privilege : 2;
	uint8_t present : 1;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
} __attribute__((packed));

struct task_state {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t stack_table[7]; /* IST 1 to 7 */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

extern struct task_state task_state;

/* Loads the tables, and the MSRs of SYSCALL and GS. */
void descriptors_initialize(void);

/* Whether an interrupt frame lies in the stack of the breakpoint exception (IST 2). */
int on_breakpoint_stack(const struct interrupt_frame *frame);

#endif

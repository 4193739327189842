/* The kernel's GDT, IDT and TSS (SDM volume 3, chapters 3, 6 and 7). */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdint.h>

struct segment_descriptor {
	uint16_t limit_low;
	uint16_t base_low;
	uint8_t base_middle;
	uint8_t type : 4;
	uint8_t code_or_data : 1;
	uint8_t privilege : 2;
	uint8_t present : 1;
	uint8_t limit_high : 4;
	uint8_t available : 1;
	uint8_t reserved : 1;
	uint8_t size_32 : 1;
	uint8_t granularity : 1;
	uint8_t base_high;
} __attribute__((packed));

struct gate_descriptor {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t reserved;
	uint8_t type : 5;
	uint8_t privilege : 2;
	uint8_t present : 1;
	uint16_t offset_high;
} __attribute__((packed));

/* The operand of LGDT, LIDT, SGDT and SIDT. */
struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

struct task_state {
	uint32_t previous_task;
	uint32_t esp0, ss0, esp1, ss1, esp2, ss2;
	uint32_t cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs;
	uint32_t local_descriptor_table;
	uint16_t debug_trap;
	uint16_t io_map_base;
};

extern struct segment_descriptor global_descriptors[7];
extern struct gate_descriptor interrupt_gates[256];
extern struct task_state task_state;

void descriptors_initialize(void);

#endif

#include "descriptors.h"
#include "layout.h"
#include "process.h"
#include "timer.h"

struct segment_descriptor global_descriptors[7];
struct gate_descriptor interrupt_gates[256];
struct task_state task_state;

extern const uint32_t interrupt_stubs[PIC_FIRST_VECTOR + PIC_VECTORS];
extern const uint32_t system_call_stub;

enum {
	TYPE_DATA_WRITABLE = 0x2,
	TYPE_CODE_READABLE = 0xa,
	TYPE_TASK_STATE_32 = 0x9,
	TYPE_INTERRUPT_GATE_32 = 0xe,
};

static struct segment_descriptor flat_segment(unsigned type, unsigned privilege)
{
	return (struct segment_descriptor){
		.limit_low = 0xffff,
		.limit_high = 0xf,
		.type = type & 0xf,
		.code_or_data = 1,
		.privilege = privilege & 3,
		.present = 1,
		.size_32 = 1,
		.granularity = 1,
	};
}

/* A segment of size bytes at base, with byte granularity. */
static struct segment_descriptor small_segment(uint32_t base, uint32_t size, unsigned type, unsigned code_or_data)
{
	return (struct segment_descriptor){
		.limit_low = (uint16_t)(size - 1),
		.base_low = (uint16_t)base,
		.base_middle = (uint8_t)(base >> 16),
		.base_high = (uint8_t)(base >> 24),
		.type = type & 0xf,
		.code_or_data = code_or_data & 1,
		.present = 1,
		.size_32 = code_or_data & 1,
	};
}

static void set_gate(unsigned vector, uint32_t handler, unsigned privilege)
{
	interrupt_gates[vector] = (struct gate_descriptor){
		.offset_low = (uint16_t)handler,
		.offset_high = (uint16_t)(handler >> 16),
		.selector = KERNEL_CODE_SELECTOR,
		.type = TYPE_INTERRUPT_GATE_32,
		.privilege = privilege & 3,
		.present = 1,
	};
}

static void load_tables(void)
{
	struct table_register gdt = { sizeof(global_descriptors) - 1, (uint32_t)global_descriptors };
	struct table_register idt = { sizeof(interrupt_gates) - 1, (uint32_t)interrupt_gates };

	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\n\t"
			 "mov %2, %%ds\n\t"
			 "mov %2, %%es\n\t"
			 "mov %2, %%fs\n\t"
			 "mov %2, %%ss\n\t"
			 "mov %3, %%gs\n\t"
			 "lidt %4\n\t"
			 "ltr %w5"
			 :
			 : "m"(gdt), "i"(KERNEL_CODE_SELECTOR), "r"(KERNEL_DATA_SELECTOR), "r"(PROCESSOR_DATA_SELECTOR),
			   "m"(idt), "r"(TASK_STATE_SELECTOR)
			 : "memory");
}

void descriptors_initialize(void)
{
	global_descriptors[KERNEL_CODE_SELECTOR >> 3] = flat_segment(TYPE_CODE_READABLE, 0);
	global_descriptors[KERNEL_DATA_SELECTOR >> 3] = flat_segment(TYPE_DATA_WRITABLE, 0);
	global_descriptors[USER_CODE_SELECTOR >> 3] = flat_segment(TYPE_CODE_READABLE, 3);
	global_descriptors[USER_DATA_SELECTOR >> 3] = flat_segment(TYPE_DATA_WRITABLE, 3);
	global_descriptors[TASK_STATE_SELECTOR >> 3] =
		small_segment((uint32_t)&task_state, sizeof(task_state), TYPE_TASK_STATE_32, 0);
	global_descriptors[PROCESSOR_DATA_SELECTOR >> 3] =
		small_segment((uint32_t)&processor_data, sizeof(processor_data), TYPE_DATA_WRITABLE, 1);

	task_state.ss0 = KERNEL_DATA_SELECTOR;
	task_state.io_map_base = sizeof(task_state);

	for (unsigned vector = 0; vector < PIC_FIRST_VECTOR + PIC_VECTORS; vector++)
		set_gate(vector, interrupt_stubs[vector], 0);
	set_gate(3, interrupt_stubs[3], 3);
	set_gate(SYSTEM_CALL_VECTOR, system_call_stub, 3);
	load_tables();
}

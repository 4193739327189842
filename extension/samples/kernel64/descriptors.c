#include "descriptors.h"
#include "layout.h"
#include "process.h"
#include "timer.h"

#define STACK_BYTES 4096

/* SDM volume 4, table 2-2. */
enum {
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_FMASK = 0xc0000084,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
};

enum { GATE_INTERRUPT_64 = 0xe, STACK_TABLE_DOUBLE_FAULT = 1, STACK_TABLE_BREAKPOINT = 2 };

enum { FLAGS_MASK_TF_IF_DF = 0x700 };

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* In 64-bit mode a code or data descriptor has no base and no limit: only type, privilege, P and L count. */
static uint64_t global_descriptors[8] = {
	[KERNEL_CODE_SELECTOR >> 3] = 0x00209a0000000000,
	[KERNEL_DATA_SELECTOR >> 3] = 0x0000920000000000,
	[USER_CODE_32_SELECTOR >> 3] = 0x00cffa000000ffff,
	[USER_DATA_SELECTOR >> 3] = 0x0000f20000000000,
	[USER_CODE_SELECTOR >> 3] = 0x0020fa0000000000,
};
static struct gate_descriptor interrupt_gates[256];
static uint8_t double_fault_stack[STACK_BYTES] __attribute__((aligned(16)));
static uint8_t breakpoint_stack[STACK_BYTES] __attribute__((aligned(16)));

struct task_state task_state;

extern const uint64_t interrupt_stubs[PIC_FIRST_VECTOR + PIC_VECTORS];
extern const char syscall_entry[];

static void write_msr(uint32_t number, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* A descriptor of 16 bytes, type 9: 64-bit TSS, available. */
static void set_task_state_descriptor(void)
{
	uint64_t base = (uint64_t)&task_state;
	uint64_t limit = sizeof(task_state) - 1;
	uint64_t *descriptor = &global_descriptors[TASK_STATE_SELECTOR >> 3];

	descriptor[0] = limit | (base & 0xffffff) << 16 | (uint64_t)0x89 << 40 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
}

static void set_gate(unsigned vector, unsigned privilege, unsigned stack_table)
{
	uint64_t handler = interrupt_stubs[vector];

	interrupt_gates[vector] = (struct gate_descriptor){
		.offset_low = (uint16_t)handler,
		.offset_middle = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
		.selector = KERNEL_CODE_SELECTOR,
		.stack_table = stack_table & 7,
		.type = GATE_INTERRUPT_64,
		.privilege = privilege & 3,
		.present = 1,
	};
}

void descriptors_initialize(void)
{
	struct table_register gdt = { sizeof(global_descriptors) - 1, (uint64_t)global_descriptors };
	struct table_register idt = { sizeof(interrupt_gates) - 1, (uint64_t)interrupt_gates };

	set_task_state_descriptor();
	task_state.rsp[0] = process_kernel_stack();
	task_state.stack_table[STACK_TABLE_DOUBLE_FAULT - 1] = (uint64_t)(double_fault_stack + STACK_BYTES);
	task_state.stack_table[STACK_TABLE_BREAKPOINT - 1] = (uint64_t)(breakpoint_stack + STACK_BYTES);
	task_state.io_map_base = sizeof(task_state);
	for (unsigned vector = 0; vector < PIC_FIRST_VECTOR + PIC_VECTORS; vector++)
		set_gate(vector, 0, 0);
	set_gate(VECTOR_DOUBLE_FAULT, 0, STACK_TABLE_DOUBLE_FAULT);
	set_gate(VECTOR_BREAKPOINT, 3, STACK_TABLE_BREAKPOINT);

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %2\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "lidt %1\n\t"
			 "ltr %w3"
			 :
			 : "m"(gdt), "m"(idt), "i"(KERNEL_CODE_SELECTOR), "r"(TASK_STATE_SELECTOR)
			 : "rax", "memory");

	processor_data.kernel_stack = process_kernel_stack();
	write_msr(MSR_GS_BASE, (uint64_t)&processor_data);
	write_msr(MSR_KERNEL_GS_BASE, 0);
	write_msr(MSR_STAR, (uint64_t)USER_CODE_32_SELECTOR << 48 | (uint64_t)KERNEL_CODE_SELECTOR << 32);
	write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
	write_msr(MSR_FMASK, FLAGS_MASK_TF_IF_DF);
}

int on_breakpoint_stack(const struct interrupt_frame *frame)
{
	const uint8_t *address = (const uint8_t *)frame;

	return address >= breakpoint_stack && address < breakpoint_stack + STACK_BYTES;
}

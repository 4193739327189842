#include "descriptors.h"
#include "architecture.h"

/* IA32_SYSENTER_CS, _ESP, _EIP (SDM volume 4, table 2-2). */
enum { MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176 };

/* 32-bit TSS, of which only the stack of ring 0 is used (SDM volume 3, section 7.2.1). */
static struct {
	uint32_t previous, esp0, ss0, unused[22], io_map_base;
} task_state = { .ss0 = KERNEL_DATA_SELECTOR, .io_map_base = 104 };

static uint64_t global_descriptors[6] = {
	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0,
};
static uint64_t gates[129];

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint32_t base;
};

extern const char kernel_stack_top[];
extern const char page_fault_entry[], divide_error_entry[], system_call_entry[], unexpected_entry[], sysenter_entry[];

static void set_gate(unsigned vector, const void *handler, unsigned privilege)
{
	uint32_t offset = (uint32_t)handler;

	gates[vector] = (uint64_t)(offset & 0xffff0000) << 32 | (uint64_t)(0x8e00 | privilege << 13) << 32 |
			KERNEL_CODE_SELECTOR << 16 | (offset & 0xffff);
}

static void write_msr(uint32_t number, uint32_t value)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"(value), "d"(0));
}

void descriptors_initialize(void)
{
	struct table_register gdt = { sizeof(global_descriptors) - 1, (uint32_t)global_descriptors };
	struct table_register idt = { sizeof(gates) - 1, (uint32_t)gates };
	uint64_t base = (uint32_t)&task_state;

	task_state.esp0 = (uint32_t)kernel_stack_top - 2048; /* below what called process_run */
	global_descriptors[TASK_STATE_SELECTOR >> 3] =
		0x0000890000000067 | (base & 0xffffff) << 16 | (base & 0xff000000) << 32;
	for (unsigned vector = 0; vector < 32; vector++)
		set_gate(vector, unexpected_entry, 0);
	set_gate(0, divide_error_entry, 0);
	set_gate(14, page_fault_entry, 0);
	set_gate(0x80, system_call_entry, 3);
	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\n\t"
			 "mov %2, %%ds\n\t"
			 "mov %2, %%es\n\t"
			 "mov %2, %%ss\n\t"
			 "lidt %3\n\t"
			 "ltr %w4"
			 :
			 : "m"(gdt), "i"(KERNEL_CODE_SELECTOR), "r"(KERNEL_DATA_SELECTOR), "m"(idt), "r"(TASK_STATE_SELECTOR)
			 : "memory");
	write_msr(MSR_SYSENTER_CS, KERNEL_CODE_SELECTOR);
	write_msr(MSR_SYSENTER_ESP, task_state.esp0);
	write_msr(MSR_SYSENTER_EIP, (uint32_t)sysenter_entry);
}

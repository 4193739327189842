/* The sensitive, unprivileged instructions of IA-32: Robin & Irvine, "Analysis of the Intel Pentium's Ability to Support a
   Secure Virtual Machine Monitor" (USENIX Security 2000), section 3. */
#include "sensitive.h"
#include "descriptors.h"
#include "layout.h"
#include "print.h"

#define EFLAGS_IF 0x200
#define CR0_PROTECTION_AND_PAGING 0x80000001u

static void report(const char *instruction, uint32_t seen, uint32_t expected)
{
	print("sensitive: %s saw %x, a machine of its own gives %x: %s\n", instruction, seen, expected,
	      seen == expected ? "same" : "DIFFERENT");
}

static void descriptor_tables(void)
{
	struct table_register table;
	uint32_t selector;

	__asm__ volatile("sgdt %0" : "=m"(table));
	report("SGDT base", table.base, (uint32_t)global_descriptors);
	report("SGDT limit", table.limit, sizeof(global_descriptors) - 1);
	__asm__ volatile("sidt %0" : "=m"(table));
	report("SIDT base", table.base, (uint32_t)interrupt_gates);
	report("SIDT limit", table.limit, sizeof(interrupt_gates) - 1);
	__asm__ volatile("sldt %0" : "=r"(selector));
	report("SLDT", selector & 0xffff, 0);
	__asm__ volatile("str %0" : "=r"(selector));
	report("STR", selector & 0xffff, TASK_STATE_SELECTOR);
}

static void segment_checks(void)
{
	uint32_t value = 0;

	__asm__ volatile("mov %%cs, %0" : "=r"(value));
	report("MOV from CS", value & 0xffff, KERNEL_CODE_SELECTOR);
	__asm__ volatile("push %%ss; pop %0" : "=r"(value));
	report("PUSH SS", value & 0xffff, KERNEL_DATA_SELECTOR);
	__asm__ volatile("lar %1, %0" : "=r"(value) : "r"(KERNEL_CODE_SELECTOR) : "cc");
	report("LAR privilege level", value >> 13 & 3, 0);
	__asm__ volatile("lsl %1, %0" : "=r"(value) : "r"(KERNEL_DATA_SELECTOR) : "cc");
	report("LSL", value, 0xffffffff);
	uint8_t writable;
	__asm__ volatile("verw %w1; setz %0" : "=r"(writable) : "r"(KERNEL_DATA_SELECTOR) : "cc");
	report("VERW", writable, 1);
}

static void flags(void)
{
	uint32_t value, machine_status;

	__asm__ volatile("cli; pushf; pop %0" : "=r"(value) : : "memory", "cc");
	report("PUSHF after CLI", value & EFLAGS_IF, 0);
	__asm__ volatile("sti; pushf; andl %1, (%%esp); popf; pushf; pop %0; sti"
			 : "=r"(value)
			 : "i"(~EFLAGS_IF)
			 : "memory", "cc");
	report("POPF that clears IF", value & EFLAGS_IF, 0);
	__asm__ volatile("cli; pushf; orl %1, (%%esp); popf; pushf; pop %0; sti"
			 : "=r"(value)
			 : "i"(EFLAGS_IF)
			 : "memory", "cc");
	report("POPF that sets IF", value & EFLAGS_IF, EFLAGS_IF);
	__asm__ volatile("smsw %0" : "=r"(machine_status));
	report("SMSW protection", machine_status & CR0_PROTECTION_AND_PAGING & 0xffff, 1);
}

void sensitive_instructions(void)
{
	descriptor_tables();
	segment_checks();
	flags();
}

/* What the hypervisor asks of the processor: control registers, MSRs, the VMX instructions (SDM volume 3, chapter 31). */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

/* SDM volume 4, table 2-2. */
enum {
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_VMX_BASIC = 0x480,
	MSR_VMX_CR0_FIXED0 = 0x486,
	MSR_VMX_CR0_FIXED1 = 0x487,
	MSR_VMX_CR4_FIXED0 = 0x488,
	MSR_VMX_CR4_FIXED1 = 0x489,
	MSR_VMX_SECONDARY_CONTROLS = 0x48b,
	MSR_VMX_EPT_VPID_CAP = 0x48c,
	MSR_VMX_TRUE_PIN_CONTROLS = 0x48d,
	MSR_VMX_TRUE_PRIMARY_CONTROLS = 0x48e,
	MSR_VMX_TRUE_EXIT_CONTROLS = 0x48f,
	MSR_VMX_TRUE_ENTRY_CONTROLS = 0x490,
	MSR_EFER = 0xc0000080,
};

enum { CR0_NE = 0x20, CR4_TSD = 0x4, CR4_VMXE = 0x2000 };

static inline uint64_t read_msr(uint32_t number)
{
	uint32_t low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t number, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

#define CONTROL_REGISTER(name)                                                     \
	static inline uint64_t read_##name(void)                                   \
	{                                                                          \
		uint64_t value;                                                    \
		__asm__ volatile("mov %%" #name ", %0" : "=r"(value));             \
		return value;                                                      \
	}                                                                          \
	static inline void write_##name(uint64_t value)                            \
	{                                                                          \
		__asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");    \
	}
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

/* Prints why the sample cannot go on, and ends the machine with a failure. */
__attribute__((noreturn)) void give_up(const char *reason);

/* The region's first word is made the revision identifier. */
void vmx_on(void *region);
void vmx_off(void);
void vmcs_clear(void *region);
void vmcs_load(void *region);
uint64_t vmcs_read(uint64_t field);
void vmcs_write(uint64_t field, uint64_t value);

#endif

#include "machine.h"
#include "ports.h"
#include "print.h"
#include "vmcs.h"

enum { FEATURE_LOCKED = 1, FEATURE_VMX = 4 };
enum { CPUID_VMX = 1 << 5 };

void give_up(const char *reason)
{
	print("SAMPLE FAILED: %s\n", reason);
	machine_exit(EXIT_VALUE_FAILURE);
}

static void set_revision(void *region)
{
	*(uint32_t *)region = (uint32_t)read_msr(MSR_VMX_BASIC) & 0x7fffffff;
}

/* VMX instructions fail with CF or ZF set (SDM volume 3, section 31.2). */
#define VMX_INSTRUCTION(text, operand)                                                            \
	({                                                                                        \
		uint8_t failed;                                                                   \
		__asm__ volatile(text "\n\tsetbe %0" : "=qm"(failed) : "m"(operand) : "cc", "memory"); \
		failed;                                                                           \
	})

static void allow_vmx(void)
{
	uint32_t a = 1, b, c, d;
	uint64_t control = read_msr(MSR_FEATURE_CONTROL);

	__asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (!(c & CPUID_VMX))
		give_up("the processor has no VMX");
	if (!(control & FEATURE_LOCKED))
		write_msr(MSR_FEATURE_CONTROL, control | FEATURE_LOCKED | FEATURE_VMX);
	else if (!(control & FEATURE_VMX))
		give_up("the firmware has turned VMX off");
	write_cr0((read_cr0() | read_msr(MSR_VMX_CR0_FIXED0)) & read_msr(MSR_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | read_msr(MSR_VMX_CR4_FIXED0)) & read_msr(MSR_VMX_CR4_FIXED1));
}

void vmx_on(void *region)
{
	uint64_t address = (uint64_t)region;

	allow_vmx();
	set_revision(region);
	if (VMX_INSTRUCTION("vmxon %1", address))
		give_up("VMXON failed");
}

void vmx_off(void)
{
	__asm__ volatile("vmxoff" : : : "cc");
}

void vmcs_clear(void *region)
{
	uint64_t address = (uint64_t)region;

	set_revision(region);
	if (VMX_INSTRUCTION("vmclear %1", address))
		give_up("VMCLEAR failed");
}

void vmcs_load(void *region)
{
	uint64_t address = (uint64_t)region;

	if (VMX_INSTRUCTION("vmptrld %1", address))
		give_up("VMPTRLD failed");
}

uint64_t vmcs_read(uint64_t field)
{
	uint64_t value;
	uint8_t failed;

	__asm__ volatile("vmread %2, %0\n\tsetbe %1" : "=r"(value), "=qm"(failed) : "r"(field) : "cc");
	if (failed)
		give_up("VMREAD of a field that does not exist");
	return value;
}

void vmcs_write(uint64_t field, uint64_t value)
{
	uint8_t failed;

	__asm__ volatile("vmwrite %2, %1\n\tsetbe %0" : "=qm"(failed) : "r"(field), "r"(value) : "cc");
	if (failed)
		give_up("VMWRITE of a field that does not exist");
}

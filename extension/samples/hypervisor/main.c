#include "ept.h"
#include "exits.h"
#include "layout.h"
#include "machine.h"
#include "multiboot.h"
#include "ports.h"
#include "print.h"
#include "serial.h"
#include "vcpu.h"
#include "vmcs.h"

/* VMX regions: 4 KiB each, aligned (SDM volume 3, sections 25.2 and 25.11.5). */
static uint8_t vmxon_region[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint8_t vmcs_region[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static struct vcpu vcpu;

#define PIN_RESERVED_BIT (1u << 30)
#define RFLAGS_FIXED_BIT 2u

/* A VM entry that fails its checks on the controls: the instruction fails, with an error number in the VMCS. */
static void enter_with_wrong_control(void)
{
	control_change(PIN_CONTROLS, PIN_RESERVED_BIT, 0);
	if (enter_guest(&vcpu.registers, 1) != 2)
		give_up("a reserved control was taken");
	print("entry with a reserved pin-based control: VM-instruction error %u\n", (unsigned)vmcs_read(INSTRUCTION_ERROR));
	control_change(PIN_CONTROLS, 0, PIN_RESERVED_BIT);
}

/* A VM entry that fails its checks on the guest state: it ends as a VM exit does, and says so in the exit reason. */
static void enter_with_wrong_guest(void)
{
	unsigned reason;

	vmcs_write(GUEST_RFLAGS, 0);
	if (enter_guest(&vcpu.registers, 1) != 0)
		give_up("the controls were refused");
	reason = (unsigned)vmcs_read(EXIT_REASON);
	if (!(reason & EXIT_ENTRY_FAILED))
		give_up("a guest with impossible RFLAGS was entered");
	print("entry with bit 1 of RFLAGS clear: exit %u, %s\n", reason & 0xffff, exit_name(reason & 0xffff));
	vmcs_write(GUEST_RFLAGS, RFLAGS_FIXED_BIT);
}

/* Lets the guest run from exit to exit until it is done. */
static void run_guest(void)
{
	do {
		if (enter_guest(&vcpu.registers, !vcpu.launched) != 0)
			give_up("VM entry failed");
		vcpu.launched = 1;
	} while (handle_exit(&vcpu));
}

__attribute__((noreturn)) void hypervisor_main(uint32_t magic)
{
	serial_initialize();
	if (magic != MULTIBOOT_LOADER_MAGIC)
		give_up("not started by a multiboot loader");
	print("Hyperscope sample hypervisor\n");
	vmx_on(vmxon_region);
	print("VMXON: in VMX root operation\n");
	vmcs_clear(vmcs_region);
	vmcs_load(vmcs_region);
	vcpu_initialize(&vcpu, ept_initialize());
	enter_with_wrong_control();
	enter_with_wrong_guest();
	print("VMCS and EPT set up, the guest is entered\n");
	run_guest();
	vmcs_clear(vmcs_region);
	vmx_off();
	print("%u VM exits; VMXOFF\n", vcpu.exits);
	print("SAMPLE DONE\n");
	machine_exit(EXIT_VALUE_SUCCESS);
}

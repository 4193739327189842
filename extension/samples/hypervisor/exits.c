#include "exits.h"
#include "ept.h"
#include "layout.h"
#include "machine.h"
#include "memory.h"
#include "print.h"
#include "vmcs.h"

/* Interruption information (SDM volume 3, section 25.8.3). */
#define VALID 0x80000000u
#define TYPE_EXTERNAL_INTERRUPT 0u

#define BLOCKING_BY_STI_AND_MOV_SS 3u
#define TIMER_TICKS 100
#define LONGEST_TEXT 80

/* The frame that fills the hole in the guest's memory. */
static uint8_t spare_frame[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* The guest goes on behind the instruction, which is done for it. That ends the interrupt shadow of an STI before it. */
static void skip_instruction(void)
{
	vmcs_write(GUEST_RIP, vmcs_read(GUEST_RIP) + vmcs_read(EXIT_INSTRUCTION_LENGTH));
	control_change(GUEST_INTERRUPTIBILITY, 0, BLOCKING_BY_STI_AND_MOV_SS);
}

static void handle_cpuid(struct guest_registers *registers)
{
	uint32_t leaf = (uint32_t)registers->rax;

	print("leaf %x\n", leaf);
	if (leaf == GUEST_CPUID_LEAF) {
		/* Twelve letters, as hypervisors sign. */
		memcpy(&registers->rbx, "Hype\0\0\0\0", 8);
		memcpy(&registers->rcx, "rSam\0\0\0\0", 8);
		memcpy(&registers->rdx, "ple!\0\0\0\0", 8);
		registers->rax = GUEST_CPUID_LEAF;
	} else
		registers->rax = registers->rbx = registers->rcx = registers->rdx = 0;
	skip_instruction();
}

/* Bits of the qualification: table 28-5. */
static void handle_io(struct guest_registers *registers)
{
	uint64_t qualification = vmcs_read(EXIT_QUALIFICATION);
	unsigned port = (unsigned)(qualification >> 16);

	if (qualification & 8) {
		print("IN from port %x\n", port);
		registers->rax = (registers->rax & ~0xffull) | (port == GUEST_PORT ? 0x5a : 0xff);
	} else
		print("OUT to port %x: %x\n", port, (unsigned)registers->rax & 0xff);
	skip_instruction();
}

static void handle_msr(struct vcpu *vcpu, int write)
{
	struct guest_registers *registers = &vcpu->registers;

	print("MSR %x\n", (unsigned)registers->rcx);
	if (write)
		vcpu->msr = registers->rdx << 32 | (uint32_t)registers->rax;
	else {
		registers->rax = (uint32_t)vcpu->msr;
		registers->rdx = vcpu->msr >> 32;
	}
	skip_instruction();
}

/* Bits of the qualification: table 28-3. Only bits of CR4 are masked, so it is a MOV to CR4. */
static void handle_control_register(struct guest_registers *registers)
{
	uint64_t qualification = vmcs_read(EXIT_QUALIFICATION);
	unsigned number = (unsigned)(qualification >> 8) & 15;
	uint64_t value = ((uint64_t *)registers)[number];

	print("MOV to CR%u, the guest is shown %x\n", (unsigned)qualification & 15, (unsigned)value);
	vmcs_write(CR4_READ_SHADOW, value);
	skip_instruction();
}

/* Bits of the qualification: table 28-7. The guest executes the instruction again. */
static void handle_ept_violation(void)
{
	uint64_t address = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	uint64_t qualification = vmcs_read(EXIT_QUALIFICATION);

	print("%s at guest-physical %x\n", qualification & 2 ? "write" : "read", (unsigned)address);
	if (address / PAGE_SIZE != GUEST_HOLE / PAGE_SIZE)
		give_up("the guest left its memory");
	ept_map(address, (uint64_t)spare_frame, EPT_READ | EPT_WRITE);
}

/* Only #UD exits. The exit gives no instruction length for an exception; the guest's UD2 has two bytes. */
static void handle_exception(void)
{
	print("vector %u\n", (unsigned)vmcs_read(EXIT_INTERRUPTION_INFORMATION) & 0xff);
	vmcs_write(GUEST_RIP, vmcs_read(GUEST_RIP) + 2);
}

/* The guest waits for an interrupt: here is one (SDM volume 3, section 27.6). */
static void handle_hlt(void)
{
	print("an interrupt is injected\n");
	skip_instruction();
	vmcs_write(ENTRY_INTERRUPTION_INFORMATION, VALID | TYPE_EXTERNAL_INTERRUPT << 8 | VECTOR_TIMER);
}

static void handle_monitor_trap_flag(struct vcpu *vcpu)
{
	vcpu->steps--;
	print("%u to come\n", vcpu->steps);
	if (vcpu->steps == 0)
		control_change(PRIMARY_CONTROLS, 0, PRIMARY_MONITOR_TRAP_FLAG);
}

static void handle_preemption_timer(struct vcpu *vcpu)
{
	print("the guest is told\n");
	*vcpu->timer_flag = 1;
	control_change(PIN_CONTROLS, 0, PIN_PREEMPTION_TIMER);
}

static void say(uint64_t guest_physical)
{
	const char *text = guest_memory(guest_physical);

	if (!text)
		give_up("the guest's text is nowhere");
	print("guest: ");
	for (unsigned i = 0; i < LONGEST_TEXT && guest_physical % PAGE_SIZE + i < PAGE_SIZE && text[i]; i++)
		print("%c", text[i]);
	print("\n");
}

static int handle_vmcall(struct vcpu *vcpu)
{
	uint64_t argument = vcpu->registers.rbx;

	skip_instruction();
	switch (vcpu->registers.rax) {
	case CALL_SAY:
		say(argument);
		return 1;
	case CALL_EXITS:
		vcpu->registers.rax = vcpu->exits;
		return 1;
	case CALL_STEP:
		vcpu->steps = (unsigned)argument;
		control_change(PRIMARY_CONTROLS, PRIMARY_MONITOR_TRAP_FLAG, 0);
		return 1;
	case CALL_TIMER:
		vcpu->timer_flag = guest_memory(argument);
		if (!vcpu->timer_flag)
			give_up("the guest's flag is nowhere");
		vmcs_write(PREEMPTION_TIMER, TIMER_TICKS);
		control_change(PIN_CONTROLS, PIN_PREEMPTION_TIMER, 0);
		return 1;
	default:
		return 0;
	}
}

int handle_exit(struct vcpu *vcpu)
{
	unsigned reason = (unsigned)vmcs_read(EXIT_REASON);

	vcpu->exits++;
	if (reason != EXIT_VMCALL)
		print("exit %u, %s: ", reason & 0xffff, exit_name(reason & 0xffff));
	switch (reason) {
	case EXIT_EXCEPTION:
		handle_exception();
		return 1;
	case EXIT_CPUID:
		handle_cpuid(&vcpu->registers);
		return 1;
	case EXIT_HLT:
		handle_hlt();
		return 1;
	case EXIT_VMCALL:
		return handle_vmcall(vcpu);
	case EXIT_CONTROL_REGISTER:
		handle_control_register(&vcpu->registers);
		return 1;
	case EXIT_IO:
		handle_io(&vcpu->registers);
		return 1;
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		handle_msr(vcpu, reason == EXIT_WRMSR);
		return 1;
	case EXIT_MONITOR_TRAP_FLAG:
		handle_monitor_trap_flag(vcpu);
		return 1;
	case EXIT_EPT_VIOLATION:
		handle_ept_violation();
		return 1;
	case EXIT_PREEMPTION_TIMER:
		handle_preemption_timer(vcpu);
		return 1;
	default:
		give_up("no handler for this exit");
	}
}

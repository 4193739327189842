/* The one virtual processor. */
#ifndef VCPU_H
#define VCPU_H

#include <stdint.h>

/* General registers of the guest in the order of their numbers, for entry.S. RSP is in the VMCS. */
struct guest_registers {
	uint64_t rax, rcx, rdx, rbx, unused, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct vcpu {
	struct guest_registers registers;
	int launched;
	unsigned exits;
	/* What the guest wrote to GUEST_MSR. */
	uint64_t msr;
	/* Where the hypervisor says that the preemption timer has expired. */
	uint8_t *timer_flag;
	/* Exits by the monitor trap flag that are still to come. */
	unsigned steps;
};

/* Pin-based, primary and secondary processor-based, exit and entry controls (SDM volume 3, sections 25.6 to 25.8). */
enum {
	PIN_PREEMPTION_TIMER = 1 << 6,
	PRIMARY_HLT_EXITING = 1 << 7,
	PRIMARY_UNCONDITIONAL_IO_EXITING = 1 << 24,
	PRIMARY_MONITOR_TRAP_FLAG = 1 << 27,
	PRIMARY_USE_MSR_BITMAPS = 1 << 28,
	SECONDARY_ENABLE_EPT = 1 << 1,
	EXIT_HOST_64_BIT = 1 << 9,
	EXIT_SAVE_EFER = 1 << 20,
	EXIT_LOAD_EFER = 1 << 21,
	ENTRY_GUEST_64_BIT = 1 << 9,
	ENTRY_LOAD_EFER = 1 << 15,
};
#define PRIMARY_SECONDARY_CONTROLS (1u << 31)

/* Fills in every field of the current VMCS. */
void vcpu_initialize(struct vcpu *vcpu, uint64_t ept_pointer);

/* Sets and clears bits of a control field. */
void control_change(uint64_t field, uint32_t set, uint32_t clear);

/* entry.S */
int enter_guest(struct guest_registers *registers, int launch);

#endif

/* VM exits, after entry.S. */
#ifndef EXITS_H
#define EXITS_H

#include "vcpu.h"

/* Basic exit reasons (SDM volume 3, appendix C). */
enum exit_reason {
	EXIT_EXCEPTION = 0,
	EXIT_CPUID = 10,
	EXIT_HLT = 12,
	EXIT_VMCALL = 18,
	EXIT_CONTROL_REGISTER = 28,
	EXIT_IO = 30,
	EXIT_RDMSR = 31,
	EXIT_WRMSR = 32,
	EXIT_INVALID_GUEST_STATE = 33,
	EXIT_MONITOR_TRAP_FLAG = 37,
	EXIT_EPT_VIOLATION = 48,
	EXIT_PREEMPTION_TIMER = 52,
};
#define EXIT_ENTRY_FAILED 0x80000000u

const char *exit_name(unsigned reason);

/* Answers the VM exit that the current VMCS tells of; 0 when the guest is done. */
int handle_exit(struct vcpu *vcpu);

#endif

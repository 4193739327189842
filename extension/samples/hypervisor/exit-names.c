#include "exits.h"

const char *exit_name(unsigned reason)
{
	switch (reason) {
	case EXIT_EXCEPTION:
		return "exception";
	case EXIT_CPUID:
		return "CPUID";
	case EXIT_HLT:
		return "HLT";
	case EXIT_VMCALL:
		return "VMCALL";
	case EXIT_CONTROL_REGISTER:
		return "control-register access";
	case EXIT_IO:
		return "I/O instruction";
	case EXIT_RDMSR:
		return "RDMSR";
	case EXIT_WRMSR:
		return "WRMSR";
	case EXIT_INVALID_GUEST_STATE:
		return "invalid guest state";
	case EXIT_MONITOR_TRAP_FLAG:
		return "monitor trap flag";
	case EXIT_EPT_VIOLATION:
		return "EPT violation";
	case EXIT_PREEMPTION_TIMER:
		return "VMX-preemption timer";
	default:
		return "another one";
	}
}

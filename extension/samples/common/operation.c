#include "operation.h"

/* The assembly statements keep the calls: a function without effects would be dropped. */
__attribute__((noinline)) void hyperscope_operation_begin(const char *name, unsigned repetitions)
{
	__asm__ volatile("" : : "r"(name), "r"(repetitions) : "memory");
}

__attribute__((noinline)) void hyperscope_operation_end(void)
{
	__asm__ volatile("" : : : "memory");
}

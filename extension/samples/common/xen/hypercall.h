/* Calls into the hypervisor: through the page that it fills with one entry of 32 bytes for each. */
#ifndef HYPERCALL_H
#define HYPERCALL_H

#include "xen.h"

extern char hypercall_page[PAGE_BYTES];

/* Five arguments at most; a negative result is an error number. */
static inline long hypercall(unsigned number, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	void *entry = hypercall_page + number * HYPERCALL_BYTES;
	long result;
#ifdef __x86_64__
	register unsigned long fourth __asm__("r10") = d;
	__asm__ volatile("call *%[entry]"
			 : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth)
			 : [entry] "0"(entry)
			 : "rcx", "r11", "r8", "r9", "memory");
#else
	__asm__ volatile("call *%[entry]"
			 : "=a"(result), "+b"(a), "+c"(b), "+d"(c), "+S"(d)
			 : [entry] "0"(entry)
			 : "edi", "memory");
#endif
	return result;
}

static inline long event_channel_op(unsigned command, void *argument)
{
	return hypercall(HYPERCALL_EVENT_CHANNEL_OP, command, (unsigned long)argument, 0, 0);
}

static inline long grant_table_op(unsigned command, void *elements, unsigned count)
{
	return hypercall(HYPERCALL_GRANT_TABLE_OP, command, (unsigned long)elements, count, 0);
}

static inline long sched_op(unsigned command, void *argument)
{
	return hypercall(HYPERCALL_SCHED_OP, command, (unsigned long)argument, 0, 0);
}

static inline long memory_op(unsigned command, void *argument)
{
	return hypercall(HYPERCALL_MEMORY_OP, command, (unsigned long)argument, 0, 0);
}

static inline long mmu_update(struct mmu_update *updates, unsigned count)
{
	return hypercall(HYPERCALL_MMU_UPDATE, (unsigned long)updates, count, 0, DOMAIN_SELF);
}

static inline long mmuext_op(struct mmuext_op *operations, unsigned count)
{
	return hypercall(HYPERCALL_MMUEXT_OP, (unsigned long)operations, count, 0, DOMAIN_SELF);
}

static inline long multicall(struct multicall_entry *calls, unsigned count)
{
	return hypercall(HYPERCALL_MULTICALL, (unsigned long)calls, count, 0, 0);
}

/* A page-table entry is two arguments to a 32-bit kernel and one to a 64-bit one. */
static inline long update_va_mapping(unsigned long address, uint64_t entry, unsigned long flags)
{
#ifdef __x86_64__
	return hypercall(HYPERCALL_UPDATE_VA_MAPPING, address, entry, flags, 0);
#else
	return hypercall(HYPERCALL_UPDATE_VA_MAPPING, address, (uint32_t)entry, entry >> 32, flags);
#endif
}

static inline long set_timer_op(uint64_t time)
{
#ifdef __x86_64__
	return hypercall(HYPERCALL_SET_TIMER_OP, time, 0, 0, 0);
#else
	return hypercall(HYPERCALL_SET_TIMER_OP, (uint32_t)time, time >> 32, 0, 0);
#endif
}

#endif

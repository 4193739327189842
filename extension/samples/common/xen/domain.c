#include "domain.h"
#include "../print.h"
#include "hypercall.h"
#include "paging.h"

struct start_info *start_info;
/* In a page of its own, so that the hypervisor's can be mapped in its place. */
char shared_info_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

void domain_initialize(struct start_info *info)
{
	start_info = info;
	paging_initialize();
	must(update_va_mapping((unsigned long)shared_info_page, info->shared_info | PTE_KERNEL_DATA, FLUSH_ONE) == 0);
}

int domain_is_initial(void)
{
	return (start_info->flags & START_INITIAL_DOMAIN) != 0;
}

void domain_shutdown(unsigned reason)
{
	for (;;)
		sched_op(SCHEDULE_SHUTDOWN, &reason);
}

void panic(const char *why)
{
	print("PANIC: %s\n", why);
	domain_shutdown(SHUTDOWN_CRASH);
}

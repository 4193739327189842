#include "grants.h"
#include "domain.h"
#include "hypercall.h"
#include "paging.h"

/* Another page that the hypervisor's takes the place of. */
static char table[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
#define ENTRIES (PAGE_BYTES / sizeof(struct grant_entry))

void grants_initialize(void)
{
	unsigned long frame = 0;
	struct grant_setup_table setup = { DOMAIN_SELF, 1, 0, &frame };

	must(grant_table_op(GRANT_SETUP_TABLE, &setup, 1) == 0);
	must(setup.status == 0);
	must(update_va_mapping((unsigned long)table, (uint64_t)frame * PAGE_BYTES | PTE_KERNEL_DATA, FLUSH_ONE) == 0);
}

volatile struct grant_entry *grant_entry_of(grant_reference reference)
{
	return (volatile struct grant_entry *)table + reference;
}

grant_reference grant_page(domain_id domain, const void *page, unsigned flags)
{
	grant_reference reference = GRANT_FIRST_FREE;

	while (grant_entry_of(reference)->flags != 0) {
		reference++;
		must(reference < ENTRIES);
	}
	grant_entry_of(reference)->domain = domain;
	grant_entry_of(reference)->frame = frame_of(page);
	/* The flags make it valid, so they come last. */
	__asm__ volatile("" : : : "memory");
	grant_entry_of(reference)->flags = GRANT_PERMIT_ACCESS | flags;
	return reference;
}

int grant_end(grant_reference reference)
{
	const uint16_t before = grant_entry_of(reference)->flags;

	if (before & (GRANT_READING | GRANT_WRITING))
		return 0;
	return __sync_bool_compare_and_swap((uint16_t *)&grant_entry_of(reference)->flags, before, 0);
}

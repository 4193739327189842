#include "tables.h"
#include "../common/memory.h"
#include "domain.h"
#include "frames.h"
#include "hypercall.h"
#include "process.h"

/* The kernel's part of a directory that the hypervisor leaves to the guest: up to 0xf5800000. */
#define GUEST_ENTRIES 428

enum { MOST_QUEUED = 200, MOST_CALLS = 8 };

static struct mmu_update queue[MOST_QUEUED];
static unsigned queued;
static struct multicall_entry calls[MOST_CALLS];
static unsigned called;

static void call(unsigned operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	calls[called++] = (struct multicall_entry){ operation, 0, { a, b, c, d } };
}

static void call_updates(void)
{
	if (queued > 0)
		call(HYPERCALL_MMU_UPDATE, (unsigned long)queue, queued, 0, DOMAIN_SELF);
	queued = 0;
}

static void call_rights(const void *page, unsigned rights)
{
	const table_entry entry = entry_to(page, rights);

	call(HYPERCALL_UPDATE_VA_MAPPING, (unsigned long)page, (uint32_t)entry, entry >> 32, FLUSH_ONE);
}

static void call_extended(struct mmuext_op *operations, unsigned count)
{
	call(HYPERCALL_MMUEXT_OP, (unsigned long)operations, count, 0, DOMAIN_SELF);
}

static void do_calls(void)
{
	must(multicall(calls, called) == 0);
	for (unsigned i = 0; i < called; i++)
		must(calls[i].result == 0);
	called = 0;
}

void space_create(struct address_space *space)
{
	table_entry *first = (table_entry *)start_info->page_table;

	space->root = frame_allocate();
	space->upper = frame_allocate();
	space->directory = frame_allocate();
	space->lowest = frame_allocate();
	memcpy(space->upper, entry_frame(first[3]), GUEST_ENTRIES * sizeof(table_entry));
	space->directory[table_index(USER_BASE, 2)] = entry_to(space->lowest, PTE_TABLE);
	/* Entries of this level have no rights of their own (SDM Vol. 3A, 4.4.1). */
	space->root[table_index(USER_BASE, 3)] = entry_to(space->directory, PTE_PRESENT);
	space->root[3] = entry_to(space->upper, PTE_PRESENT);
}

static void call_all_rights(const struct address_space *space, unsigned rights)
{
	call_rights(space->root, rights);
	call_rights(space->upper, rights);
	call_rights(space->directory, rights);
	call_rights(space->lowest, rights);
}

void space_pin(const struct address_space *space)
{
	struct mmuext_op operations[] = { { MMUEXT_PIN_L3, frame_of(space->root), 0 }, { MMUEXT_FLUSH, 0, 0 } };

	call_updates();
	call_all_rights(space, PTE_KERNEL_READONLY);
	call_extended(operations, 2);
	do_calls();
}

void space_leave(const struct address_space *space, const table_entry *next)
{
	struct mmuext_op operations[] = {
		{ MMUEXT_NEW_BASE, frame_of(next), 0 },
		{ MMUEXT_UNPIN, frame_of(space->root), 0 },
	};

	call_extended(operations, 2);
	call_all_rights(space, PTE_KERNEL_DATA);
	do_calls();
}

void space_free(const struct address_space *space)
{
	frame_release(space->root);
	frame_release(space->upper);
	frame_release(space->directory);
	frame_release(space->lowest);
}

void load_root(const table_entry *root)
{
	struct mmuext_op operation = { MMUEXT_NEW_BASE, frame_of(root), 0 };

	must(mmuext_op(&operation, 1) == 0);
}

void queue_update(table_entry *entry, table_entry value)
{
	must(queued < MOST_QUEUED);
	queue[queued++] = (struct mmu_update){ machine_address(entry) | MMU_NORMAL_UPDATE, value };
}

void flush_updates(void)
{
	struct mmuext_op flush = { MMUEXT_FLUSH, 0, 0 };

	call_updates();
	call_extended(&flush, 1);
	do_calls();
}

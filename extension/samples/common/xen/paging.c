#include "paging.h"
#include "../memory.h"
#include "domain.h"
#include "hypercall.h"

#ifdef __x86_64__
#define MACHINE_TO_PHYSICAL ((unsigned long *)0xffff800000000000)
#else
#define MACHINE_TO_PHYSICAL ((unsigned long *)0xf5800000)
#endif
#define FRAME_MASK 0x000ffffffffff000ull
#define POOL_PAGES 48

static char pool[POOL_PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static unsigned pool_used;
static table_entry *first_root;

void paging_initialize(void)
{
	first_root = (table_entry *)start_info->page_table;
}

frame_number frame_of(const void *address)
{
	const frame_number *list = (const frame_number *)start_info->frame_list;

	return list[((unsigned long)address - VIRTUAL_BASE) / PAGE_BYTES];
}

uint64_t machine_address(const void *address)
{
	return (uint64_t)frame_of(address) * PAGE_BYTES + (unsigned long)address % PAGE_BYTES;
}

table_entry *table_of_frame(frame_number frame)
{
	return (table_entry *)(VIRTUAL_BASE + MACHINE_TO_PHYSICAL[frame] * PAGE_BYTES);
}

unsigned table_index(unsigned long address, unsigned level)
{
	return (address >> (12 + 9 * (level - 1))) % TABLE_ENTRIES;
}

table_entry *find_entry(table_entry *root, unsigned long address)
{
	table_entry *table = root;

	for (unsigned level = TABLE_LEVELS; level > 1; level--) {
		const table_entry entry = table[table_index(address, level)];
		if (!(entry & PTE_PRESENT))
			return 0;
		table = table_of_frame((entry & FRAME_MASK) / PAGE_BYTES);
	}
	return &table[table_index(address, 1)];
}

table_entry *kernel_entry(const void *address)
{
	return find_entry(first_root, (unsigned long)address);
}

void *page_allocate(void)
{
	must(pool_used < POOL_PAGES);
	memset(pool[pool_used], 0, PAGE_BYTES);
	return pool[pool_used++];
}

static void set_rights(void *page, unsigned rights)
{
	must(update_va_mapping((unsigned long)page, (uint64_t)frame_of(page) * PAGE_BYTES | rights, FLUSH_ONE) == 0);
}

void make_readonly(void *page)
{
	set_rights(page, PTE_KERNEL_READONLY);
}

void make_writable(void *page)
{
	set_rights(page, PTE_KERNEL_DATA);
}

long write_entry(table_entry *entry, table_entry value)
{
	struct mmu_update update = { machine_address(entry) | MMU_NORMAL_UPDATE, value };

	return mmu_update(&update, 1);
}

static long extended(unsigned command, frame_number frame)
{
	struct mmuext_op operation = { command, frame, 0 };

	return mmuext_op(&operation, 1);
}

long pin_table(unsigned level, frame_number frame)
{
	return extended(MMUEXT_PIN_L1 + level - 1, frame);
}

long unpin_table(frame_number frame)
{
	return extended(MMUEXT_UNPIN, frame);
}

#include "ept.h"
#include "layout.h"
#include "machine.h"

#define EPT_WRITE_BACK (6u << 3)
#define EPT_LARGE 0x80u
#define EPT_ADDRESS 0x000ffffffffff000ull
#define EPT_POINTER_WRITE_BACK 6u
#define EPT_POINTER_FOUR_LEVELS (3u << 3)
#define EPT_POINTER_ACCESSED_DIRTY 0x40u
#define ENTRIES 512

/* A table for each level. */
static uint64_t ept_map_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static uint64_t ept_pointer_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static uint64_t ept_directory[ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static uint64_t ept_page_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));

extern char guest_start[], guest_data_start[], guest_end[], guest_frames[];

static uint64_t *page_entry(uint64_t guest_physical)
{
	if (guest_physical < GUEST_BASE || guest_physical >= GUEST_BASE + LARGE_PAGE_SIZE)
		give_up("a page outside the guest's memory");
	return &ept_page_table[(guest_physical - GUEST_BASE) / PAGE_SIZE];
}

void ept_map(uint64_t guest_physical, uint64_t frame, unsigned rights)
{
	*page_entry(guest_physical) = frame | EPT_WRITE_BACK | rights;
}

uint64_t ept_initialize(void)
{
	unsigned all = EPT_READ | EPT_WRITE | EPT_EXECUTE;

	ept_map_table[0] = (uint64_t)ept_pointer_table | all;
	ept_pointer_table[0] = (uint64_t)ept_directory | all;
	ept_directory[GUEST_BASE / LARGE_PAGE_SIZE] = (uint64_t)ept_page_table | all;
	/* The guest's heap: one large page, at the same host-physical address. */
	ept_directory[GUEST_HEAP_FRAMES / LARGE_PAGE_SIZE] =
		GUEST_HEAP_FRAMES | EPT_LARGE | EPT_WRITE_BACK | EPT_READ | EPT_WRITE;
	/* The guest's image, with the rights of its sections. The rest of the 2 MiB is a hole. */
	for (char *page = guest_start; page < guest_end; page += PAGE_SIZE) {
		unsigned rights = page < guest_data_start ? EPT_READ | EPT_EXECUTE : EPT_READ | EPT_WRITE;

		ept_map((uint64_t)page, (uint64_t)guest_frames + (uint64_t)(page - guest_start), rights);
	}
	return (uint64_t)ept_map_table | EPT_POINTER_FOUR_LEVELS | EPT_POINTER_WRITE_BACK | EPT_POINTER_ACCESSED_DIRTY;
}

void *guest_memory(uint64_t guest_physical)
{
	uint64_t entry;

	if (guest_physical < GUEST_BASE || guest_physical >= GUEST_BASE + LARGE_PAGE_SIZE)
		return 0;
	entry = *page_entry(guest_physical);
	return entry & EPT_READ ? (void *)((entry & EPT_ADDRESS) + guest_physical % PAGE_SIZE) : 0;
}

/* The guest's paging structures and tables, as it finds them: it is entered in 64-bit mode. All addresses here are the guest's. */
#include "guest.h"
#include "layout.h"

#define PRESENT_WRITABLE 3
#define ENTRIES 512

/* 4-level paging: 0x400000 to 0x5fffff by 4 KiB pages, linear address equal to guest-physical. */
#define PAGE(number) [number] = GUEST_BASE + (number) * PAGE_SIZE + PRESENT_WRITABLE
#define PAGES_8(first)                                                                                            \
	PAGE(first), PAGE(first + 1), PAGE(first + 2), PAGE(first + 3), PAGE(first + 4), PAGE(first + 5), PAGE(first + 6), \
		PAGE(first + 7)

static uint64_t page_table[ENTRIES] __attribute__((aligned(PAGE_SIZE))) = {
	PAGES_8(0), PAGES_8(8), PAGES_8(16), PAGES_8(24),
	PAGE((GUEST_HOLE - GUEST_BASE) / PAGE_SIZE),
};

/* The heap's pages, none of them present: guest_page_fault fills them in. */
uint64_t guest_heap_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));

static uint64_t directory[ENTRIES] __attribute__((aligned(PAGE_SIZE))) = {
	[GUEST_BASE / LARGE_PAGE_SIZE] = (uint64_t)page_table + PRESENT_WRITABLE,
};
static uint64_t heap_directory[ENTRIES] __attribute__((aligned(PAGE_SIZE))) = {
	(uint64_t)guest_heap_table + PRESENT_WRITABLE,
};
static uint64_t pointers[ENTRIES] __attribute__((aligned(PAGE_SIZE))) = {
	(uint64_t)directory + PRESENT_WRITABLE,
	(uint64_t)heap_directory + PRESENT_WRITABLE,
};
uint64_t guest_page_map[ENTRIES] __attribute__((aligned(PAGE_SIZE))) = {
	(uint64_t)pointers + PRESENT_WRITABLE,
};

/* Null, 64-bit code, data. */
uint64_t guest_descriptors[3] = { 0, 0x00209a0000000000, 0x0000920000000000 };
uint8_t guest_task_state[104];

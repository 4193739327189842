#include "paging.h"
#include "instructions.h"
#include "interrupts.h"
#include "memory.h"

#define CR4_PAGE_SIZE_EXTENSIONS 0x10

struct clock_page clock_page __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));

static uint32_t window_page_table[1024] __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));

static struct {
	uint32_t next_unused;
	uint32_t first_free; /* a free frame holds the address of the next one in its first word; 0 ends the list */
	unsigned in_use;
} pool = { .next_unused = POOL_FRAMES_START };

static void map_pool(void)
{
	uint32_t *entry = &kernel_directory[POOL_BASE >> 22];

	if (processor_features() & FEATURE_PAGE_SIZE_EXTENSIONS) {
		uint32_t cr4;
		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PAGE_SIZE_EXTENSIONS));
		*entry = POOL_FRAMES_START | PAGE_SIZE_4M | PAGE_WRITABLE | PAGE_PRESENT;
		return;
	}
	static uint32_t pool_page_table[1024] __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));
	for (unsigned i = 0; i < 1024; i++)
		pool_page_table[i] = (POOL_FRAMES_START + i * PAGE_SIZE) | PAGE_WRITABLE | PAGE_PRESENT;
	*entry = physical_address(pool_page_table) | PAGE_WRITABLE | PAGE_PRESENT;
}

void paging_initialize(void)
{
	map_pool();
	kernel_directory[WINDOW_BASE >> 22] = physical_address(window_page_table) | PAGE_WRITABLE | PAGE_PRESENT;
	kernel_directory[0] = 0;
	write_cr3(physical_address(kernel_directory));
}

uint32_t frame_allocate(void)
{
	uint32_t frame = pool.first_free;

	if (frame != 0) {
		pool.first_free = *(uint32_t *)frame_contents(frame);
	} else {
		if (pool.next_unused == POOL_FRAMES_END)
			give_up("the pool of page frames is empty");
		frame = pool.next_unused;
		pool.next_unused += PAGE_SIZE;
	}
	pool.in_use++;
	memset(frame_contents(frame), 0, PAGE_SIZE);
	return frame;
}

void frame_free(uint32_t frame)
{
	*(uint32_t *)frame_contents(frame) = pool.first_free;
	pool.first_free = frame;
	pool.in_use--;
}

unsigned frames_in_use(void)
{
	return pool.in_use;
}

void *frame_contents(uint32_t frame)
{
	return (void *)(frame + KERNEL_BASE);
}

uint32_t directory_create(void)
{
	uint32_t directory = frame_allocate();
	uint32_t *entries = frame_contents(directory);

	for (unsigned i = KERNEL_BASE >> 22; i < 1024; i++)
		entries[i] = kernel_directory[i];
	return directory;
}

void directory_destroy(uint32_t directory)
{
	uint32_t *entries = frame_contents(directory);

	for (unsigned i = 0; i < KERNEL_BASE >> 22; i++) {
		if (!(entries[i] & PAGE_PRESENT))
			continue;
		uint32_t table = entries[i] & -PAGE_SIZE;
		uint32_t *pages = frame_contents(table);
		for (unsigned j = 0; j < 1024; j++) {
			uint32_t frame = pages[j] & -PAGE_SIZE;
			if ((pages[j] & PAGE_PRESENT) && frame >= POOL_FRAMES_START)
				frame_free(frame);
		}
		frame_free(table);
	}
	frame_free(directory);
}

uint32_t *page_entry(uint32_t directory, uint32_t address)
{
	uint32_t *entry = (uint32_t *)frame_contents(directory) + (address >> 22);

	if (!(*entry & PAGE_PRESENT)) {
		/* The rights that count are those of the page-table entry. */
		*entry = frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
	}
	return (uint32_t *)frame_contents(*entry & -PAGE_SIZE) + (address >> 12 & 1023);
}

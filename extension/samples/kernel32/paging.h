/* Page tables of 32-bit paging (SDM volume 3, section 4.3) and the pool of page frames. */
#ifndef PAGING_H
#define PAGING_H

#include "layout.h"
#include <stdint.h>

enum page_flags {
	PAGE_PRESENT = 0x001,
	PAGE_WRITABLE = 0x002,
	PAGE_USER = 0x004,
	PAGE_ACCESSED = 0x020,
	PAGE_DIRTY = 0x040,
	PAGE_SIZE_4M = 0x080,
	PAGE_COPY_ON_WRITE = 0x200, /* one of the three bits left to software */
};

/* Bits of a page fault's error code (SDM volume 3, section 4.7). */
enum page_fault_error { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4 };

extern uint32_t kernel_directory[1024];
extern uint32_t low_page_table[1024];
extern struct clock_page clock_page;

/* Maps the pool (by one 4 MiB page if the processor has them) and drops the boot code's identity mapping. */
void paging_initialize(void);

/* The guest-physical address of a page frame filled with zeros. */
uint32_t frame_allocate(void);
void frame_free(uint32_t frame);
unsigned frames_in_use(void);

/* The linear address at which the kernel sees a frame below 8 MiB. */
void *frame_contents(uint32_t frame);

/* A page directory (its frame) with the kernel's half filled in. */
uint32_t directory_create(void);

/* Gives back a directory, its user page tables, and those mapped frames that came from the pool. */
void directory_destroy(uint32_t directory);

/* The entry that maps address, its page table made if need be. */
uint32_t *page_entry(uint32_t directory, uint32_t address);

static inline uint32_t physical_address(const void *kernel_address)
{
	return (uint32_t)kernel_address - KERNEL_BASE;
}

static inline void invalidate_page(uint32_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint32_t read_cr2(void)
{
	uint32_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline uint32_t read_cr3(void)
{
	uint32_t value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline void write_cr3(uint32_t directory)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(directory) : "memory");
}

#endif

/* Page tables of 4-level paging (SDM volume 3, section 4.5) and the pool of page frames. */
#ifndef PAGING_H
#define PAGING_H

#include "layout.h"
#include <stdint.h>

#define PAGE_PRESENT 0x001ull
#define PAGE_WRITABLE 0x002ull
#define PAGE_USER 0x004ull
#define PAGE_ACCESSED 0x020ull
#define PAGE_DIRTY 0x040ull
#define PAGE_LARGE 0x080ull
#define PAGE_GLOBAL 0x100ull
#define PAGE_ADDRESS 0x000ffffffffff000ull

/* Bits of a page fault's error code (SDM volume 3, section 4.7). */
enum page_fault_error { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_FETCH = 16 };

/* Bit 63 of an entry, or 0 on a processor without execute-disable. */
extern uint64_t page_no_execute;

/* Turns execute-disable on if there is one, maps the first 2 MiB of the kernel by 4 KiB pages with the rights of their
   sections, the first 8 MiB at DIRECT_BASE, and drops the boot code's identity mapping. */
void paging_initialize(void);

/* The guest-physical address of a page frame filled with zeros. */
uint64_t frame_allocate(void);

/* The entry that maps address by a 4 KiB page, the tables above it made if need be. */
uint64_t *page_entry(uint64_t address);

/* The linear address at which the kernel can read and write guest-physical memory below 8 MiB. */
static inline void *physical(uint64_t address)
{
	return (void *)(address + DIRECT_BASE);
}

static inline void invalidate_page(uint64_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t read_cr2(void)
{
	uint64_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

#endif

/* Page tables (SDM volume 3, sections 4.3 and 4.5). The first 8 MiB are mapped to themselves in every address space. */
#ifndef PAGING_H
#define PAGING_H

#include "architecture.h"

#define PAGE_PRESENT 0x001
#define PAGE_WRITABLE 0x002
#define PAGE_USER 0x004
#define PAGE_CACHE_DISABLE 0x010
#define PAGE_COPY_ON_WRITE 0x200 /* ignored by the processor */
#define PAGE_FLAGS 0xfffu

/* Bits of a page fault's error code (SDM volume 3, section 4.7). */
enum page_fault_error { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4 };

/* Physical address of the address space that has no process. */
extern uintptr_t kernel_root;

void paging_initialize(void);

/* An address space with the kernel's part and no page of a process. */
uintptr_t root_create(void);

/* Gives the tables of the user part and the root back; the pages must have been released. */
void root_destroy(uintptr_t root);

/* The entry that maps address by a 4 KiB page, the tables above it made if need be. All user pages have one table. */
uintptr_t *page_entry(uintptr_t root, uintptr_t address);

static inline void load_root(uintptr_t root)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

static inline void invalidate_page(uintptr_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uintptr_t read_cr2(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

#endif

/* Page tables of a paravirtual kernel: it reads them where they lie, and asks the hypervisor for every change. */
#ifndef PAGING_H
#define PAGING_H

#include "xen.h"

#define PTE_PRESENT 1
#define PTE_WRITABLE 2
#define PTE_USER 4
#define PTE_ACCESSED 0x20
#define PTE_DIRTY 0x40

/* Kernel and user mode of a 64-bit guest share ring 3; the hypervisor sets the user bit as it needs it. */
#define PTE_KERNEL_DATA (PTE_PRESENT | PTE_WRITABLE | PTE_ACCESSED | PTE_DIRTY)
#define PTE_KERNEL_READONLY (PTE_PRESENT | PTE_ACCESSED)
#define PTE_USER_DATA (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define PTE_USER_CODE (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED)

#define TABLE_ENTRIES 512
#ifdef __x86_64__
#define TABLE_LEVELS 4
#else
#define TABLE_LEVELS 3
#endif

typedef uint64_t table_entry;

void paging_initialize(void);

/* A page of the kernel's image or of what the hypervisor put behind it. */
frame_number frame_of(const void *address);
table_entry *table_of_frame(frame_number frame);
/* Machine address of a byte of such a page. */
uint64_t machine_address(const void *address);

/* The entry of the lowest table that maps the address in the tables under root; 0 when there is none. */
table_entry *find_entry(table_entry *root, unsigned long address);
/* The same in the kernel's first tables. */
table_entry *kernel_entry(const void *address);
/* Index into the table of a level (1 is the lowest). */
unsigned table_index(unsigned long address, unsigned level);

/* A zeroed page from a small pool. */
void *page_allocate(void);
/* Makes a page of the pool read-only, so that it can become a page table. */
void make_readonly(void *page);
void make_writable(void *page);
long write_entry(table_entry *entry, table_entry value);
long pin_table(unsigned level, frame_number frame);
long unpin_table(frame_number frame);

#endif

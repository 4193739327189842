#include "paging.h"
#include "frames.h"

#define CR0_PAGING_AND_WRITE_PROTECT 0x80010000

uintptr_t kernel_root;

extern const char user_start[], user_end[];

void paging_initialize(void)
{
	uint32_t cr0;

	kernel_root = frame_allocate();
	for (uintptr_t address = 0; address < FRAMES_END; address += PAGE_SIZE) {
		int is_user = address >= (uintptr_t)user_start && address < (uintptr_t)user_end;
		*page_entry(kernel_root, address) = address | (is_user ? PAGE_USER : PAGE_WRITABLE) | PAGE_PRESENT;
	}
	*page_entry(kernel_root, APIC_TASK_PRIORITY) =
		(APIC_TASK_PRIORITY & ~PAGE_FLAGS) | PAGE_CACHE_DISABLE | PAGE_WRITABLE | PAGE_PRESENT;
	load_root(kernel_root);
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_PAGING_AND_WRITE_PROTECT) : "memory");
}

uintptr_t root_create(void)
{
	uintptr_t root = frame_allocate();

	frame_copy(root, kernel_root);
	((uintptr_t *)root)[USER_BASE >> 22] = 0;
	return root;
}

void root_destroy(uintptr_t root)
{
	frame_release(((uintptr_t *)root)[USER_BASE >> 22] & ~PAGE_FLAGS);
	frame_release(root);
}

uintptr_t *page_entry(uintptr_t root, uintptr_t address)
{
	uintptr_t *entry = (uintptr_t *)root + (address >> 22);

	/* The rights that count are those of the page-table entry. */
	if (!(*entry & PAGE_PRESENT))
		*entry = frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
	return (uintptr_t *)(*entry & ~PAGE_FLAGS) + (address >> 12 & (TABLE_ENTRIES - 1));
}

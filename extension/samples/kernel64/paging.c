#include "paging.h"
#include "interrupts.h"
#include "memory.h"

#define MSR_EFER 0xc0000080
#define EFER_NO_EXECUTE (1u << 11)
#define CPUID_EXTENDED_FEATURES 0x80000001
#define CPUID_NO_EXECUTE (1u << 20)

extern uint64_t page_map[512], high_pointers[512], large_pages[512];
extern const char kernel_code_start[], kernel_code_end[];

uint64_t page_no_execute;

static uint64_t direct_pointers[512] __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));
static uint64_t direct_pages[512] __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));
static uint64_t image_pages[512] __attribute__((aligned(PAGE_SIZE), section(".bss.page_aligned")));
static uint64_t next_frame = POOL_FRAMES_START;

static uint64_t physical_address(const void *kernel_address)
{
	return (uint64_t)kernel_address - KERNEL_BASE;
}

static void enable_no_execute(void)
{
	uint32_t eax = CPUID_EXTENDED_FEATURES, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(edx & CPUID_NO_EXECUTE))
		return;
	__asm__ volatile("rdmsr" : "=a"(eax), "=d"(edx) : "c"(MSR_EFER));
	__asm__ volatile("wrmsr" : : "a"(eax | EFER_NO_EXECUTE), "d"(edx), "c"(MSR_EFER));
	page_no_execute = 1ull << 63;
}

void paging_initialize(void)
{
	const uint64_t code_start = physical_address(kernel_code_start), code_end = physical_address(kernel_code_end);

	enable_no_execute();
	for (uint64_t i = 0; i < DIRECT_SIZE / LARGE_PAGE_SIZE; i++)
		direct_pages[i] = i * LARGE_PAGE_SIZE | page_no_execute | PAGE_LARGE | PAGE_WRITABLE | PAGE_PRESENT;
	direct_pointers[0] = physical_address(direct_pages) | PAGE_WRITABLE | PAGE_PRESENT;
	page_map[DIRECT_BASE >> 39 & 511] = physical_address(direct_pointers) | PAGE_WRITABLE | PAGE_PRESENT;

	for (uint64_t i = 0; i < 512; i++) {
		uint64_t frame = i * PAGE_SIZE;
		uint64_t rights = frame >= code_start && frame < code_end ? 0 : PAGE_WRITABLE | page_no_execute;
		image_pages[i] = frame | rights | PAGE_PRESENT;
	}
	large_pages[0] = physical_address(image_pages) | PAGE_WRITABLE | PAGE_PRESENT;
	page_map[0] = 0;
	__asm__ volatile("mov %0, %%cr3" : : "r"(physical_address(page_map)) : "memory");
}

uint64_t frame_allocate(void)
{
	if (next_frame == POOL_FRAMES_END)
		give_up("the pool of page frames is empty");
	uint64_t frame = next_frame;
	next_frame += PAGE_SIZE;
	memset(physical(frame), 0, PAGE_SIZE);
	return frame;
}

uint64_t *page_entry(uint64_t address)
{
	uint64_t *table = page_map;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = &table[address >> shift & 511];
		if (!(*entry & PAGE_PRESENT)) {
			/* The rights that count are those of the last level. */
			*entry = frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
		}
		table = physical(*entry & PAGE_ADDRESS);
	}
	return &table[address >> 12 & 511];
}

#include "checks.h"
#include "checksum.h"
#include "instructions.h"
#include "interrupts.h"
#include "memory.h"
#include "paging.h"
#include "print.h"
#include "process.h"

static const char *yes_or_no(int condition)
{
	return condition ? "yes" : "no";
}

void check_processor(void)
{
	char vendor[13] = "";
	uint32_t leaf = 0;
	unsigned length = 0;

	__asm__ volatile("cpuid"
			 : "+a"(leaf), "=b"(*(uint32_t *)&vendor[0]), "=d"(*(uint32_t *)&vendor[4]),
			   "=c"(*(uint32_t *)&vendor[8]));
	while (vendor[length] != '\0')
		length++;
	print("processor: vendor string of %u characters\n", length);

	uint32_t low, high, later_low, later_high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	__asm__ volatile("rdtsc" : "=a"(later_low), "=d"(later_high));
	uint64_t before = (uint64_t)high << 32 | low;
	uint64_t after = (uint64_t)later_high << 32 | later_low;
	print("time-stamp counter never runs back: %s\n", yes_or_no(after >= before));
}

/* Reads a word of the kernel's processor data through FS and GS, both loaded anew. */
void check_segments(void)
{
	uint32_t through_fs, through_gs, fs_selector;

	processor_data.switches = 42;
	__asm__ volatile("push %%gs\n\t"
			 "pop %%fs\n\t"
			 "mov %%fs:4, %0\n\t"
			 "mov %%fs, %k2\n\t"
			 "mov %w2, %%gs\n\t"
			 "mov %%gs:4, %1\n\t"
			 "mov %w3, %%fs"
			 : "=&r"(through_fs), "=&r"(through_gs), "=&r"(fs_selector)
			 : "r"(KERNEL_DATA_SELECTOR)
			 : "memory");
	processor_data.switches = 0;
	print("segments: FS %x reads %u, GS reads %u\n", fs_selector, through_fs, through_gs);
}

void check_strings(void)
{
	static char text[] = "guest-linear, guest-physical, host-physical";
	static char copy[sizeof(text)];
	static uint32_t words[8], copied_words[8];
	const char *found = text;
	uint32_t left = sizeof(text), count;

	memcpy(copy, text, sizeof(text));
	memmove(copy + 2, copy, 20);
	memmove(copy, copy + 2, 20);
	print("strings: checksum %x, ", checksum(copy, sizeof(copy)));
	__asm__ volatile("repne scasb" : "+D"(found), "+c"(left) : "a"(',') : "memory", "cc");
	print("comma at %d, ", (int)(found - text) - 1);

	const char *a = text, *b = text + 14;
	count = 20;
	__asm__ volatile("repe cmpsb" : "+S"(a), "+D"(b), "+c"(count) : : "memory", "cc");
	print("first difference at %d, ", (int)(a - text) - 1);

	uint32_t *to = words;
	count = 8;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0x01020304) : "memory");
	print("words by the stack %x\n", copy_by_stack(copied_words, words, 8));
}

/* The interrupt flag is not looked at: a kernel in ring 1 reads it wrong (see sensitive.c). */
void check_flags(void)
{
	__asm__ volatile("pushf; cli; popf; sti" : : : "memory", "cc");
	print("flags through PUSHF and POPF: equal %x, below %x, overflow %x\n", flags_through_stack(7, 7),
	      flags_through_stack(3, 7), flags_through_stack(0x80000000, 1));
}

void check_exceptions(void)
{
	__asm__ volatile("int3");
	print("divide: 100 / 7 = %u\n", divide(100, 7));
	print("divide: 100 / 0 recovered: %s\n", yes_or_no(divide(100, 0) == FAULT_RECOVERED));
	print("FS with the selector of the TSS recovered: %s\n", yes_or_no(load_system_segment() == FAULT_RECOVERED));
}

void check_self_modifying_code(void)
{
	uint32_t before = patchable();
	uint32_t sum = 0;

	patchable_immediate = 2;
	uint32_t after = patchable();
	for (uint32_t value = 1; value <= 100; value++) {
		patchable_immediate = value;
		sum += patchable();
	}
	print("self-modifying code: %u, then %u, sum of a hundred patches %u, patched ahead %x\n", before, after, sum,
	      patch_ahead(0xfeed));
}

/* One page of the window: accessed and dirty bits, a remap, writes that the kernel itself may not do (CR0.WP). */
void check_page_tables(void)
{
	volatile uint32_t *page = (volatile uint32_t *)WINDOW_BASE;
	volatile uint32_t *entry = page_entry(read_cr3(), WINDOW_BASE); /* the processor changes it */
	uint32_t first = frame_allocate(), second = frame_allocate();

	*entry = first | PAGE_WRITABLE | PAGE_PRESENT;
	invalidate_page(WINDOW_BASE);
	uint32_t untouched = *entry & (PAGE_ACCESSED | PAGE_DIRTY);
	uint32_t zero = *page;
	uint32_t read = *entry & (PAGE_ACCESSED | PAGE_DIRTY);
	*page = 0x1111;
	uint32_t written = *entry & (PAGE_ACCESSED | PAGE_DIRTY);
	print("page entry: fresh %x, read %x, written %x, word %u\n", untouched, read, written, zero);

	*(uint32_t *)frame_contents(second) = 0x2222;
	*entry = second | PAGE_WRITABLE | PAGE_PRESENT;
	invalidate_page(WINDOW_BASE);
	print("remapped: word %x, first frame holds %x\n", *page, *(uint32_t *)frame_contents(first));

	*entry = second | PAGE_PRESENT;
	invalidate_page(WINDOW_BASE);
	print("read-only page holds against the kernel: %s\n",
	      yes_or_no(write_word((uint32_t *)WINDOW_BASE, 1) == FAULT_RECOVERED));
	*entry = 0;
	invalidate_page(WINDOW_BASE);
	print("absent page holds against the kernel: %s\n",
	      yes_or_no(write_word((uint32_t *)WINDOW_BASE, 1) == FAULT_RECOVERED));
	frame_free(first);
	frame_free(second);
}

void check_timer(void)
{
	wait_for_ticks(3);
	print("timer: halted for 3 ticks\n");
}

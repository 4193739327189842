#include "process.h"
#include "../memory.h"
#include "../print.h"
#include "../serial.h"
#include "clock.h"
#include "domain.h"
#include "hypercall.h"
#include "layout.h"
#include "paging.h"
#include "traps.h"

extern char user_code_start[], user_data_start[], user_bss_start[], user_end[];
extern char user_code_frames[], user_data_frames[];
void user_start(void);

static table_entry *lowest;
static table_entry *root;
static unsigned heap_pages, stack_pages, bss_pages;

static table_entry entry_to(const void *page, unsigned rights)
{
	return (table_entry)frame_of(page) * PAGE_BYTES | rights;
}

static void map_now(unsigned long address, const void *page, unsigned rights)
{
	must(write_entry(&lowest[table_index(address, 1)], entry_to(page, rights)) == 0);
}

/* Tables of the two lowest levels for the process; the image is mapped before they are anybody's. Returns the upper one. */
static table_entry *build_low_tables(void)
{
	table_entry *directory = page_allocate();

	lowest = page_allocate();
	for (char *page = user_code_start; page < user_data_start; page += PAGE_BYTES)
		lowest[table_index((unsigned long)page, 1)] = entry_to(user_code_frames + (page - user_code_start), PTE_USER_CODE);
	for (char *page = user_data_start; page < user_bss_start; page += PAGE_BYTES)
		lowest[table_index((unsigned long)page, 1)] = entry_to(user_data_frames + (page - user_data_start), PTE_USER_DATA);
	directory[table_index(USER_BASE, 2)] = entry_to(lowest, PTE_TABLE);
	make_readonly(lowest);
	make_readonly(directory);
	return directory;
}

#ifdef __x86_64__
static table_entry *pointers;

/* Two top-level tables lead to the same lower ones: the kernel's, and one that holds nothing but the process. */
static void build_address_space(void)
{
	table_entry *kernel_root = (table_entry *)start_info->page_table;

	pointers = page_allocate();
	pointers[table_index(USER_BASE, 3)] = entry_to(build_low_tables(), PTE_TABLE);
	make_readonly(pointers);
	must(write_entry(&kernel_root[table_index(USER_BASE, 4)], entry_to(pointers, PTE_TABLE)) == 0);
	root = page_allocate();
	root[table_index(USER_BASE, 4)] = entry_to(pointers, PTE_TABLE);
	make_readonly(root);
	must(pin_table(4, frame_of(root)) == 0);
	struct mmuext_op switch_user = { MMUEXT_NEW_USER_BASE, frame_of(root), 0 };
	must(mmuext_op(&switch_user, 1) == 0);
}

static void leave_address_space(void)
{
	table_entry *kernel_root = (table_entry *)start_info->page_table;
	struct mmuext_op none = { MMUEXT_NEW_USER_BASE, 0, 0 };

	must(mmuext_op(&none, 1) == 0);
	must(write_entry(&kernel_root[table_index(USER_BASE, 4)], 0) == 0);
	must(unpin_table(frame_of(root)) == 0);
}
#else
static void new_base(const void *table)
{
	struct mmuext_op operation = { MMUEXT_NEW_BASE, frame_of(table), 0 };

	must(mmuext_op(&operation, 1) == 0);
}

/* The kernel's part of a directory that the hypervisor leaves to the guest: up to 0xf5800000. */
#define GUEST_ENTRIES 428

static void build_address_space(void)
{
	table_entry *first = (table_entry *)start_info->page_table;
	table_entry *top = page_allocate();

	memcpy(top, table_of_frame(first[3] / PAGE_BYTES), GUEST_ENTRIES * sizeof(table_entry));
	make_readonly(top);
	root = page_allocate();
	/* Entries of this level have no rights of their own (SDM Vol. 3A, 4.4.1). */
	root[table_index(USER_BASE, 3)] = entry_to(build_low_tables(), PTE_PRESENT);
	root[3] = entry_to(top, PTE_PRESENT);
	make_readonly(root);
	must(pin_table(3, frame_of(root)) == 0);
	new_base(root);
}

static void leave_address_space(void)
{
	new_base((void *)start_info->page_table);
	must(unpin_table(frame_of(root)) == 0);
}
#endif

static void print_text(const char *text, unsigned long length)
{
	for (unsigned long i = 0; i < length; i++)
		serial_write(text[i]);
}

void user_system_call(struct trap_frame *frame)
{
#ifdef __x86_64__
	const unsigned long first = frame->di, second = frame->si;
#else
	const unsigned long first = frame->bx, second = frame->cx;
#endif

	switch (frame->ax) {
	case CALL_EXIT:
		user_leave((int)first);
	case CALL_WRITE:
		if (first >= USER_BASE && second < 256 && first + second <= USER_STACK_END)
			print_text((const char *)first, second);
		frame->ax = 0;
		return;
	case CALL_TICKS:
		frame->ax = clock_ticks();
		return;
	case CALL_ADD:
		frame->ax = first + second;
		return;
	default:
		frame->ax = -1ul;
	}
}

/* A page that the process is to have but has not been given yet. */
static int give_page(unsigned long address)
{
	const char *kind;

	if (address >= USER_HEAP && address < USER_HEAP_END) {
		kind = "heap";
		heap_pages++;
	} else if (address >= USER_STACK_LOW && address < USER_STACK_END) {
		kind = "stack";
		stack_pages++;
	} else if (address >= (unsigned long)user_bss_start && address < (unsigned long)user_end) {
		kind = "bss";
		bss_pages++;
	} else
		return 0;
	print("process: page fault at %x: new %s page\n", (unsigned)address & ~0xfffu, kind);
	map_now(address, page_allocate(), PTE_USER_DATA);
	return 1;
}

void user_exception(struct trap_frame *frame)
{
	if (frame->vector == 3) {
		print("exception 3 (INT3) in user code: resumed\n");
		return;
	}
	if (frame->vector == 14) {
		const unsigned long address = VCPU->cr2;
		if (!(frame->error & PAGE_FAULT_PRESENT) && give_page(address))
			return;
		print("process: page fault at %p, %s: not allowed\n", (void *)address,
		      frame->error & PAGE_FAULT_WRITE ? "write" : "read");
	} else
		print("process: exception %u\n", (unsigned)frame->vector);
	user_leave(-1);
}

void process_check(void)
{
	build_address_space();
	clock_start(1000);
	const int result = user_run((unsigned long)user_start, USER_STACK_END - 16);
	clock_stop();
	print("process: ended with %d; pages: heap %u, stack %u, bss %u\n", result, heap_pages, stack_pages, bss_pages);
	leave_address_space();
	print("process: its tables are given back\n");
}

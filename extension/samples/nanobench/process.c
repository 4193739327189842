#include "process.h"
#include "architecture.h"
#include "frames.h"
#include "paging.h"
#include "ports.h"
#include "print.h"

enum { MOST_PROCESSES = 4, VECTOR_PAGE_FAULT = 14, VECTOR_SYSTEM_CALL = 0x80 };

struct process {
	uintptr_t root;
	struct frame frame; /* where it goes on, while another one runs */
};

/* A process and its descendants; the last one runs, or waits to be run by its parent's CALL_WAIT. */
static struct process processes[MOST_PROCESSES];
static unsigned running, last;

extern const char user_main_entry[];

void enter_user(const struct frame *frame);
__attribute__((noreturn)) void leave_user(void);

void give_up(const char *reason)
{
	print("SAMPLE FAILED: %s\n", reason);
	machine_exit(EXIT_VALUE_FAILURE);
}

static void unmap(uintptr_t root, uintptr_t start, unsigned pages)
{
	uintptr_t *entry = page_entry(root, start);

	for (unsigned i = 0; i < pages; i++) {
		if (!(entry[i] & PAGE_PRESENT))
			continue;
		frame_release(entry[i] & ~PAGE_FLAGS);
		entry[i] = 0;
		invalidate_page(start + i * PAGE_SIZE);
	}
}

static void map(uintptr_t root, uintptr_t start, unsigned pages)
{
	uintptr_t *entry = page_entry(root, start);

	for (unsigned i = 0; i < pages; i++)
		entry[i] = frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
}

/* Parent and child share the pages, both for reading, until one of them writes. */
static uintptr_t fork(const struct frame *frame)
{
	if (last + 1 == MOST_PROCESSES)
		give_up("too many processes");
	struct process *parent = &processes[running], *child = &processes[++last];
	uintptr_t *from = page_entry(parent->root, USER_BASE);

	child->root = root_create();
	uintptr_t *to = page_entry(child->root, USER_BASE);
	for (unsigned i = 0; i < USER_PAGES; i++) {
		if (!(from[i] & PAGE_PRESENT))
			continue;
		frame_share(from[i] & ~PAGE_FLAGS);
		to[i] = from[i] = (from[i] & ~(uintptr_t)PAGE_WRITABLE) | PAGE_COPY_ON_WRITE;
	}
	load_root(parent->root); /* no translation is left that allows the parent to write */
	child->frame = *frame;
	frame_result(&child->frame, 0);
	return last;
}

static void wait_for_child(struct frame *frame)
{
	if (last == running)
		give_up("a process waits for no child");
	processes[running].frame = *frame;
	running = last;
	*frame = processes[running].frame;
	load_root(processes[running].root);
}

static void process_exit(struct frame *frame)
{
	uintptr_t root = processes[running].root;

	unmap(root, USER_BASE, USER_PAGES);
	if (running == 0) {
		load_root(kernel_root);
		root_destroy(root);
		leave_user();
	}
	uintptr_t status = frame_argument(frame);
	last = --running;
	*frame = processes[running].frame;
	frame_result(frame, status);
	load_root(processes[running].root);
	root_destroy(root);
}

static void page_fault(uintptr_t address, uintptr_t error_code)
{
	if (!(error_code & FAULT_USER) || address < USER_BASE || address >= USER_BASE + USER_PAGES * PAGE_SIZE)
		give_up("a page fault that nothing expected");
	uintptr_t *entry = page_entry(processes[running].root, address);
	if (!(error_code & FAULT_PRESENT)) {
		*entry = frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
		return;
	}
	uintptr_t frame = *entry & ~PAGE_FLAGS;
	if (!(*entry & PAGE_COPY_ON_WRITE))
		give_up("a write to a page that is not to be written");
	if (frame_uses(frame) > 1) {
		uintptr_t copy = frame_allocate();
		frame_copy(copy, frame);
		frame_release(frame);
		frame = copy;
	}
	*entry = frame | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
	invalidate_page(address);
}

/* entries.S calls this for all that the benchmarks of loops.S do not cause. */
void kernel_entry(struct frame *frame)
{
	if (frame->vector == VECTOR_PAGE_FAULT) {
		page_fault(read_cr2(), frame->error_code);
		return;
	}
	if (frame->vector != VECTOR_SYSTEM_CALL)
		give_up("an exception that nothing expected");
	switch (frame_number(frame)) {
	case CALL_EXIT:
		process_exit(frame);
		break;
	case CALL_FORK:
		frame_result(frame, fork(frame));
		break;
	case CALL_WAIT:
		wait_for_child(frame);
		break;
	case CALL_MAP:
		map(processes[running].root, MAP_START, frame_argument(frame) % (MAP_PAGES + 1));
		break;
	case CALL_UNMAP:
		unmap(processes[running].root, MAP_START, frame_argument(frame) % (MAP_PAGES + 1));
		break;
	}
}

void process_run(enum user_program program)
{
	struct process *process = &processes[0];

	running = last = 0;
	process->root = root_create();
	process->frame = user_frame((uintptr_t)user_main_entry, STACK_TOP, program);
	page_entry(process->root, USER_BASE);
	load_root(process->root);
	enter_user(&process->frame);
}

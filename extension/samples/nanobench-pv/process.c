#include "process.h"
#include "domain.h"
#include "frames.h"
#include "hypercall.h"
#include "tables.h"

enum { MOST_PROCESSES = 4, VECTOR_PAGE_FAULT = 14, VECTOR_SYSTEM_CALL = 0x80, FAULT_PRESENT = 1, FAULT_USER = 4 };

/* What entries.S pushes; below it lies what the hypervisor or the processor pushed. */
struct frame {
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector, error_code;
	uint32_t eip, cs, eflags, esp, ss;
};

struct process {
	struct address_space space;
	struct frame frame; /* where it goes on, while another one runs */
};

/* A process and its descendants; the last one runs, or waits to be run by its parent's CALL_WAIT. */
static struct process processes[MOST_PROCESSES];
static unsigned running, last;

extern const char user_main_entry[];

void enter_kernel(struct frame *frame);
void enter_user(const struct frame *frame);
__attribute__((noreturn)) void leave_user(void);

/* In the tables in use. The frames are given back once nothing leads to them. */
static void unmap(unsigned long start, unsigned pages)
{
	static void *frames[USER_PAGES];
	table_entry *entry = processes[running].space.lowest + table_index(start, 1);
	unsigned count = 0;

	for (unsigned i = 0; i < pages; i++) {
		if (!(entry[i] & PTE_PRESENT))
			continue;
		frames[count++] = entry_frame(entry[i]);
		queue_update(&entry[i], 0);
	}
	flush_updates();
	while (count > 0)
		frame_release(frames[--count]);
}

static void map(unsigned long start, unsigned pages)
{
	table_entry *entry = processes[running].space.lowest + table_index(start, 1);

	for (unsigned i = 0; i < pages; i++)
		queue_update(&entry[i], entry_to(frame_allocate(), PTE_USER_DATA));
	flush_updates();
}

/* Parent and child share the pages, both for reading, until one of them writes. The child's entries are stores, as its tables are
   pinned after them. */
static uint32_t fork(const struct frame *frame)
{
	must(last + 1 < MOST_PROCESSES);
	struct process *parent = &processes[running], *child = &processes[++last];
	table_entry *from = parent->space.lowest;

	space_create(&child->space);
	for (unsigned i = 0; i < USER_PAGES; i++) {
		if (!(from[i] & PTE_PRESENT))
			continue;
		const table_entry shared = (from[i] & ~(table_entry)PTE_WRITABLE) | PTE_COPY_ON_WRITE;
		frame_share(entry_frame(from[i]));
		child->space.lowest[i] = shared;
		queue_update(&from[i], shared);
	}
	space_pin(&child->space);
	child->frame = *frame;
	child->frame.eax = 0;
	return last;
}

static void wait_for_child(struct frame *frame)
{
	must(last != running);
	processes[running].frame = *frame;
	running = last;
	*frame = processes[running].frame;
	load_root(processes[running].space.root);
}

static void process_exit(struct frame *frame)
{
	const struct address_space *space = &processes[running].space;
	const uint32_t status = frame->ebx;

	space_leave(space, running == 0 ? (table_entry *)start_info->page_table : processes[running - 1].space.root);
	for (unsigned i = 0; i < USER_PAGES; i++)
		if (space->lowest[i] & PTE_PRESENT)
			frame_release(entry_frame(space->lowest[i]));
	space_free(space);
	if (running == 0)
		leave_user();
	last = --running;
	*frame = processes[running].frame;
	frame->eax = status;
}

static void page_fault(unsigned long address, unsigned error_code)
{
	must((error_code & FAULT_USER) && address >= USER_BASE && address < USER_BASE + USER_PAGES * PAGE_SIZE);
	const table_entry entry = processes[running].space.lowest[table_index(address, 1)];
	void *frame;

	if (!(error_code & FAULT_PRESENT))
		frame = frame_allocate();
	else {
		must(entry & PTE_COPY_ON_WRITE);
		frame = entry_frame(entry);
	}
	void *shared = 0;
	if ((error_code & FAULT_PRESENT) && frame_uses(frame) > 1) {
		shared = frame;
		frame = frame_allocate();
		void *to = frame, *source = shared;
		unsigned long count = PAGE_SIZE / 4;
		__asm__ volatile("rep movsl" : "+D"(to), "+S"(source), "+c"(count) : : "memory");
	}
	must(update_va_mapping(address & -PAGE_SIZE, entry_to(frame, PTE_USER_DATA), FLUSH_ONE) == 0);
	if (shared != 0)
		frame_release(shared);
}

void enter_kernel(struct frame *frame)
{
	if (frame->vector == VECTOR_PAGE_FAULT) {
		page_fault(VCPU->cr2, frame->error_code);
		return;
	}
	must(frame->vector == VECTOR_SYSTEM_CALL);
	switch (frame->eax) {
	case CALL_EXIT:
		process_exit(frame);
		break;
	case CALL_FORK:
		frame->eax = fork(frame);
		break;
	case CALL_WAIT:
		wait_for_child(frame);
		break;
	case CALL_MAP:
		map(MAP_START, frame->ebx % (MAP_PAGES + 1));
		break;
	case CALL_UNMAP:
		unmap(MAP_START, frame->ebx % (MAP_PAGES + 1));
		break;
	}
}

void process_run(enum user_program program)
{
	struct process *process = &processes[0];

	running = last = 0;
	space_create(&process->space);
	space_pin(&process->space);
	process->frame = (struct frame){
		.eax = program,
		.eip = (uint32_t)user_main_entry,
		.cs = USER_CS,
		.eflags = 0x202, /* IF */
		.esp = STACK_TOP,
		.ss = USER_DS,
	};
	load_root(process->space.root);
	enter_user(&process->frame);
}

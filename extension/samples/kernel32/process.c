#include "process.h"
#include "descriptors.h"
#include "instructions.h"
#include "interrupts.h"
#include "memory.h"
#include "paging.h"
#include "print.h"

#define EFLAGS_IF 0x200

/* IA32_SYSENTER_CS, _ESP, _EIP (SDM volume 4, table 2-2). */
enum { MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176 };

struct processor_data processor_data;
struct process processes[PROCESS_COUNT];

/* What runs processes_run; its stack pointer is kept here while a process runs. */
static struct process boot_process;

extern const char interrupt_return[], sysenter_entry[];
extern const char user_code_start[], user_data_start[], user_data_end[], user_end[];
extern const char user_code_frames[], user_data_frames[];
extern const char user_start[];

void switch_stack(uint32_t **save, uint32_t *load);

enum region_kind { REGION_NONE, REGION_BSS, REGION_HEAP, REGION_STACK };

static const char *const region_names[] = {
	[REGION_NONE] = "nothing", [REGION_BSS] = "bss", [REGION_HEAP] = "heap", [REGION_STACK] = "stack"
};

static void write_msr(uint32_t number, uint32_t value)
{
	__asm__ volatile("wrmsr" : : "c"(number), "a"(value), "d"(0));
}

static void map_frames(uint32_t directory, uint32_t start, uint32_t end, uint32_t frame, uint32_t flags)
{
	for (uint32_t page = start; page < end; page += PAGE_SIZE, frame += PAGE_SIZE)
		*page_entry(directory, page) = frame | flags | PAGE_USER | PAGE_PRESENT;
}

/* Its code and data are the image's own frames, both read-only; data is copied when it is first written. */
static void process_create(struct process *process, uint32_t pid)
{
	const uint32_t data_start = (uint32_t)user_data_start;

	*process = (struct process){ .pid = pid, .state = PROCESS_READY, .heap_end = HEAP_START };
	process->directory = directory_create();
	map_frames(process->directory, (uint32_t)user_code_start, data_start, (uint32_t)user_code_frames, 0);
	map_frames(process->directory, data_start, (uint32_t)user_data_end, (uint32_t)user_data_frames,
		   PAGE_COPY_ON_WRITE);
	map_frames(process->directory, CLOCK_PAGE, CLOCK_PAGE + PAGE_SIZE, physical_address(&clock_page), 0);

	/* As if user_start had been interrupted before its first instruction, and then switch_stack called. */
	uint32_t *top = &process->kernel_stack[1024];
	struct interrupt_frame *frame = (struct interrupt_frame *)top - 1;
	*frame = (struct interrupt_frame){
		.gs = USER_DATA_SELECTOR,
		.fs = USER_DATA_SELECTOR,
		.es = USER_DATA_SELECTOR,
		.ds = USER_DATA_SELECTOR,
		.eax = pid,
		.eip = (uint32_t)user_start,
		.cs = USER_CODE_SELECTOR,
		.eflags = EFLAGS_IF,
		.user_esp = STACK_TOP,
		.user_ss = USER_DATA_SELECTOR,
	};
	uint32_t *stack = (uint32_t *)frame;
	*--stack = (uint32_t)interrupt_return;
	stack -= 4; /* EBP, EBX, ESI, EDI: switch_stack's */
	process->stack_pointer = stack;
}

static void switch_to(struct process *next)
{
	struct process *previous = processor_data.current;

	if (next == previous)
		return;
	interrupts_off();
	if (next->state == PROCESS_READY)
		next->state = PROCESS_RUNNING;
	processor_data.current = next;
	processor_data.switches++;
	task_state.esp0 = (uint32_t)&next->kernel_stack[1024];
	if (processor_features() & FEATURE_SYSENTER)
		write_msr(MSR_SYSENTER_ESP, task_state.esp0);
	write_cr3(next->directory);
	switch_stack(&previous->stack_pointer, next->stack_pointer);
	interrupts_on();
}

static struct process *next_ready(const struct process *after)
{
	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		struct process *candidate = &processes[(after->pid + i) % PROCESS_COUNT];
		if (candidate->state == PROCESS_READY)
			return candidate;
	}
	return 0;
}

void process_yield(void)
{
	struct process *process = current_process();

	process->state = PROCESS_READY;
	switch_to(next_ready(process));
	process->state = PROCESS_RUNNING;
}

void process_exit(int status)
{
	struct process *process = current_process();
	struct process *next = next_ready(process);

	process->state = PROCESS_ENDED;
	process->exit_status = status;
	switch_to(next ? next : &boot_process);
	give_up("a process that has ended ran again");
}

void processes_run(void)
{
	const unsigned frames_before = frames_in_use();

	boot_process = (struct process){ .state = PROCESS_RUNNING, .directory = read_cr3() };
	processor_data.current = &boot_process;
	if (processor_features() & FEATURE_SYSENTER) {
		write_msr(MSR_SYSENTER_CS, KERNEL_CODE_SELECTOR);
		write_msr(MSR_SYSENTER_EIP, (uint32_t)sysenter_entry);
		clock_page.has_sysenter = 1;
	}
	for (unsigned i = 0; i < PROCESS_COUNT; i++)
		process_create(&processes[i], i + 1);
	switch_to(&processes[0]);

	for (unsigned i = 0; i < PROCESS_COUNT; i++) {
		struct process *process = &processes[i];
		print("process %u: ended with %d; pages: heap %u, stack %u, copied %u\n", process->pid,
		      process->exit_status, process->pages.heap, process->pages.stack, process->pages.copied);
		directory_destroy(process->directory);
	}
	print("processes: %u switches, page frames all given back: %s\n", processor_data.switches,
	      frames_in_use() == frames_before ? "yes" : "no");
}

int is_user_range(uint32_t address, uint32_t size)
{
	return address < KERNEL_BASE && size <= KERNEL_BASE - address;
}

static enum region_kind region_of(const struct process *process, uint32_t address)
{
	if (address >= (uint32_t)user_data_end && address < (uint32_t)user_end)
		return REGION_BSS;
	if (address >= HEAP_START && address < process->heap_end)
		return REGION_HEAP;
	if (address >= STACK_TOP - STACK_SIZE && address < STACK_TOP)
		return REGION_STACK;
	return REGION_NONE;
}

static void print_fault(const struct process *process, uint32_t address, uint32_t error_code)
{
	print("process %u: page fault, %s %s %p, %s: ", process->pid, error_code & FAULT_USER ? "user" : "kernel",
	      error_code & FAULT_WRITE ? "write" : "read", (void *)address,
	      error_code & FAULT_PRESENT ? "protection" : "not present");
}

static void copy_page(struct process *process, uint32_t *entry, uint32_t address)
{
	uint32_t copy = frame_allocate();

	memcpy(frame_contents(copy), frame_contents(*entry & -PAGE_SIZE), PAGE_SIZE);
	*entry = copy | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
	invalidate_page(address);
	process->pages.copied++;
}

int process_page_fault(uint32_t address, uint32_t error_code)
{
	struct process *process = current_process();

	if (process == 0 || process == &boot_process || (!(error_code & FAULT_USER) && address >= KERNEL_BASE))
		return 0;
	print_fault(process, address, error_code);
	if (address < KERNEL_BASE && !(error_code & FAULT_PRESENT)) {
		enum region_kind region = region_of(process, address);
		if (region != REGION_NONE) {
			*page_entry(process->directory, address) =
				frame_allocate() | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
			process->pages.heap += region == REGION_HEAP;
			process->pages.stack += region == REGION_STACK;
			print("new %s page\n", region_names[region]);
			return 1;
		}
	} else if (address < KERNEL_BASE && (error_code & FAULT_WRITE)) {
		uint32_t *entry = page_entry(process->directory, address);
		if (*entry & PAGE_COPY_ON_WRITE) {
			copy_page(process, entry, address);
			print("page copied\n");
			return 1;
		}
	}
	print("not allowed, process ended\n");
	process->pages.ended_by_fault = 1;
	process_exit(-1);
}

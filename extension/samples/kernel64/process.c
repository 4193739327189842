#include "process.h"
#include "interrupts.h"
#include "layout.h"
#include "memory.h"
#include "paging.h"
#include "print.h"
#include "serial.h"

#define USER_SPACE_END 0x0000800000000000ull
#define REFUSED ((uint64_t)-1)

struct processor_data processor_data;

static struct {
	void *saved_stack; /* of process_enter */
	int running;
	int exit_status;
	struct {
		uint32_t bss, heap, stack;
	} pages;
	uint64_t kernel_stack[1024] __attribute__((aligned(16)));
} process;

extern const char user_code_start[], user_data_start[], user_data_end[], user_end[];
extern const char user_code_frames[], user_data_frames[];
extern const char user_start[];

void process_enter(void **save, uint64_t instruction, uint64_t stack);
__attribute__((noreturn)) void process_leave(void *saved);

uint64_t process_kernel_stack(void)
{
	return (uint64_t)&process.kernel_stack[1024];
}

static void map_frames(uint64_t start, uint64_t end, uint64_t frame, uint64_t rights)
{
	for (uint64_t page = start; page < end; page += PAGE_SIZE, frame += PAGE_SIZE)
		*page_entry(page) = frame | rights | PAGE_USER | PAGE_PRESENT;
}

void process_run(void)
{
	map_frames((uint64_t)user_code_start, (uint64_t)user_data_start, (uint64_t)user_code_frames, 0);
	map_frames((uint64_t)user_data_start, (uint64_t)user_data_end, (uint64_t)user_data_frames,
		   PAGE_WRITABLE | page_no_execute);
	process.running = 1;
	process_enter(&process.saved_stack, (uint64_t)user_start, STACK_TOP);
	process.running = 0;
	print("process: ended with %d; pages: bss %u, heap %u, stack %u\n", process.exit_status, process.pages.bss,
	      process.pages.heap, process.pages.stack);
	print("at least 50 system calls counted through GS: %s\n", processor_data.system_calls >= 50 ? "yes" : "no");
}

void process_exit(int status)
{
	process.exit_status = status;
	process_leave(process.saved_stack);
}

static uint32_t *pages_of_region(uint64_t address)
{
	if (address >= (uint64_t)user_data_end && address < (uint64_t)user_end)
		return &process.pages.bss;
	if (address >= HEAP_START && address < HEAP_START + HEAP_SIZE)
		return &process.pages.heap;
	if (address >= STACK_TOP - STACK_SIZE && address < STACK_TOP)
		return &process.pages.stack;
	return 0;
}

int process_page_fault(uint64_t address, uint64_t error_code)
{
	if (!process.running || (!(error_code & FAULT_USER) && address >= USER_SPACE_END))
		return 0;
	print("page fault, %s %s %p, %s: ", error_code & FAULT_USER ? "user" : "kernel",
	      error_code & FAULT_FETCH ? "fetch"
	      : error_code & FAULT_WRITE ? "write"
					 : "read",
	      (void *)address, error_code & FAULT_PRESENT ? "protection" : "not present");
	uint32_t *pages = pages_of_region(address);
	if ((error_code & FAULT_PRESENT) || pages == 0) {
		print("not allowed, process ended\n");
		process_exit(-1);
	}
	++*pages;
	*page_entry(address) = frame_allocate() | page_no_execute | PAGE_USER | PAGE_WRITABLE | PAGE_PRESENT;
	print("new page\n");
	return 1;
}

static int is_user_range(uint64_t address, uint64_t size)
{
	return address < USER_SPACE_END && size <= USER_SPACE_END - address;
}

static uint64_t write_text(uint64_t address, uint64_t size)
{
	const char *text = (const char *)address;

	if (!is_user_range(address, size))
		return REFUSED;
	for (uint64_t i = 0; i < size; i++)
		serial_write(text[i]);
	return size;
}

/* Writes to the process's memory as the kernel, so that the page fault which this may raise is a supervisor's. */
static uint64_t fill(uint64_t address, uint64_t size)
{
	if (!is_user_range(address, size))
		return REFUSED;
	memset((void *)address, 0x5a, size);
	return size;
}

uint64_t system_call(uint64_t number, uint64_t first, uint64_t second)
{
	__asm__ volatile("incq %%gs:0" : : : "memory", "cc"); /* processor_data.system_calls */
	switch (number) {
	case SYSTEM_CALL_WRITE:
		return write_text(first, second);
	case SYSTEM_CALL_EXIT:
		process_exit((int)first);
	case SYSTEM_CALL_TICKS:
		return ticks;
	case SYSTEM_CALL_FILL:
		return fill(first, second);
	default:
		return REFUSED;
	}
}

#include "system-calls.h"
#include "layout.h"
#include "process.h"
#include "serial.h"

#define REFUSED ((uint32_t)-1)

static uint32_t write_text(uint32_t address, uint32_t size)
{
	if (!is_user_range(address, size))
		return REFUSED;
	const char *text = (const char *)address;
	for (uint32_t i = 0; i < size; i++)
		serial_write(text[i]);
	return size;
}

/* Moves the heap's end; the pages come when they are touched. */
static uint32_t set_heap_end(struct process *process, uint32_t address)
{
	if (address >= HEAP_START && address <= HEAP_LIMIT)
		process->heap_end = address;
	return process->heap_end;
}

/* Writes to the user's page as the kernel, so the page fault that this may raise is a supervisor's. */
static uint32_t describe(const struct process *process, uint32_t address)
{
	struct process_description *description = (struct process_description *)address;

	if (!is_user_range(address, sizeof(*description)))
		return REFUSED;
	description->pid = process->pid;
	description->heap_pages = process->pages.heap;
	description->stack_pages = process->pages.stack;
	description->copied_pages = process->pages.copied;
	return 0;
}

uint32_t system_call(uint32_t number, uint32_t first, uint32_t second)
{
	struct process *process = current_process();

	switch (number) {
	case SYSTEM_CALL_GETPID:
		return process->pid;
	case SYSTEM_CALL_WRITE:
		return write_text(first, second);
	case SYSTEM_CALL_BRK:
		return set_heap_end(process, first);
	case SYSTEM_CALL_YIELD:
		process_yield();
		return 0;
	case SYSTEM_CALL_EXIT:
		process_exit((int)first);
	case SYSTEM_CALL_DESCRIBE:
		return describe(process, first);
	default:
		return REFUSED;
	}
}

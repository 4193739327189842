/* What runs in ring 3. Its code and constants lie on pages that processes may read; all that it writes is its stack and data. */
#include "architecture.h"
#include "operation.h"
#include "system-calls.h"

uintptr_t system_call(uintptr_t number, uintptr_t argument);
void loop_system_call(uint32_t repetitions);

enum { SYSTEM_CALLS = 1000, FORKS = 20, MAPS = 10, PAGES_MAPPED = 64, FAULT_ROUNDS = 2 };

static void touch(uintptr_t start, unsigned pages, unsigned stride)
{
	for (unsigned page = 0; page < pages; page += stride)
		*(volatile uint8_t *)(start + page * PAGE_SIZE) = (uint8_t)page;
}

/* A child that writes to pages of its data and ends. */
static void fork_and_wait(unsigned pages_written)
{
	if (system_call(CALL_FORK, 0) == 0) {
		touch(DATA_START, pages_written, 1);
		system_call(CALL_EXIT, 0);
	}
	system_call(CALL_WAIT, 0);
}

static void measure_system_calls(void)
{
	loop_system_call(1);
	hyperscope_operation_begin("syscall", SYSTEM_CALLS);
	loop_system_call(SYSTEM_CALLS);
	hyperscope_operation_end();
}

static void measure_processes(void)
{
	/* A process that is little but its stack; then one with all its data present, as programs are. */
	fork_and_wait(0);
	hyperscope_operation_begin("forkwait", FORKS);
	for (unsigned i = 0; i < FORKS; i++)
		fork_and_wait(0);
	hyperscope_operation_end();

	touch(DATA_START, DATA_PAGES, 1);
	fork_and_wait(8);
	hyperscope_operation_begin("fork", FORKS);
	for (unsigned i = 0; i < FORKS; i++)
		fork_and_wait(8);
	hyperscope_operation_end();

	hyperscope_operation_begin("mmap", MAPS);
	for (unsigned i = 0; i < MAPS; i++) {
		system_call(CALL_MAP, PAGES_MAPPED);
		touch(MAP_START, PAGES_MAPPED, 8);
		system_call(CALL_UNMAP, PAGES_MAPPED);
	}
	hyperscope_operation_end();

	for (unsigned round = 0; round < FAULT_ROUNDS; round++) {
		hyperscope_operation_begin("page fault", MAP_PAGES);
		touch(MAP_START, MAP_PAGES, 1);
		hyperscope_operation_end();
		system_call(CALL_UNMAP, MAP_PAGES);
	}
}

__attribute__((noreturn)) void user_main(enum user_program program)
{
	if (program == PROGRAM_SYSTEM_CALLS)
		measure_system_calls();
	else
		measure_processes();
	system_call(CALL_EXIT, 0);
	__builtin_unreachable();
}

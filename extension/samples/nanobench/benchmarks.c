#include "benchmarks.h"
#include "architecture.h"
#include "frames.h"
#include "operation.h"
#include "paging.h"

/* Each is run once before it is measured: translation, shadow pages and adaptation are not the operation. */
enum { REPETITIONS = 1000, WARM_UP = 200 };

void loop_in(uint32_t repetitions);
void loop_cr8wr(uint32_t repetitions);
void loop_callret(uint32_t repetitions);
void loop_pgfault(uint32_t repetitions);
void loop_divzero(uint32_t repetitions);
void loop_ptemod(uint32_t repetitions, uintptr_t *entry, uintptr_t value);

static const struct benchmark {
	const char *name;
	void (*loop)(uint32_t repetitions);
} benchmarks[] = {
	{ "in", loop_in },
	{ "cr8wr", loop_cr8wr },
	{ "call/ret", loop_callret },
	{ "pgfault", loop_pgfault },
	{ "divzero", loop_divzero },
};

/* The entry is in use as one of a page table, and the page that it maps is not touched while it changes. */
static void run_ptemod(void)
{
	uintptr_t *entry = page_entry(kernel_root, USER_BASE);
	uintptr_t value = frame_allocate() | PAGE_WRITABLE | PAGE_PRESENT;

	*entry = value;
	entry[1] = frame_allocate() | PAGE_WRITABLE | PAGE_PRESENT;
	*(volatile uint8_t *)(USER_BASE + PAGE_SIZE) = 1;
	loop_ptemod(WARM_UP, entry, value);
	hyperscope_operation_begin("ptemod", REPETITIONS);
	loop_ptemod(REPETITIONS, entry, value);
	hyperscope_operation_end();
	entry[0] = entry[1] = 0;
}

void run_kernel_benchmarks(void)
{
	for (unsigned i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++) {
		benchmarks[i].loop(WARM_UP);
		hyperscope_operation_begin(benchmarks[i].name, REPETITIONS);
		benchmarks[i].loop(REPETITIONS);
		hyperscope_operation_end();
	}
	run_ptemod();
}

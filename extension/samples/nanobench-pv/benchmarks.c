#include "../nanobench/benchmarks.h"
#include "../common/operation.h"
#include "domain.h"
#include "frames.h"
#include "hypercall.h"
#include "tables.h"

/* As in nanobench. */
enum { REPETITIONS = 1000, WARM_UP = 200 };

void loop_callret(uint32_t repetitions);
void loop_pgfault(uint32_t repetitions);
void loop_divzero(uint32_t repetitions);

/* No domain without rights to devices may use IN or the local APIC, so that "in" and "cr8wr" are left out. */
static const struct benchmark {
	const char *name;
	void (*loop)(uint32_t repetitions);
} benchmarks[] = {
	{ "call/ret", loop_callret },
	{ "pgfault", loop_pgfault },
	{ "divzero", loop_divzero },
};

/* One change a hypercall, as nanobench makes one a store. */
static void loop_ptemod(unsigned repetitions, uint64_t address, table_entry value)
{
	struct mmu_update update = { address | MMU_NORMAL_UPDATE, value };

	for (unsigned i = 0; i < repetitions; i++) {
		must(mmu_update(&update, 1) == 0);
		update.value ^= PTE_COPY_ON_WRITE;
	}
}

static void run_ptemod(void)
{
	struct address_space space;
	const table_entry *initial = (table_entry *)start_info->page_table;

	space_create(&space);
	space.lowest[0] = entry_to(frame_allocate(), PTE_KERNEL_DATA);
	space_pin(&space);
	load_root(space.root);
	const table_entry value = space.lowest[0];
	loop_ptemod(WARM_UP, machine_address(space.lowest), value);
	hyperscope_operation_begin("ptemod", REPETITIONS);
	loop_ptemod(REPETITIONS, machine_address(space.lowest), value);
	hyperscope_operation_end();
	space_leave(&space, initial);
	frame_release(entry_frame(value));
	space_free(&space);
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

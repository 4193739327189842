#include "architecture.h"
#include "benchmarks.h"
#include "descriptors.h"
#include "frames.h"
#include "paging.h"
#include "ports.h"
#include "print.h"
#include "process.h"
#include "serial.h"

/* All of the 8259A's inputs masked: only what is measured happens. */
static void mask_interrupts(void)
{
	port_write(0x21, 0xff);
	port_write(0xa1, 0xff);
}

__attribute__((noreturn)) void kernel_main(void)
{
	serial_initialize();
	print("Hyperscope nanobenchmarks, " BITS "-bit\n");
	mask_interrupts();
	paging_initialize();
	descriptors_initialize();

	run_kernel_benchmarks();
	print("in, cr8wr, call/ret, pgfault, divzero, ptemod: done\n");
	const unsigned frames_before = frames_in_use();
	process_run(PROGRAM_SYSTEM_CALLS);
	print("syscall: done\n");
	process_run(PROGRAM_PROCESSES);
	print("forkwait, fork, mmap, page fault: done; page frames all given back: %s\n",
	      frames_in_use() == frames_before ? "yes" : "no");
	print("SAMPLE DONE\n");
	machine_exit(EXIT_VALUE_SUCCESS);
}

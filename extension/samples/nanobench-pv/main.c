#include "../common/print.h"
#include "../common/serial.h"
#include "../nanobench/benchmarks.h"
#include "domain.h"
#include "frames.h"
#include "hypercall.h"
#include "process.h"

void kernel_main(struct start_info *info);

extern char user_start[], user_end[], trap_stack[];
void page_fault_entry(void);
void divide_error_entry(void);
void system_call_entry(void);
void protection_entry(void);

static void traps_initialize(void)
{
	static const struct trap_info table[] = {
		{ 0, 0, KERNEL_CS, (unsigned long)divide_error_entry },
		{ 13, 0, KERNEL_CS, (unsigned long)protection_entry },
		{ 14, 0, KERNEL_CS, (unsigned long)page_fault_entry },
		{ 0x80, TRAP_FOR_ALL, KERNEL_CS, (unsigned long)system_call_entry },
		{ 0, 0, 0, 0 },
	};

	must(hypercall(HYPERCALL_SET_TRAP_TABLE, (unsigned long)table, 0, 0, 0) == 0);
	must(hypercall(HYPERCALL_STACK_SWITCH, KERNEL_DS, (unsigned long)trap_stack, 0, 0) == 0);
}

void kernel_main(struct start_info *info)
{
	domain_initialize(info);
	serial_initialize();
	print("Hyperscope nanobenchmarks, paravirtual, 32-bit\n");
	traps_initialize();
	for (char *page = user_start; page < user_end; page += PAGE_BYTES)
		must(update_va_mapping((unsigned long)page, entry_to(page, PTE_USER_CODE), FLUSH_ONE) == 0);

	run_kernel_benchmarks();
	print("call/ret, pgfault, divzero, ptemod: done\n");
	const unsigned frames_before = frames_in_use();
	process_run(PROGRAM_SYSTEM_CALLS);
	print("syscall: done\n");
	process_run(PROGRAM_PROCESSES);
	print("forkwait, fork, mmap, page fault: done; page frames all given back: %s\n",
	      frames_in_use() == frames_before ? "yes" : "no");
	print("SAMPLE DONE\n");
	domain_shutdown(SHUTDOWN_POWEROFF);
}

#include "checks.h"
#include "descriptors.h"
#include "multiboot.h"
#include "paging.h"
#include "ports.h"
#include "print.h"
#include "process.h"
#include "serial.h"
#include "timer.h"

__attribute__((noreturn)) void kernel_main(uint32_t magic)
{
	serial_initialize();
	if (magic != MULTIBOOT_LOADER_MAGIC)
		give_up("not started by a multiboot loader");
	print("Hyperscope sample kernel, 64-bit\n");
	paging_initialize();
	descriptors_initialize();
	print("descriptor tables and 4-level paging: set up\n");

	check_arithmetic();
	check_exceptions();
	check_page_rights();
	check_self_modifying_code();

	timer_initialize();
	check_timer();
	process_run();
	print("SAMPLE DONE\n");
	machine_exit(EXIT_VALUE_SUCCESS);
}

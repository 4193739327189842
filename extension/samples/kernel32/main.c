#include "checks.h"
#include "descriptors.h"
#include "directory-tree.h"
#include "interrupts.h"
#include "memory.h"
#include "multiboot.h"
#include "paging.h"
#include "ports.h"
#include "print.h"
#include "process.h"
#include "sensitive.h"
#include "serial.h"
#include "timer.h"

/* The loader's command line, or an empty one. The kernel can read only what lies in the first 4 MiB. */
static const char *command_line(uint32_t information_address)
{
	if (information_address >= POOL_FRAMES_START)
		give_up("the multiboot information lies above 4 MiB");
	const struct multiboot_info *information = frame_contents(information_address);
	if (!(information->flags & MULTIBOOT_INFO_COMMAND_LINE))
		return "";
	if (information->command_line >= POOL_FRAMES_START)
		give_up("the command line lies above 4 MiB");
	return frame_contents(information->command_line);
}

__attribute__((noreturn)) void kernel_main(uint32_t magic, uint32_t information_address)
{
	serial_initialize();
	if (magic != MULTIBOOT_LOADER_MAGIC)
		give_up("not started by a multiboot loader");
	print("Hyperscope sample kernel, 32-bit\n");
	paging_initialize();
	descriptors_initialize();
	print("descriptor tables and paging: set up\n");

	check_processor();
	check_segments();
	check_strings();
	check_exceptions();
	check_self_modifying_code();
	check_page_tables();

	timer_initialize();
	interrupts_on();
	check_flags();
	check_timer();

	directory_tree_demonstrate();
	if (has_word(command_line(information_address), "sensitive"))
		sensitive_instructions();
	processes_run();
	print("SAMPLE DONE\n");
	machine_exit(EXIT_VALUE_SUCCESS);
}

/* A paravirtual kernel: everything that a processor would do for it, it asks the hypervisor for. */
#include "../print.h"
#include "../serial.h"
#include "block-front.h"
#include "checks.h"
#include "domain.h"
#include "events.h"
#include "hypercall.h"
#include "process.h"
#include "traps.h"

void kernel_main(struct start_info *info);

void kernel_main(struct start_info *info)
{
	domain_initialize(info);
	serial_initialize();
	print("Hyperscope sample kernel, paravirtual, %u-bit\n", (unsigned)(8 * sizeof(long)));
	const long version = hypercall(HYPERCALL_XEN_VERSION, VERSION_NUMBER, 0, 0, 0);
	print("hypervisor: interface of Xen %u, or later: %s\n", 4, version >= 0x40000 ? "yes" : "NO");
	traps_initialize();
	events_initialize();
	check_exceptions();
	check_page_tables();
	check_timer();
	check_balloon();
	check_events();
	check_grants();
	check_store();
	process_check();
	block_check();
	print("SAMPLE DONE\n");
	domain_shutdown(SHUTDOWN_POWEROFF);
}

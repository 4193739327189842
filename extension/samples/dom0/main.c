/* Domain 0: it owns the host's disk and serves it to the other domain. */
#include "../common/memory.h"
#include "../common/print.h"
#include "../common/serial.h"
#include "../common/xen/block.h"
#include "../common/xen/domain.h"
#include "../common/xen/events.h"
#include "../common/xen/paging.h"
#include "../common/xen/store.h"
#include "../common/xen/traps.h"
#include "block-back.h"
#include "ide.h"

void kernel_main(struct start_info *info);

static char sector[SECTOR_BYTES] __attribute__((aligned(PAGE_BYTES)));

/* The number after a word of the command line, "fault=3"; 0 when it is not there. */
static unsigned option(const char *name, unsigned length)
{
	for (const char *at = start_info->command_line; *at != '\0'; at++) {
		unsigned value = 0;
		if (memcmp(at, name, length) != 0)
			continue;
		for (const char *digit = at + length; *digit >= '0' && *digit <= '9'; digit++)
			value = 10 * value + *digit - '0';
		return value;
	}
	return 0;
}

void kernel_main(struct start_info *info)
{
	domain_initialize(info);
	serial_initialize();
	traps_initialize();
	events_initialize();
	if (!ide_initialize()) {
		print("dom0: no disk\n");
		domain_shutdown(SHUTDOWN_POWEROFF);
	}
	const struct dma_region region = { (uint32_t)machine_address(sector), SECTOR_BYTES, 0 };
	must(ide_transfer(0, 0, 1, &region, 1));
	print("dom0: disk of %u sectors\n", (unsigned)ide_sectors());
	if (!store_initialize()) {
		sector[31] = '\0';
		print("dom0: no xenstore, so nobody to serve; sector 0 begins \"%s\"\n", sector);
		domain_shutdown(SHUTDOWN_POWEROFF);
	}
	block_back_serve(option("fault=", 6));
}

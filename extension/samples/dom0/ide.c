/* References: Intel 82371SB (PIIX3) data sheet, 2.5 to 2.7; SFF-8038i 1.0 (bus master); ATA/ATAPI-7 volume 1 (commands);
   PCI Local Bus Specification 2.2, 3.2.2.3.2 (configuration mechanism 1). */
#include "ide.h"
#include "../common/memory.h"
#include "../common/xen/domain.h"
#include "../common/xen/events.h"
#include "../common/xen/hypercall.h"
#include "../common/xen/paging.h"
#include "ports.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_COMMAND 0x04
#define CONFIG_CLASS 0x08
#define CONFIG_BAR4 0x20
#define CLASS_IDE 0x0101
#define COMMAND_IO_AND_MASTER 0x05
/* Where the bus-master registers are put if nobody placed them. */
#define BUS_MASTER_PORTS 0xc000

#define PRIMARY_DATA 0x1f0
#define PRIMARY_COUNT 0x1f2
#define PRIMARY_LBA_LOW 0x1f3
#define PRIMARY_LBA_MID 0x1f4
#define PRIMARY_LBA_HIGH 0x1f5
#define PRIMARY_DEVICE 0x1f6
#define PRIMARY_STATUS 0x1f7
#define PRIMARY_CONTROL 0x3f6
#define PRIMARY_INTERRUPT 14

#define STATUS_ERROR 0x01
#define STATUS_DATA_REQUEST 0x08
#define STATUS_READY 0x40
#define STATUS_BUSY 0x80
#define STATUS_NO_DRIVE 0x7f

#define COMMAND_IDENTIFY 0xec
#define COMMAND_READ_DMA 0x25
#define COMMAND_WRITE_DMA 0x35
#define COMMAND_FLUSH 0xe7
#define DEVICE_LBA 0xe0

#define MASTER_COMMAND 0
#define MASTER_STATUS 2
#define MASTER_TABLE 4
#define MASTER_START 0x01
#define MASTER_TO_MEMORY 0x08
#define MASTER_ERROR_OR_INTERRUPT 0x06
#define MASTER_ERROR 0x02
#define MASTER_ACTIVE 0x01

static struct dma_region table[IDE_MOST_REGIONS] __attribute__((aligned(PAGE_BYTES)));
static uint16_t master;
static uint64_t disk_sectors;
static volatile unsigned interrupts;

static void select_configuration(unsigned device, unsigned function, unsigned offset)
{
	out32(CONFIG_ADDRESS, 0x80000000 | device << 11 | function << 8 | offset);
}

static uint32_t read_configuration(unsigned device, unsigned function, unsigned offset)
{
	select_configuration(device, function, offset);
	return in32(CONFIG_DATA);
}

static void write_configuration(unsigned device, unsigned function, unsigned offset, uint32_t value)
{
	select_configuration(device, function, offset);
	out32(CONFIG_DATA, value);
}

static int find_controller(void)
{
	for (unsigned device = 0; device < 32; device++) {
		for (unsigned function = 0; function < 8; function++) {
			if (read_configuration(device, function, CONFIG_CLASS) >> 16 != CLASS_IDE)
				continue;
			if ((read_configuration(device, function, CONFIG_BAR4) & 0xfff0) == 0)
				write_configuration(device, function, CONFIG_BAR4, BUS_MASTER_PORTS);
			master = read_configuration(device, function, CONFIG_BAR4) & 0xfff0;
			const uint32_t command = read_configuration(device, function, CONFIG_COMMAND);
			write_configuration(device, function, CONFIG_COMMAND, (command & 0xffff) | COMMAND_IO_AND_MASTER);
			return 1;
		}
	}
	return 0;
}

static void on_interrupt(event_port port)
{
	uint32_t line = PRIMARY_INTERRUPT;

	(void)port;
	interrupts++;
	hypercall(HYPERCALL_PHYSDEV_OP, PHYSDEV_EOI, (unsigned long)&line, 0, 0);
}

static uint8_t wait_until_ready(void)
{
	uint8_t status;

	do
		status = in8(PRIMARY_STATUS);
	while (status & STATUS_BUSY);
	return status;
}

static int identify(void)
{
	uint16_t words[256];

	out8(PRIMARY_DEVICE, DEVICE_LBA);
	if (in8(PRIMARY_STATUS) == STATUS_NO_DRIVE || in8(PRIMARY_STATUS) == 0)
		return 0;
	wait_until_ready();
	out8(PRIMARY_STATUS, COMMAND_IDENTIFY);
	if (!(wait_until_ready() & STATUS_DATA_REQUEST))
		return 0;
	for (unsigned i = 0; i < 256; i++)
		words[i] = in16(PRIMARY_DATA);
	/* Words 100 to 103: sectors that 48-bit addresses reach; words 60 and 61: those of 28 bits. */
	disk_sectors = (uint64_t)words[101] << 16 | words[100] | (uint64_t)words[102] << 32;
	if (disk_sectors == 0)
		disk_sectors = (uint32_t)words[61] << 16 | words[60];
	return 1;
}

int ide_initialize(void)
{
	uint32_t level = 1;
	struct physdev_setup_gsi setup = { PRIMARY_INTERRUPT, 0, 0 };
	struct physdev_map_pirq map = { DOMAIN_SELF, PIRQ_OF_GSI, PRIMARY_INTERRUPT, PRIMARY_INTERRUPT, 0, 0, 0, 0 };
	struct event_bind_pirq bind = { PRIMARY_INTERRUPT, 0, 0 };

	must(hypercall(HYPERCALL_PHYSDEV_OP, PHYSDEV_SET_IOPL, (unsigned long)&level, 0, 0) == 0);
	if (!find_controller())
		return 0;
	/* No interrupts while the drive is asked who it is. */
	out8(PRIMARY_CONTROL, 0x02);
	if (!identify())
		return 0;
	must(hypercall(HYPERCALL_PHYSDEV_OP, PHYSDEV_SETUP_GSI, (unsigned long)&setup, 0, 0) == 0);
	must(hypercall(HYPERCALL_PHYSDEV_OP, PHYSDEV_MAP_PIRQ, (unsigned long)&map, 0, 0) == 0);
	must(event_channel_op(EVENT_BIND_PIRQ, &bind) == 0);
	event_handle(bind.port, on_interrupt);
	out8(PRIMARY_CONTROL, 0x00);
	return 1;
}

uint64_t ide_sectors(void)
{
	return disk_sectors;
}

static void set_address(uint64_t sector, unsigned sectors)
{
	out8(PRIMARY_DEVICE, DEVICE_LBA);
	/* Each register holds two bytes: what was written before, and what is written last (48-bit addresses). */
	out8(PRIMARY_COUNT, sectors >> 8);
	out8(PRIMARY_LBA_LOW, sector >> 24);
	out8(PRIMARY_LBA_MID, sector >> 32);
	out8(PRIMARY_LBA_HIGH, sector >> 40);
	out8(PRIMARY_COUNT, sectors);
	out8(PRIMARY_LBA_LOW, sector);
	out8(PRIMARY_LBA_MID, sector >> 8);
	out8(PRIMARY_LBA_HIGH, sector >> 16);
}

/* Gives the command and waits for its interrupt. */
static void perform(uint8_t command, uint8_t start)
{
	const unsigned before = interrupts;

	out8(PRIMARY_STATUS, command);
	if (start != 0)
		out8(master + MASTER_COMMAND, start);
	while (interrupts == before)
		event_wait();
}

int ide_transfer(int write, uint64_t sector, unsigned sectors, const struct dma_region *regions, unsigned count)
{
	const uint8_t direction = write ? 0 : MASTER_TO_MEMORY;

	memcpy(table, regions, count * sizeof(*regions));
	table[count - 1].end = 0x8000;
	wait_until_ready();
	out32(master + MASTER_TABLE, (uint32_t)machine_address(table));
	out8(master + MASTER_STATUS, in8(master + MASTER_STATUS) | MASTER_ERROR_OR_INTERRUPT);
	out8(master + MASTER_COMMAND, direction);
	set_address(sector, sectors);
	perform(write ? COMMAND_WRITE_DMA : COMMAND_READ_DMA, direction | MASTER_START);
	const uint8_t result = in8(master + MASTER_STATUS);
	out8(master + MASTER_COMMAND, 0);
	return !(result & (MASTER_ERROR | MASTER_ACTIVE)) && !(wait_until_ready() & STATUS_ERROR);
}

int ide_flush(void)
{
	wait_until_ready();
	perform(COMMAND_FLUSH, 0);
	return !(wait_until_ready() & STATUS_ERROR);
}

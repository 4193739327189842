#include "disk.h"
#include "interrupts.h"
#include "pci.h"
#include "ports.h"
#include "print.h"
#include "wide-ports.h"

/* ATA/ATAPI-7 volume 2, clause 5: the command block. */
enum {
	DATA = 0x1f0,
	COUNT = 0x1f2,
	ADDRESS = 0x1f3,
	DEVICE = 0x1f6,
	STATUS_COMMAND = 0x1f7,
	CONTROL = 0x3f6,
	NO_INTERRUPT = 0x02,
	DEVICE_LBA = 0xe0,
	STATUS_ERROR = 0x01,
	STATUS_DATA_REQUEST = 0x08,
	STATUS_READY = 0x40,
	STATUS_BUSY = 0x80,
	READ_SECTORS = 0x20,
	READ_DMA = 0xc8,
};

/* 82371SB (PIIX3) data sheet, section 2.7: the bus master of the primary channel. */
enum {
	MASTER = 0xc000,
	MASTER_COMMAND = MASTER,
	MASTER_STATUS = MASTER + 2,
	MASTER_TABLE = MASTER + 4,
	MASTER_START = 0x01,
	MASTER_TO_MEMORY = 0x08,
	MASTER_ERROR = 0x02,
	MASTER_INTERRUPT = 0x04,
};

struct region {
	uint32_t address;
	uint16_t bytes;
	uint16_t last;
};

static struct region regions[2] __attribute__((aligned(16)));

int disk_initialize(void)
{
	/* Class 01, subclass 01: an IDE controller. */
	pci_function function = pci_find(PCI_CLASS, 0xffff0000, 0x01010000);

	if (function == PCI_NONE || (port_read(STATUS_COMMAND) & (STATUS_BUSY | STATUS_READY)) != STATUS_READY)
		return 0;
	pci_write(function, PCI_BASE_ADDRESS(4), MASTER);
	pci_enable(function, PCI_IO_SPACE | PCI_BUS_MASTER);
	print("IDE disk: PCI 00:%x.%u, bus master at port 0x%x\n", function >> 3, function & 7, MASTER);
	return 1;
}

static void command(uint8_t code, uint32_t first, unsigned count)
{
	port_write(COUNT, (uint8_t)count);
	for (unsigned i = 0; i < 3; i++)
		port_write(ADDRESS + i, (uint8_t)(first >> (8 * i)));
	port_write(DEVICE, DEVICE_LBA | (first >> 24));
	port_write(STATUS_COMMAND, code);
}

int disk_read_pio(void *buffer, uint32_t first, unsigned count)
{
	uint16_t *next = buffer;

	port_write(CONTROL, NO_INTERRUPT);
	command(READ_SECTORS, first, count);
	for (; count > 0; count--) {
		uint8_t status;
		do
			status = port_read(STATUS_COMMAND);
		while (status & STATUS_BUSY);
		if (status & STATUS_ERROR || !(status & STATUS_DATA_REQUEST))
			return 0;
		for (unsigned i = 0; i < SECTOR_BYTES / 2; i++)
			*next++ = port_read16(DATA);
	}
	return 1;
}

int disk_read_dma(void *buffer, uint32_t first, unsigned count)
{
	uint32_t address = (uint32_t)buffer;
	uint16_t half = (uint16_t)(count * SECTOR_BYTES / 2);

	/* Two regions, so that the table is more than one entry. */
	regions[0] = (struct region){ address, half, 0 };
	regions[1] = (struct region){ address + half, half, 0x8000 };
	port_write(CONTROL, 0);
	port_write32(MASTER_TABLE, (uint32_t)regions);
	port_write(MASTER_STATUS, MASTER_ERROR | MASTER_INTERRUPT);
	port_write(MASTER_COMMAND, MASTER_TO_MEMORY);
	command(READ_DMA, first, count);
	port_write(MASTER_COMMAND, MASTER_TO_MEMORY | MASTER_START);
	interrupt_wait(DISK_INTERRUPT);
	uint8_t status = port_read(MASTER_STATUS);
	port_write(MASTER_COMMAND, 0);
	return !(status & MASTER_ERROR) && !(port_read(STATUS_COMMAND) & STATUS_ERROR);
}

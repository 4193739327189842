#include "pci.h"
#include "wide-ports.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, FUNCTIONS = 256 };

/* PCI Local Bus Specification 3.0, section 6.8.1: enable and 64-bit bits, in the upper half of the capability's first dword. */
enum { CAPABILITY_MSI = 5, MSI_ENABLE = 1 << 16, MSI_64_BIT = 1 << 23, STATUS_CAPABILITIES = 1 << 20 };

/* 82371SB (PIIX3) data sheet, "PIRQRC[A:D]". */
enum { ISA_BRIDGE = 1 << 3, PIRQ_ROUTES = 0x60 };

static void select(pci_function function, unsigned offset)
{
	port_write32(CONFIG_ADDRESS, 0x80000000u | function << 8 | offset);
}

uint32_t pci_read(pci_function function, unsigned offset)
{
	select(function, offset);
	return port_read32(CONFIG_DATA);
}

void pci_write(pci_function function, unsigned offset, uint32_t value)
{
	select(function, offset);
	port_write32(CONFIG_DATA, value);
}

pci_function pci_find(unsigned offset, uint32_t mask, uint32_t value)
{
	for (pci_function function = 0; function < FUNCTIONS; function++) {
		if ((pci_read(function, 0) & 0xffff) != 0xffff && (pci_read(function, offset) & mask) == value)
			return function;
	}
	return PCI_NONE;
}

void pci_enable(pci_function function, uint32_t bits)
{
	/* Ones in the upper half would clear status bits. */
	pci_write(function, PCI_COMMAND, (pci_read(function, PCI_COMMAND) & 0xffff) | bits);
}

int pci_send_messages(pci_function function, uint32_t address, uint32_t data)
{
	if (!(pci_read(function, PCI_COMMAND) & STATUS_CAPABILITIES))
		return 0;
	for (unsigned at = pci_read(function, PCI_CAPABILITIES) & 0xfc; at != 0; at = pci_read(function, at) >> 8 & 0xfc) {
		uint32_t first = pci_read(function, at);
		if ((first & 0xff) != CAPABILITY_MSI)
			continue;
		pci_write(function, at + 4, address);
		if (first & MSI_64_BIT)
			pci_write(function, at + 8, 0);
		pci_write(function, first & MSI_64_BIT ? at + 12 : at + 8, data);
		pci_write(function, at, first | MSI_ENABLE);
		return 1;
	}
	return 0;
}

void pci_route_interrupts(unsigned number)
{
	pci_write(ISA_BRIDGE, PIRQ_ROUTES, number * 0x01010101u);
}

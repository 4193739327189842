#include "pci.h"
#include "wide-ports.h"

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc, FUNCTIONS = 256 };

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

void pci_route_interrupts(unsigned number)
{
	pci_write(ISA_BRIDGE, PIRQ_ROUTES, number * 0x01010101u);
}

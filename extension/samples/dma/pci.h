/* Configuration mechanism #1 of PCI, bus 0 only (PCI Local Bus Specification 3.0, section 3.2.2.3.2). */
#ifndef PCI_H
#define PCI_H

#include <stdint.h>

#define PCI_COMMAND 0x04
#define PCI_CLASS 0x08
#define PCI_BASE_ADDRESS(number) (0x10 + 4 * (number))
#define PCI_CAPABILITIES 0x34

enum { PCI_IO_SPACE = 1, PCI_MEMORY_SPACE = 2, PCI_BUS_MASTER = 4 };

/* A function by device << 3 | function. */
typedef unsigned pci_function;
#define PCI_NONE 0x100u

uint32_t pci_read(pci_function function, unsigned offset);
void pci_write(pci_function function, unsigned offset, uint32_t value);

/* The first function whose dword at `offset` has `value` under `mask`; PCI_NONE when there is none. */
pci_function pci_find(unsigned offset, uint32_t mask, uint32_t value);

/* Sets bits of the command register. */
void pci_enable(pci_function function, uint32_t bits);

/* Lets the function send messages in place of its interrupt line (PCI Local Bus Specification 3.0, section 6.8.1); 0 when it has
   no such capability. */
int pci_send_messages(pci_function function, uint32_t address, uint32_t data);

/* Sends the four PCI interrupt lines to one ISA interrupt, as the PIIX3 does it. */
void pci_route_interrupts(unsigned number);

#endif

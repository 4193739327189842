#include "engine.h"
#include "interrupts.h"
#include "pci.h"
#include "print.h"

enum { VENDOR_AND_DEVICE = 0x444d4853, IDENTITY = 0x48530001 };
/* Where nothing else of a PC lies: between memory and the I/O APIC. */
#define REGISTERS 0xf0000000u

enum engine_register {
	REGISTER_IDENTITY = 0x00,
	REGISTER_CONTROL = 0x04,
	REGISTER_STATUS = 0x08,
	REGISTER_ERROR = 0x0c,
	REGISTER_SOURCE = 0x10,
	REGISTER_DESTINATION = 0x18,
	REGISTER_LENGTH = 0x20,
	REGISTER_PATTERN = 0x24,
	REGISTER_MOVED = 0x28,
};
enum { CONTROL_START = 1, CONTROL_INTERRUPT = 2, CONTROL_FILL = 4, STATUS_DONE = 2, STATUS_ERROR = 4 };

static pci_function engine;
static unsigned number = PCI_INTERRUPT;

static volatile uint32_t *at(enum engine_register offset)
{
	return (volatile uint32_t *)(REGISTERS + offset);
}

int engine_initialize(void)
{
	engine = pci_find(0, 0xffffffff, VENDOR_AND_DEVICE);
	if (engine == PCI_NONE)
		return 0;
	pci_write(engine, PCI_BASE_ADDRESS(0), REGISTERS);
	pci_enable(engine, PCI_MEMORY_SPACE | PCI_BUS_MASTER);
	print("DMA engine: PCI 00:%x.%u, registers at %p, identity %x\n", engine >> 3, engine & 7, at(0),
	      (unsigned)*at(REGISTER_IDENTITY));
	return *at(REGISTER_IDENTITY) == IDENTITY;
}

int engine_use_messages(void)
{
	if (!pci_send_messages(engine, MESSAGE_ADDRESS, MESSAGE_DATA))
		return 0;
	number = MESSAGE_INTERRUPT;
	return 1;
}

unsigned engine_interrupt(void)
{
	return number;
}

void engine_acknowledge(void)
{
	*at(REGISTER_CONTROL) = 0;
}

static struct engine_result run(uint32_t destination, uint32_t bytes, uint32_t control)
{
	struct engine_result result;

	*at(REGISTER_DESTINATION) = destination;
	*at(REGISTER_LENGTH) = bytes;
	*at(REGISTER_STATUS) = STATUS_DONE | STATUS_ERROR;
	*at(REGISTER_CONTROL) = control | CONTROL_START | CONTROL_INTERRUPT;
	interrupt_wait(number);
	result.error = *at(REGISTER_ERROR);
	result.moved = *at(REGISTER_MOVED);
	return result;
}

struct engine_result engine_copy(uint32_t destination, uint32_t source, uint32_t bytes)
{
	*at(REGISTER_SOURCE) = source;
	return run(destination, bytes, 0);
}

struct engine_result engine_fill(uint32_t destination, uint32_t pattern, uint32_t bytes)
{
	*at(REGISTER_PATTERN) = pattern;
	return run(destination, bytes, CONTROL_FILL);
}

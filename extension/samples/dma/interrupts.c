#include "interrupts.h"
#include "ports.h"

/* 8259A data sheet, "Initialization Command Words"; 82371SB (PIIX3) data sheet, "ELCR2". */
enum {
	MASTER_COMMAND = 0x20,
	MASTER_DATA = 0x21,
	SLAVE_COMMAND = 0xa0,
	SLAVE_DATA = 0xa1,
	LEVEL_TRIGGERED_8_TO_15 = 0x4d1,
	ICW1_EDGE_CASCADE_ICW4 = 0x11,
	ICW3_MASTER_SLAVE_ON_IRQ2 = 0x04,
	ICW3_SLAVE_IDENTITY_2 = 0x02,
	ICW4_8086_MODE = 0x01,
	END_OF_INTERRUPT = 0x20,
	FIRST_VECTOR = 0x20,
	NUMBERS = 17,
	GATE_BYTES_PER_ENTRY = 8,
};

/* SDM Vol. 3A, section 11.4.1, table 11-1: registers of the local APIC; bit 8 of the spurious-interrupt vector register enables it. */
#define LOCAL_APIC(offset) ((volatile uint32_t *)(0xfee00000u + (offset)))
enum { APIC_END_OF_INTERRUPT = 0xb0, APIC_SPURIOUS_VECTOR = 0xf0, APIC_ENABLE = 0x100 };

/* SDM Vol. 3A, section 6.11: a present 32-bit interrupt gate. */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t attributes;
	uint16_t offset_high;
};

static struct gate gates[FIRST_VECTOR + NUMBERS];
static volatile unsigned counts[NUMBERS];
static void (*pci_acknowledge)(void);

extern const char interrupt_entries[];
void interrupt_taken(unsigned number);

void interrupts_initialize(void (*acknowledge)(void))
{
	struct {
		uint16_t limit;
		struct gate *base;
	} __attribute__((packed)) table = { sizeof gates - 1, gates };

	pci_acknowledge = acknowledge;
	for (unsigned number = 0; number < NUMBERS; number++) {
		uintptr_t entry = (uintptr_t)interrupt_entries + GATE_BYTES_PER_ENTRY * number;
		gates[FIRST_VECTOR + number] = (struct gate){ (uint16_t)entry, 0x08, 0x8e00, (uint16_t)(entry >> 16) };
	}
	__asm__ volatile("lidt %0" : : "m"(table));
	port_write(MASTER_COMMAND, ICW1_EDGE_CASCADE_ICW4);
	port_write(SLAVE_COMMAND, ICW1_EDGE_CASCADE_ICW4);
	port_write(MASTER_DATA, FIRST_VECTOR);
	port_write(SLAVE_DATA, FIRST_VECTOR + 8);
	port_write(MASTER_DATA, ICW3_MASTER_SLAVE_ON_IRQ2);
	port_write(SLAVE_DATA, ICW3_SLAVE_IDENTITY_2);
	port_write(MASTER_DATA, ICW4_8086_MODE);
	port_write(SLAVE_DATA, ICW4_8086_MODE);
	port_write(LEVEL_TRIGGERED_8_TO_15, 1 << (PCI_INTERRUPT - 8));
	port_write(MASTER_DATA, (uint8_t)~(1 << 2));
	port_write(SLAVE_DATA, (uint8_t)~(1 << (PCI_INTERRUPT - 8) | 1 << (DISK_INTERRUPT - 8)));
	*LOCAL_APIC(APIC_SPURIOUS_VECTOR) |= APIC_ENABLE;
}

void interrupt_taken(unsigned number)
{
	counts[number]++;
	if (number == PCI_INTERRUPT || number == MESSAGE_INTERRUPT)
		pci_acknowledge();
	if (number == MESSAGE_INTERRUPT) {
		*LOCAL_APIC(APIC_END_OF_INTERRUPT) = 0;
		return;
	}
	if (number >= 8)
		port_write(SLAVE_COMMAND, END_OF_INTERRUPT);
	port_write(MASTER_COMMAND, END_OF_INTERRUPT);
}

void interrupt_wait(unsigned number)
{
	unsigned before = counts[number];

	/* STI takes effect after the next instruction, so that no interrupt comes between it and HLT. */
	while (counts[number] == before)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

unsigned interrupt_count(unsigned number)
{
	return counts[number];
}

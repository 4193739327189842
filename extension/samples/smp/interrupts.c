#include "interrupts.h"
#include "apic.h"

enum { NMI_VECTOR = 2 };

/* SDM Vol. 3A, section 6.11: a present 32-bit interrupt gate. */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t attributes;
	uint16_t offset_high;
};

static struct gate gates[256];
volatile unsigned ipis[MOST_PROCESSORS];
volatile unsigned nmis[MOST_PROCESSORS];

extern const char ipi_entry[];
extern const char nmi_entry[];
void ipi_taken(void);
void nmi_taken(void);

static void set_gate(unsigned vector, const char *entry)
{
	uintptr_t at = (uintptr_t)entry;

	gates[vector] = (struct gate){ (uint16_t)at, CODE_SELECTOR, 0x8e00, (uint16_t)(at >> 16) };
}

void interrupts_initialize(void)
{
	set_gate(IPI_VECTOR, ipi_entry);
	set_gate(NMI_VECTOR, nmi_entry);
}

void interrupts_load(void)
{
	struct {
		uint16_t limit;
		struct gate *base;
	} __attribute__((packed)) table = { sizeof gates - 1, gates };

	__asm__ volatile("lidt %0" : : "m"(table));
}

void ipi_taken(void)
{
	ipis[apic_id()]++;
	apic_end_interrupt();
}

void nmi_taken(void)
{
	nmis[apic_id()]++;
}

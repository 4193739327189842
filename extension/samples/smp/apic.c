#include "apic.h"
#include "ports.h"

#define REGISTER(offset) (*(volatile uint32_t *)(0xfee00000u + (offset)))
/* Table 11-1. */
enum { ID = 0x20, END_OF_INTERRUPT = 0xb0, SPURIOUS = 0xf0, COMMAND_LOW = 0x300, COMMAND_HIGH = 0x310 };
enum { ENABLE = 0x100, PENDING = 0x1000 };
/* 8254 data sheet: channel 2 counts 1,193,182 times a second; port 0x61 has its gate (bit 0) and its output (bit 5). */
enum { COUNTER_2 = 0x42, COUNTER_CONTROL = 0x43, CONTROL_B = 0x61, ONE_SHOT = 0xb0, GATE = 1, SPEAKER = 2, OUTPUT = 0x20 };
/* Between two looks at the port, which is slow. */
enum { POLL_PAUSES = 100 };

void apic_enable(void)
{
	REGISTER(SPURIOUS) = ENABLE | SPURIOUS_VECTOR;
}

unsigned apic_id(void)
{
	return REGISTER(ID) >> 24;
}

void apic_end_interrupt(void)
{
	REGISTER(END_OF_INTERRUPT) = 0;
}

void apic_send(unsigned id, uint32_t message)
{
	REGISTER(COMMAND_HIGH) = id << 24;
	REGISTER(COMMAND_LOW) = message;
	while (REGISTER(COMMAND_LOW) & PENDING)
		__asm__ volatile("pause");
}

void apic_wait(unsigned microseconds)
{
	unsigned ticks = microseconds * 1193 / 1000 + 1;

	port_write(CONTROL_B, (uint8_t)((port_read(CONTROL_B) & ~SPEAKER) | GATE));
	port_write(COUNTER_CONTROL, ONE_SHOT);
	port_write(COUNTER_2, (uint8_t)ticks);
	port_write(COUNTER_2, (uint8_t)(ticks >> 8));
	while (!(port_read(CONTROL_B) & OUTPUT))
		for (unsigned i = 0; i < POLL_PAUSES; i++)
			__asm__ volatile("pause");
}

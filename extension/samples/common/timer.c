#include "timer.h"
#include "ports.h"

/* 8259A data sheet, "Initialization Command Words" and "Operation Command Words". */
enum {
	MASTER_COMMAND = 0x20,
	MASTER_DATA = 0x21,
	SLAVE_COMMAND = 0xa0,
	SLAVE_DATA = 0xa1,
	ICW1_EDGE_CASCADE_ICW4 = 0x11,
	ICW3_MASTER_SLAVE_ON_IRQ2 = 0x04,
	ICW3_SLAVE_IDENTITY_2 = 0x02,
	ICW4_8086_MODE = 0x01,
	OCW2_NONSPECIFIC_END_OF_INTERRUPT = 0x20,
	MASK_ALL_BUT_IRQ0 = 0xfe,
	MASK_ALL = 0xff,
};

/* 8254 data sheet, "Control Word Format": channel 0, low byte then high byte, mode 2 (rate generator), binary. */
enum { CHANNEL_0 = 0x40, CONTROL_WORD = 0x43, CHANNEL_0_RATE_GENERATOR = 0x34, INPUT_HERTZ = 1193182 };

void timer_initialize(void)
{
	const unsigned divisor = (INPUT_HERTZ + TIMER_HERTZ / 2) / TIMER_HERTZ;

	port_write(MASTER_COMMAND, ICW1_EDGE_CASCADE_ICW4);
	port_write(SLAVE_COMMAND, ICW1_EDGE_CASCADE_ICW4);
	port_write(MASTER_DATA, PIC_FIRST_VECTOR);
	port_write(SLAVE_DATA, PIC_FIRST_VECTOR + 8);
	port_write(MASTER_DATA, ICW3_MASTER_SLAVE_ON_IRQ2);
	port_write(SLAVE_DATA, ICW3_SLAVE_IDENTITY_2);
	port_write(MASTER_DATA, ICW4_8086_MODE);
	port_write(SLAVE_DATA, ICW4_8086_MODE);
	port_write(MASTER_DATA, MASK_ALL_BUT_IRQ0);
	port_write(SLAVE_DATA, MASK_ALL);

	port_write(CONTROL_WORD, CHANNEL_0_RATE_GENERATOR);
	port_write(CHANNEL_0, divisor & 0xff);
	port_write(CHANNEL_0, divisor >> 8);
}

void timer_acknowledge(void)
{
	port_write(MASTER_COMMAND, OCW2_NONSPECIFIC_END_OF_INTERRUPT);
}

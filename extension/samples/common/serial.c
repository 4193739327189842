#include "serial.h"
#include "ports.h"

/* Register offsets and bits: PC16550D data sheet, section 8. */
enum {
	COM1 = 0x3f8,
	TRANSMIT_HOLDING = COM1 + 0,
	DIVISOR_LOW = COM1 + 0,
	DIVISOR_HIGH = COM1 + 1,
	INTERRUPT_ENABLE = COM1 + 1,
	FIFO_CONTROL = COM1 + 2,
	LINE_CONTROL = COM1 + 3,
	MODEM_CONTROL = COM1 + 4,
	LINE_STATUS = COM1 + 5,
};

enum {
	LINE_8N1 = 0x03,
	LINE_DIVISOR_ACCESS = 0x80,
	FIFO_ENABLE_AND_CLEAR = 0x07,
	MODEM_DTR_RTS = 0x03,
	STATUS_TRANSMIT_EMPTY = 0x20,
};

void serial_initialize(void)
{
	port_write(INTERRUPT_ENABLE, 0);
	port_write(LINE_CONTROL, LINE_DIVISOR_ACCESS);
	port_write(DIVISOR_LOW, 1);
	port_write(DIVISOR_HIGH, 0);
	port_write(LINE_CONTROL, LINE_8N1);
	port_write(FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
	port_write(MODEM_CONTROL, MODEM_DTR_RTS);
}

void serial_write(char byte)
{
	while ((port_read(LINE_STATUS) & STATUS_TRANSMIT_EMPTY) == 0)
		;
	port_write(TRANSMIT_HOLDING, (uint8_t)byte);
}

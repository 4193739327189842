/* The first serial port (16550 UART at 0x3f8), by polling. */
#ifndef SERIAL_H
#define SERIAL_H

/* 115200 bit/s, 8 data bits, no parity, one stop bit, FIFOs on, no interrupts. */
void serial_initialize(void);

/* Waits until the transmitter has room, then sends one byte. */
void serial_write(char byte);

#endif

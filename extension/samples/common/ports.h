/* Port input and output, and the two ports by which a sample speaks to the machine around it. */
#ifndef PORTS_H
#define PORTS_H

#include <stdint.h>

static inline void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_read(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#define DEBUG_EXIT_PORT 0xf4

enum exit_value { EXIT_VALUE_SUCCESS = 0, EXIT_VALUE_FAILURE = 1 };

/* Ends the machine. The emulator's exit status is (value << 1) | 1. On a machine without the port, halts for good. */
static inline __attribute__((noreturn)) void machine_exit(enum exit_value value)
{
	port_write(DEBUG_EXIT_PORT, (uint8_t)value);
	for (;;)
		__asm__ volatile("cli; hlt");
}

#endif

/* The local APIC of the processor that asks (SDM Vol. 3A, chapter 11). */
#ifndef APIC_H
#define APIC_H

#include <stdint.h>

/* Vectors, and the delivery modes of the interrupt command register with its level "assert" (figure 11-12). */
enum { IPI_VECTOR = 0x40, SPURIOUS_VECTOR = 0xff };
enum apic_message {
	APIC_FIXED = 0x4000 | IPI_VECTOR,
	APIC_NMI = 0x4400,
	APIC_INIT = 0x4500,
	APIC_START_UP = 0x4600,
	/* Destination shorthand: all but the sender. */
	APIC_OTHERS = 0xc0000,
};

void apic_enable(void);
unsigned apic_id(void);
void apic_end_interrupt(void);
/* Sends to the APIC with this ID, unless `message` has a shorthand; waits until it is sent. */
void apic_send(unsigned id, uint32_t message);
/* At least so many microseconds, by the 8254; at most 50000. */
void apic_wait(unsigned microseconds);

#endif

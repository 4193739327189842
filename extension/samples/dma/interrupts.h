/* The 8259A pair, a message to the local APIC, a table of gates, and waiting for an interrupt. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#define PCI_INTERRUPT 11
#define DISK_INTERRUPT 14
/* Behind the numbers of the pair: comes to the local APIC as a message. */
#define MESSAGE_INTERRUPT 16

/* What a device has to write, and where, to raise MESSAGE_INTERRUPT (SDM Vol. 3A, section 11.11): fixed, edge, local APIC 0. */
#define MESSAGE_ADDRESS 0xfee00000u
#define MESSAGE_DATA (0x20 + MESSAGE_INTERRUPT)

/* Lets PCI_INTERRUPT (level triggered), DISK_INTERRUPT and MESSAGE_INTERRUPT through. `acknowledge` is called in the handlers of
   the first and the last and has to quieten the device. */
void interrupts_initialize(void (*acknowledge)(void));

/* Halts until the next interrupt of this number has come; interrupts are off otherwise. */
void interrupt_wait(unsigned number);

/* How many have come. */
unsigned interrupt_count(unsigned number);

#endif

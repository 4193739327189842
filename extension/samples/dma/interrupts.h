/* The 8259A pair, a table of gates, and waiting for an interrupt. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#define PCI_INTERRUPT 11
#define DISK_INTERRUPT 14

/* Lets PCI_INTERRUPT (level triggered) and DISK_INTERRUPT through. `acknowledge` is called in the handler of PCI_INTERRUPT and
   has to quieten the device. */
void interrupts_initialize(void (*acknowledge)(void));

/* Halts until the next interrupt of this number has come; interrupts are off otherwise. */
void interrupt_wait(unsigned number);

/* How many have come. */
unsigned interrupt_count(unsigned number);

#endif

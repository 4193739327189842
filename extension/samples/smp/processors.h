/* Finding the processors, and starting them. */
#ifndef PROCESSORS_H
#define PROCESSORS_H

/* The local APIC IDs in the tables of the MultiProcessor Specification; the first processor's comes first. At most MOST_PROCESSORS. */
unsigned processors_find(unsigned char *ids);

/* Starts the processor with this APIC ID as number `number` and waits until it has told that it runs; 0 when it does not. */
int processor_begin(unsigned number, unsigned id);

/* Called by each started processor; processor_begin() returns then. */
void processor_began(void);

#endif

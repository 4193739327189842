/* System time: nanoseconds since the hypervisor started. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

uint64_t clock_now(void);
/* Counts ticks by an event of VIRQ_TIMER, which sets the timer anew. */
void clock_start(unsigned microseconds);
void clock_stop(void);
unsigned clock_ticks(void);

#endif

/* The table of gates, which all processors share, and how often each has been interrupted. */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include "layout.h"

extern volatile unsigned ipis[MOST_PROCESSORS];
extern volatile unsigned nmis[MOST_PROCESSORS];

/* Makes the table; once. */
void interrupts_initialize(void);
/* The processor that asks uses the table. */
void interrupts_load(void);

#endif

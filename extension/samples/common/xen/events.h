/* Event channels: the interrupts of a paravirtual kernel. */
#ifndef EVENTS_H
#define EVENTS_H

#include "xen.h"

/* Sets the callback; events stay masked until events_enable. */
void events_initialize(void);
void events_enable(void);
void events_disable(void);
/* The handler of a port that is open; unmasks it. */
void event_handle(event_port port, void (*handler)(event_port));
void event_send(event_port port);
event_port event_bind_virq(unsigned virq);
/* Waits until some event was handled. Events must be disabled; they are disabled again when it returns. */
void event_wait(void);
/* Called by the entry code with events masked. */
void event_upcall(void);

#endif

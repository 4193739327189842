/* The two 8259A interrupt controllers and channel 0 of the 8254 timer. */
#ifndef TIMER_H
#define TIMER_H

#define PIC_FIRST_VECTOR 0x20
#define PIC_VECTORS 16
#define TIMER_VECTOR PIC_FIRST_VECTOR
#define TIMER_HERTZ 100

#ifndef __ASSEMBLER__
/* Moves IRQ 0 to 15 to vectors 0x20 to 0x2f, lets only IRQ 0 through, and starts the timer at TIMER_HERTZ. */
void timer_initialize(void);

/* Ends the timer interrupt in service. */
void timer_acknowledge(void);
#endif

#endif

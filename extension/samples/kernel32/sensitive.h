#ifndef SENSITIVE_H
#define SENSITIVE_H

/* Runs the instructions that read or change privileged state without a trap outside ring 0, and prints what they gave:
   the one part of the sample whose output depends on how the machine is virtualized. */
void sensitive_instructions(void);

#endif

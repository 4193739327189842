/* GDT, TSS, IDT and the way of the fast system call. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

void descriptors_initialize(void);

#endif

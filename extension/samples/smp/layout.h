/* Numbers that C and assembly share. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10
#define MOST_PROCESSORS 8
#define STACK_BYTES 4096
/* A page below 1 MiB that nothing else uses. */
#define TRAMPOLINE 0x8000

#endif

/* Where a process sees its memory: all in the reach of one table of the lowest level. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define USER_BASE 0x400000
#define USER_HEAP 0x480000
#define USER_HEAP_END 0x490000
#define USER_STACK_LOW 0x5f0000
#define USER_STACK_END 0x600000

#define CALL_EXIT 0
#define CALL_WRITE 1
#define CALL_TICKS 2
#define CALL_ADD 3

#endif

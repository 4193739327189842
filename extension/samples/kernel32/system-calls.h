#ifndef SYSTEM_CALLS_H
#define SYSTEM_CALLS_H

#include <stdint.h>

/* Does the system call with this number (SYSTEM_CALL_... in layout.h); the result, or -1 if it was refused. */
uint32_t system_call(uint32_t number, uint32_t first, uint32_t second);

#endif

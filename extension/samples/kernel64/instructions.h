/* Small routines whose very instructions matter; see instructions.S. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include <stdint.h>

#define FAULT_RECOVERED 0xffffffffffffffffu

/* high:low / divisor, or FAULT_RECOVERED after a divide error. */
uint64_t divide(uint64_t high, uint64_t low, uint64_t divisor);

/* Reads a word: FAULT_RECOVERED after a page fault or, for a non-canonical address, a general protection exception. */
uint64_t read_word(uint64_t address);

/* Writes a word: 0, or FAULT_RECOVERED after a page fault. */
uint64_t write_word(uint64_t address, uint64_t value);

/* Calls the function at address: what it returns, or FAULT_RECOVERED if its page may not be executed. */
uint64_t call_at(uint64_t address);

extern const char divide_instruction[], divide_recovery[];
extern const char read_instruction[], read_recovery[];
extern const char write_instruction[], write_recovery[];
extern const char call_recovery[];

/* Returns the constant in its MOV instruction, whose 64-bit immediate is at patchable_immediate. */
uint64_t patchable(void);
extern uint64_t patchable_immediate;

#endif

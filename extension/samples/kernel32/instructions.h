/* Small routines whose very instructions matter; see instructions.S. */
#ifndef INSTRUCTIONS_H
#define INSTRUCTIONS_H

#include <stdint.h>

#define FAULT_RECOVERED 0xffffffffu

/* dividend / divisor, or FAULT_RECOVERED after a divide error. */
uint32_t divide(uint32_t dividend, uint32_t divisor);

/* Loads FS with the selector of the TSS, which is no data segment: FAULT_RECOVERED after the general protection exception. */
uint32_t load_system_segment(void);

/* Writes a word: 0, or FAULT_RECOVERED after a page fault. */
uint32_t write_word(uint32_t *address, uint32_t value);

extern const char divide_instruction[], divide_recovery[];
extern const char system_segment_instruction[], system_segment_recovery[];
extern const char write_protected_instruction[], write_protected_recovery[];

/* Returns the constant in its MOV instruction, whose 32-bit immediate is at patchable_immediate. */
uint32_t patchable(void);
extern uint32_t patchable_immediate;

/* Stores value into an instruction ahead of the store, jumps (SDM volume 3, section 8.1.3), runs it, returns its result. */
uint32_t patch_ahead(uint32_t value);

/* Copies words with PUSH and POP of memory operands, ENTER and LEAVE; returns the sum of the words. */
uint32_t copy_by_stack(uint32_t *to, const uint32_t *from, uint32_t words);

/* EFLAGS after arithmetic flags were saved by PUSHF, spoilt, and restored by POPF: the five bits CF, PF, ZF, SF, OF. */
uint32_t flags_through_stack(uint32_t left, uint32_t right);

enum processor_feature {
	FEATURE_PAGE_SIZE_EXTENSIONS = 1 << 3,
	FEATURE_SYSENTER = 1 << 11,
};

/* EDX of CPUID leaf 1. */
static inline uint32_t processor_features(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return edx;
}

#endif

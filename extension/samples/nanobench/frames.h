/* Page frames with a count of the page-table entries that share each. Frames are used at their physical addresses. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>

#define FRAMES_START 0x200000
#define FRAMES_END 0x800000

/* Copies a frame, four bytes an iteration. */
static inline void frame_copy(uintptr_t to, uintptr_t from)
{
	uintptr_t count = 4096 / 4;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

/* A frame filled with zeros, used once. */
uintptr_t frame_allocate(void);
void frame_share(uintptr_t frame);
/* One use less; the last one frees it. */
void frame_release(uintptr_t frame);
unsigned frame_uses(uintptr_t frame);
/* Frames that are not free. */
unsigned frames_in_use(void);

#endif

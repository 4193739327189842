#include "frames.h"
#include "architecture.h"
#include "process.h"

static uint16_t uses[(FRAMES_END - FRAMES_START) / PAGE_SIZE];
static uintptr_t next_unused = FRAMES_START;
static uintptr_t first_free; /* a free frame holds the address of the next one in its first word; 0 ends the list */
static unsigned in_use;

static void clear(uintptr_t frame)
{
	uintptr_t count = PAGE_SIZE / 4;
	__asm__ volatile("rep stosl" : "+D"(frame), "+c"(count) : "a"(0) : "memory");
}

uintptr_t frame_allocate(void)
{
	uintptr_t frame = first_free;

	if (frame != 0)
		first_free = *(uintptr_t *)frame;
	else if (next_unused < FRAMES_END) {
		frame = next_unused;
		next_unused += PAGE_SIZE;
	} else
		give_up("the pool of page frames is empty");
	in_use++;
	uses[(frame - FRAMES_START) / PAGE_SIZE] = 1;
	clear(frame);
	return frame;
}

void frame_share(uintptr_t frame)
{
	uses[(frame - FRAMES_START) / PAGE_SIZE]++;
}

void frame_release(uintptr_t frame)
{
	if (--uses[(frame - FRAMES_START) / PAGE_SIZE] > 0)
		return;
	*(uintptr_t *)frame = first_free;
	first_free = frame;
	in_use--;
}

unsigned frame_uses(uintptr_t frame)
{
	return uses[(frame - FRAMES_START) / PAGE_SIZE];
}

unsigned frames_in_use(void)
{
	return in_use;
}

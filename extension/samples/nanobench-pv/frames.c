#include "frames.h"
#include "domain.h"

enum { FRAMES = 320 };

static char pool[FRAMES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint16_t uses[FRAMES];
static unsigned next_unused, in_use;
static void *first_free; /* a free frame holds the address of the next one in its first word */

static unsigned number(const void *frame)
{
	return ((unsigned long)frame - (unsigned long)pool) / PAGE_BYTES;
}

void *frame_allocate(void)
{
	void *frame = first_free;

	if (frame != 0)
		first_free = *(void **)frame;
	else {
		must(next_unused < FRAMES);
		frame = pool[next_unused++];
	}
	in_use++;
	uses[number(frame)] = 1;
	void *to = frame;
	unsigned long count = PAGE_BYTES / 4;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(0) : "memory");
	return frame;
}

void frame_share(void *frame)
{
	uses[number(frame)]++;
}

void frame_release(void *frame)
{
	if (--uses[number(frame)] > 0)
		return;
	*(void **)frame = first_free;
	first_free = frame;
	in_use--;
}

unsigned frame_uses(const void *frame)
{
	return uses[number(frame)];
}

unsigned frames_in_use(void)
{
	return in_use;
}

/* Page frames with a count of the page-table entries that share each. A frame is used at its address in the kernel. */
#ifndef FRAMES_H
#define FRAMES_H

#include "paging.h"

/* A frame filled with zeros, used once. */
void *frame_allocate(void);
void frame_share(void *frame);
/* One use less; the last one frees it. */
void frame_release(void *frame);
unsigned frame_uses(const void *frame);
unsigned frames_in_use(void);

/* What an entry of a page table leads to. */
static inline void *entry_frame(table_entry entry)
{
	return table_of_frame((frame_number)(entry >> 12));
}

static inline table_entry entry_to(const void *page, unsigned rights)
{
	return (table_entry)frame_of(page) << 12 | rights;
}

#endif

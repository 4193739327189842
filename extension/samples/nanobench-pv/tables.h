/* Address spaces, built as plain memory and handed to the hypervisor whole; changes of those in use are batched. */
#ifndef TABLES_H
#define TABLES_H

#include "paging.h"

#define PTE_COPY_ON_WRITE 0x200 /* ignored by the processor */

/* The four pages of an address space: three of the tables are a process's own, the upper directory has the kernel's part. */
struct address_space {
	table_entry *root, *upper, *directory, *lowest;
};

/* Tables that no processor uses yet: the lowest may be filled by stores. */
void space_create(struct address_space *space);
/* Write-protects the tables and pins them; the queued updates go first, in the same hypercall. */
void space_pin(const struct address_space *space);
/* Unpins the tables while those under next are loaded instead; stores to them are allowed again. */
void space_leave(const struct address_space *space, const table_entry *next);
void space_free(const struct address_space *space);
void load_root(const table_entry *root);

/* A change of a table in use, which is done by the next hypercall at the latest. */
void queue_update(table_entry *entry, table_entry value);
/* Does what is queued and drops the translations. */
void flush_updates(void);

#endif

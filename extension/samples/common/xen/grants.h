/* The grant table of the kernel, and mappings of other domains' grants. */
#ifndef GRANTS_H
#define GRANTS_H

#include "xen.h"

void grants_initialize(void);
/* Grants a page of the kernel; flags as GRANT_READONLY. */
grant_reference grant_page(domain_id domain, const void *page, unsigned flags);
/* Takes a grant back; 0 while it is in use. */
int grant_end(grant_reference reference);
volatile struct grant_entry *grant_entry_of(grant_reference reference);

#endif

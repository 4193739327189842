/* What the kernel knows of itself: the pages that the hypervisor gave it when it started. */
#ifndef DOMAIN_H
#define DOMAIN_H

#include "xen.h"

extern struct start_info *start_info;
/* Mapped by domain_initialize. */
extern char shared_info_page[PAGE_BYTES];
#define SHARED ((volatile struct shared_info *)shared_info_page)
#define VCPU (&SHARED->vcpu_info[0])

/* Takes over the start info and maps the shared info page. */
void domain_initialize(struct start_info *info);
int domain_is_initial(void);

/* Ends the domain; does not return. */
void domain_shutdown(unsigned reason) __attribute__((noreturn));

/* Stops the kernel after a message: a check that must hold does not. */
void panic(const char *why) __attribute__((noreturn));
#define must(condition) \
	do { \
		if (!(condition)) \
			panic(#condition); \
	} while (0)

#endif

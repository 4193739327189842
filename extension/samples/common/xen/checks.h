/* What the kernel asks of the hypervisor, and whether it gets it. */
#ifndef CHECKS_H
#define CHECKS_H

void check_exceptions(void);
void check_page_tables(void);
void check_timer(void);
void check_balloon(void);
void check_events(void);
void check_grants(void);
void check_store(void);

#endif

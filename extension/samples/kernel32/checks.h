#ifndef CHECKS_H
#define CHECKS_H

/* Each prints what it saw; none prints a thing that depends on time or on the processor model. */
void check_processor(void);
void check_segments(void);
void check_strings(void);
void check_flags(void);
void check_exceptions(void);
void check_self_modifying_code(void);
void check_page_tables(void);
void check_timer(void);

#endif

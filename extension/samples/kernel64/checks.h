#ifndef CHECKS_H
#define CHECKS_H

/* Each prints what it saw; none prints a thing that depends on time. */
void check_arithmetic(void);
void check_exceptions(void);
void check_page_rights(void);
void check_self_modifying_code(void);
void check_timer(void);

/* A function in a page of data, which may not be executed where the processor can forbid it. */
extern const char not_executable[];

#endif

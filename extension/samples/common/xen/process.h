/* One process in ring 3, with tables of its own. */
#ifndef PROCESS_H
#define PROCESS_H

/* Builds it, runs it until it ends, and switches back to the first tables. */
void process_check(void);

#endif

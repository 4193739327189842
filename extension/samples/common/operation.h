/* Tells `hyperscope compare` where an operation begins and ends. The functions do nothing: the comparison stops the machine at their
   addresses, so that the marker costs the same few instructions under every technique. */
#ifndef OPERATION_H
#define OPERATION_H

/* What happens until hyperscope_operation_end is counted under name and divided by repetitions. */
void hyperscope_operation_begin(const char *name, unsigned repetitions);
void hyperscope_operation_end(void);

#endif

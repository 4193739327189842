/* Memory and string routines. The compiler may call the first four on its own (GCC manual, "Standards"). */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *left, const void *right, size_t size);

/* Whether the words of text, separated by spaces, include word. */
int has_word(const char *text, const char *word);

#endif

#include "memory.h"

void *memcpy(void *to, const void *from, size_t size)
{
	void *result = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return result;
}

void *memmove(void *to, const void *from, size_t size)
{
	if ((char *)to <= (const char *)from || (char *)to >= (const char *)from + size)
		return memcpy(to, from, size);
	void *result = to;
	to = (char *)to + size - 1;
	from = (const char *)from + size - 1;
	__asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(size) : : "memory", "cc");
	return result;
}

void *memset(void *to, int byte, size_t size)
{
	void *result = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return result;
}

int memcmp(const void *left, const void *right, size_t size)
{
	const unsigned char *a = left;
	const unsigned char *b = right;

	for (size_t i = 0; i < size; i++) {
		if (a[i] != b[i])
			return a[i] - b[i];
	}
	return 0;
}

int has_word(const char *text, const char *word)
{
	while (*text != '\0') {
		size_t i = 0;
		while (word[i] != '\0' && text[i] == word[i])
			i++;
		if (word[i] == '\0' && (text[i] == ' ' || text[i] == '\0'))
			return 1;
		while (*text != ' ' && *text != '\0')
			text++;
		while (*text == ' ')
			text++;
	}
	return 0;
}

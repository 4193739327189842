/* Compiled with optimization: inlined functions, and variables that move between registers. */
#include "checksum.h"

#define MODULUS 65521u

struct sums {
	uint32_t low, high;
};

static inline uint32_t reduce(uint32_t sum)
{
	return sum >= MODULUS ? sum - MODULUS : sum;
}

static inline struct sums add_byte(struct sums sums, uint8_t byte)
{
	sums.low = reduce(sums.low + byte);
	sums.high = reduce(sums.high + sums.low);
	return sums;
}

uint32_t checksum(const void *bytes, uint32_t size)
{
	const uint8_t *next = bytes;
	struct sums sums = { 1, 0 };

	while (size-- > 0)
		sums = add_byte(sums, *next++);
	return sums.high << 16 | sums.low;
}

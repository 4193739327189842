#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stdint.h>

/* Adler-32 of size bytes (RFC 1950, section 8.2). */
uint32_t checksum(const void *bytes, uint32_t size);

#endif

/* The block device's ring and its messages (io/blkif.h, io/ring.h). The layout of a request depends on the word of the front end's
   processor: these are the native ones, and where the others differ. */
#ifndef BLOCK_H
#define BLOCK_H

#include "xen.h"

#define BLOCK_READ 0
#define BLOCK_WRITE 1
#define BLOCK_FLUSH 3
#define BLOCK_MOST_SEGMENTS 11
#define BLOCK_OKAY 0
#define BLOCK_ERROR (-1)
#define BLOCK_UNSUPPORTED (-2)
#define SECTOR_BYTES 512
#define SECTORS_PER_PAGE (PAGE_BYTES / SECTOR_BYTES)

struct block_segment {
	grant_reference reference;
	uint8_t first_sector, last_sector;
};

struct block_request {
	uint8_t operation;
	uint8_t segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector;
	struct block_segment segment[BLOCK_MOST_SEGMENTS];
};

struct block_response {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};

#define RING_HEADER_BYTES 64
#define RING_SLOTS 32

struct ring_header {
	uint32_t request_producer, request_event;
	uint32_t response_producer, response_event;
	uint8_t pad[48];
};

#ifdef __x86_64__
#define BLOCK_PROTOCOL "x86_64-abi"
#else
#define BLOCK_PROTOCOL "x86_32-abi"
#endif
/* Bytes of a slot, and where the fields of a request lie, by word of the front end. */
#define SLOT_BYTES(is_64_bit) ((is_64_bit) ? 112u : 108u)
#define REQUEST_ID_AT(is_64_bit) ((is_64_bit) ? 8u : 4u)

#endif

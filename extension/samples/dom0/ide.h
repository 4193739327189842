/* The driver of the host's disk: the first drive of a PCI IDE controller, by bus-master DMA. */
#ifndef IDE_H
#define IDE_H

#include <stdint.h>

struct dma_region {
	uint32_t address;
	/* At most 64 KiB, within 64 KiB; 0x80000000 in the upper half ends the table. */
	uint16_t bytes;
	uint16_t end;
};

#define IDE_MOST_REGIONS 16

/* 0 when there is no controller or no disk. */
int ide_initialize(void);
uint64_t ide_sectors(void);
/* Moves sectors between the disk and machine memory; 0 when the drive reports an error. The regions hold just those bytes. */
int ide_transfer(int write, uint64_t sector, unsigned sectors, const struct dma_region *regions, unsigned count);
int ide_flush(void);

#endif

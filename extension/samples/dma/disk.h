/* The first disk on the primary IDE channel, by PIO and by the bus master of the PIIX3. */
#ifndef DISK_H
#define DISK_H

#include <stdint.h>

#define SECTOR_BYTES 512

/* Finds the IDE function and the disk; 0 when there is none. */
int disk_initialize(void);

/* Both read sectors from `first` on; 0 when the disk or the bus master reports an error. */
int disk_read_pio(void *buffer, uint32_t first, unsigned count);
int disk_read_dma(void *buffer, uint32_t first, unsigned count);

#endif

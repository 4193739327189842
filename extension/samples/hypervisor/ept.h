/* Extended page tables: guest-physical to host-physical addresses (SDM volume 3, section 29.3). */
#ifndef EPT_H
#define EPT_H

#include <stdint.h>

enum ept_rights { EPT_READ = 1, EPT_WRITE = 2, EPT_EXECUTE = 4 };

/* Builds the tables of the guest; returns the EPT pointer. */
uint64_t ept_initialize(void);

/* Maps the 4 KiB page of a guest-physical address to a frame. */
void ept_map(uint64_t guest_physical, uint64_t frame, unsigned rights);

/* What the hypervisor sees at a guest-physical address; 0 when the EPT has nothing there. */
void *guest_memory(uint64_t guest_physical);

#endif

/* The front end of a block device: its disk belongs to Domain 0. */
#ifndef BLOCK_FRONT_H
#define BLOCK_FRONT_H

/* Reads and writes the first block device that xenstore names, if there is one. */
void block_check(void);

#endif

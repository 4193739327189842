/* The back end: serves the host's disk to other domains. It believes nothing that a front end says. */
#ifndef BLOCK_BACK_H
#define BLOCK_BACK_H

/* Serves for good. `fault_after`: the driver runs into a fault in the middle of that request; 0 never. */
void block_back_serve(unsigned fault_after) __attribute__((noreturn));

#endif

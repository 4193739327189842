/* Hyperscope's DMA engine (docs/devices.md of the project has its data sheet). */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdint.h>

enum engine_error { ENGINE_OK, ENGINE_READ_ABORTED, ENGINE_WRITE_ABORTED, ENGINE_BAD_LENGTH, ENGINE_NOT_MASTER };

struct engine_result {
	enum engine_error error;
	uint32_t moved;
};

/* Finds the engine and puts its registers at a free address; 0 when the machine has none. */
int engine_initialize(void);

/* From now on the engine interrupts by message; 0 when it cannot. */
int engine_use_messages(void);

/* The number of its interrupt. */
unsigned engine_interrupt(void);

/* Ends the engine's interrupt. */
void engine_acknowledge(void);

/* Both take addresses as the device sees them, and wait for the interrupt. */
struct engine_result engine_copy(uint32_t destination, uint32_t source, uint32_t bytes);
struct engine_result engine_fill(uint32_t destination, uint32_t pattern, uint32_t bytes);

#endif

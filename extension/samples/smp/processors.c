#include "processors.h"
#include "apic.h"
#include "layout.h"
#include "memory.h"

/* MultiProcessor Specification 1.4, chapter 4: where the floating pointer may lie, and what of the tables is read here. */
enum { BIOS = 0xf0000, BIOS_END = 0x100000, HEADER_BYTES = 44, PROCESSOR_ENTRY_BYTES = 20, OTHER_ENTRY_BYTES = 8 };
enum { ENTRY_PROCESSOR = 0, ENABLED = 1, BOOTSTRAP = 2 };

struct pointer {
	char signature[4];
	const unsigned char *table;
};

/* Read by trampoline.S. */
volatile unsigned starting;
static volatile int began;

extern const char trampoline[];
extern const char trampoline_end[];

static const unsigned char *find_table(void)
{
	for (uintptr_t at = BIOS; at < BIOS_END; at += 16) {
		const struct pointer *pointer = (const struct pointer *)at;
		if (memcmp(pointer->signature, "_MP_", 4) == 0)
			return pointer->table;
	}
	return 0;
}

unsigned processors_find(unsigned char *ids)
{
	const unsigned char *table = find_table();
	unsigned count = 1;

	ids[0] = (unsigned char)apic_id();
	if (table == 0)
		return 1;
	unsigned entries = table[34] | table[35] << 8;
	const unsigned char *entry = table + HEADER_BYTES;
	for (; entries > 0; entries--) {
		int is_processor = entry[0] == ENTRY_PROCESSOR;
		if (is_processor && (entry[3] & (ENABLED | BOOTSTRAP)) == ENABLED && count < MOST_PROCESSORS)
			ids[count++] = entry[1];
		entry += is_processor ? PROCESSOR_ENTRY_BYTES : OTHER_ENTRY_BYTES;
	}
	return count;
}

/* SDM Vol. 3A, section 8.4.4.1: INIT, 10 milliseconds, then two start-up IPIs with 200 microseconds between. */
int processor_begin(unsigned number, unsigned id)
{
	memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	starting = number;
	began = 0;
	apic_send(id, APIC_INIT);
	apic_wait(10000);
	for (unsigned attempt = 0; attempt < 2 && !began; attempt++) {
		apic_send(id, APIC_START_UP | TRAMPOLINE >> 12);
		apic_wait(200);
	}
	for (unsigned wait = 0; wait < 100 && !began; wait++)
		apic_wait(1000);
	return began;
}

void processor_began(void)
{
	began = 1;
}

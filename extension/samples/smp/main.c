/* Several processors: the first starts the others, all count together under a spin lock, and interrupt each other. */
#include "apic.h"
#include "interrupts.h"
#include "layout.h"
#include "lock.h"
#include "multiboot.h"
#include "ports.h"
#include "print.h"
#include "processors.h"
#include "serial.h"

enum { COUNTS = 5000, ROUNDS = 100 };

static unsigned char ids[MOST_PROCESSORS];
static struct lock lock;
/* Each of these is changed by all processors; the first under the lock, the second by a locked instruction. */
static volatile unsigned counter;
static volatile unsigned finished;
static void wait_until(volatile unsigned *value, unsigned wanted)
{
	while (*value != wanted)
		__asm__ volatile("pause");
}

static void count(void)
{
	for (unsigned i = 0; i < COUNTS; i++) {
		lock_take(&lock);
		counter = counter + 1;
		lock_release(&lock);
	}
	__asm__ volatile("lock incl %0" : "+m"(finished));
}

/* Where the processors that were started go on. */
__attribute__((noreturn)) void processor_main(unsigned number);

void processor_main(unsigned number)
{
	interrupts_load();
	apic_enable();
	print("processor %u: local APIC %u\n", number, apic_id());
	processor_began();
	/* The first IPI says that the counting begins. */
	while (ipis[ids[number]] == 0)
		__asm__ volatile("sti; hlt; cli");
	count();
	/* From here on it lives for interrupts only. */
	for (;;)
		__asm__ volatile("sti; hlt");
}

/* One IPI after the other to one processor, each when the last has been taken. */
static void interrupt_one(unsigned number)
{
	unsigned before = ipis[ids[number]];

	for (unsigned round = 1; round <= ROUNDS; round++) {
		apic_send(ids[number], APIC_FIXED);
		wait_until(&ipis[ids[number]], before + round);
	}
}

static unsigned sum(volatile unsigned *values)
{
	unsigned all = 0;

	for (unsigned i = 0; i < MOST_PROCESSORS; i++)
		all += values[i];
	return all;
}

void kernel_main(uint32_t magic);

void kernel_main(uint32_t magic)
{
	serial_initialize();
	if (magic != MULTIBOOT_LOADER_MAGIC)
		machine_exit(EXIT_VALUE_FAILURE);
	interrupts_initialize();
	interrupts_load();
	apic_enable();

	unsigned processors = processors_find(ids);
	print("%u processors\n", processors);
	for (unsigned number = 1; number < processors; number++)
		if (!processor_begin(number, ids[number])) {
			print("processor %u does not start\n", number);
			machine_exit(EXIT_VALUE_FAILURE);
		}

	apic_send(0, APIC_OTHERS | APIC_FIXED);
	count();
	wait_until(&finished, processors);
	print("counted to %u\n", counter);

	print("IPIs that began it: %u\n", sum(ipis));
	for (unsigned number = 1; number < processors; number++)
		interrupt_one(number);
	print("with those to one processor at a time: %u\n", sum(ipis));
	apic_send(0, APIC_OTHERS | APIC_NMI);
	while (sum(nmis) != processors - 1)
		__asm__ volatile("pause");
	print("NMIs: %u\n", sum(nmis));
	machine_exit(counter == COUNTS * processors ? EXIT_VALUE_SUCCESS : EXIT_VALUE_FAILURE);
}

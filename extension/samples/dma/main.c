/* Bus masters at work: the DMA engine copies and fills, the disk's bus master reads sectors, all with guest-physical addresses.
   With the word "stray" on the command line the engine then writes outside of the guest's memory; with "msi" it interrupts by
   message. */
#include "disk.h"
#include "engine.h"
#include "interrupts.h"
#include "memory.h"
#include "multiboot.h"
#include "pci.h"
#include "ports.h"
#include "print.h"
#include "serial.h"

enum { BYTES = 10000, SECTORS = 8, STRAY_BYTES = 64, MESSAGE_BYTES = 4 };
/* A write of a dword there is no DMA but an interrupt message. */
enum { MESSAGES_FIRST = 0xfee, MESSAGES_SHIFT = 20 };
#define PATTERN 0x5aa5c33cu
#define STRAY_PATTERN 0xdeadbeefu

static uint8_t source[BYTES];
static uint8_t destination[BYTES];
static uint8_t by_pio[SECTORS * SECTOR_BYTES];
static uint8_t by_dma[SECTORS * SECTOR_BYTES];

/* Set by whatever went wrong. */
static int failed;

static const char *outcome(enum engine_error error)
{
	static const char *const names[] = { "done", "read aborted", "write aborted", "bad length", "no bus master" };
	return error < sizeof names / sizeof *names ? names[error] : "?";
}

static void report(const char *what, struct engine_result result, int right)
{
	print("%s: %s, %u bytes moved, %s\n", what, outcome(result.error), (unsigned)result.moved,
	      right ? "contents right" : "contents WRONG");
	if (result.error != ENGINE_OK || !right)
		failed = 1;
}

static void use_engine(int by_message)
{
	if (by_message && !engine_use_messages()) {
		print("the engine cannot interrupt by message\n");
		failed = 1;
	}
	for (unsigned i = 0; i < BYTES; i++)
		source[i] = (uint8_t)(7 * i + (i >> 8));
	struct engine_result result = engine_copy((uint32_t)destination, (uint32_t)source, BYTES);
	report("copy", result, memcmp(source, destination, BYTES) == 0);

	result = engine_fill((uint32_t)destination, PATTERN, BYTES / 2);
	int right = memcmp(source + BYTES / 2, destination + BYTES / 2, BYTES / 2) == 0;
	for (unsigned i = 0; i < BYTES / 2; i++)
		right = right && destination[i] == (uint8_t)(PATTERN >> (8 * (i & 3)));
	report("fill", result, right);
	print("interrupts of the engine: %u%s\n", interrupt_count(engine_interrupt()),
	      engine_interrupt() == MESSAGE_INTERRUPT ? ", by message" : "");
}

static void use_disk(void)
{
	int read = disk_read_pio(by_pio, 0, SECTORS) && disk_read_dma(by_dma, 0, SECTORS);
	uint32_t sum = 0;

	for (unsigned i = 0; i < sizeof by_dma; i++)
		sum = sum * 31 + by_dma[i];
	int right = read && memcmp(by_pio, by_dma, sizeof by_dma) == 0;
	print("sectors 0 to %u: %s, checksum %x, %s\n", SECTORS - 1, read ? "read by PIO and by DMA" : "ERROR", (unsigned)sum,
	      right ? "the same" : "DIFFERENT");
	if (!right)
		failed = 1;
}

static void go_astray(uint32_t address)
{
	print("stray fill at %p\n", (void *)address);
	struct engine_result result = engine_fill(address, STRAY_PATTERN, address >> MESSAGES_SHIFT == MESSAGES_FIRST ? MESSAGE_BYTES : STRAY_BYTES);
	if (result.error == ENGINE_OK)
		print("nothing stopped it: %u bytes moved\n", (unsigned)result.moved);
	else
		print("stopped: %s, %u bytes moved\n", outcome(result.error), (unsigned)result.moved);
}

/* The number behind "stray=" on the command line, or `fallback` behind the word alone; 0 when neither is there. */
static uint32_t stray_address(const char *words, uint32_t fallback)
{
	static const char name[] = "stray=0x";

	if (has_word(words, "stray"))
		return fallback;
	for (; *words != '\0'; words++) {
		if (memcmp(words, name, sizeof name - 1) != 0)
			continue;
		uint32_t value = 0;
		for (words += sizeof name - 1; *words != '\0' && *words != ' '; words++)
			value = value * 16 + (uint32_t)(*words <= '9' ? *words - '0' : (*words | 0x20) - 'a' + 10);
		return value;
	}
	return 0;
}

void kernel_main(uint32_t magic, const struct multiboot_info *information)
{
	serial_initialize();
	const char *words = "";
	uint32_t end = 0;
	if (magic == MULTIBOOT_LOADER_MAGIC && information->flags & MULTIBOOT_INFO_COMMAND_LINE)
		words = (const char *)information->command_line;
	if (magic == MULTIBOOT_LOADER_MAGIC && information->flags & MULTIBOOT_INFO_MEMORY)
		end = 0x100000 + information->memory_upper * 1024;

	interrupts_initialize(engine_acknowledge);
	pci_route_interrupts(PCI_INTERRUPT);
	int has_engine = engine_initialize();
	if (has_engine)
		use_engine(has_word(words, "msi"));
	else
		print("no DMA engine: start the machine with it\n");
	if (disk_initialize())
		use_disk();
	else
		print("no disk: give the machine one\n");
	uint32_t stray = stray_address(words, end);
	if (stray != 0 && has_engine)
		go_astray(stray);
	print("done\n");
	machine_exit(failed ? EXIT_VALUE_FAILURE : EXIT_VALUE_SUCCESS);
}

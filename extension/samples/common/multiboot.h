/* Multiboot 1 (Multiboot Specification 0.6.96, sections 3.1 to 3.3): the constants and the part of the information that
   the samples read. */
#ifndef MULTIBOOT_H
#define MULTIBOOT_H

#define MULTIBOOT_HEADER_MAGIC 0x1BADB002
#define MULTIBOOT_LOADER_MAGIC 0x2BADB002
#define MULTIBOOT_PAGE_ALIGN 0x00000001
#define MULTIBOOT_MEMORY_INFO 0x00000002
#define MULTIBOOT_ADDRESS_FIELDS 0x00010000

#define MULTIBOOT_INFO_MEMORY 0x00000001
#define MULTIBOOT_INFO_COMMAND_LINE 0x00000004

#ifndef __ASSEMBLER__
#include <stdint.h>

struct multiboot_info {
	uint32_t flags;
	uint32_t memory_lower; /* KiB below 1 MiB */
	uint32_t memory_upper; /* KiB from 1 MiB up to the first hole */
	uint32_t boot_device;
	uint32_t command_line; /* physical address of a zero-terminated string */
};
#endif

#endif

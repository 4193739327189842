/* From the boot loader to kernel_main: builds the first page tables, turns paging on, jumps to the kernel's own addresses. */
#include "layout.h"
#include "multiboot.h"

	.cfi_sections .debug_frame

#define PHYSICAL(symbol) ((symbol) - KERNEL_BASE)
#define PRESENT_WRITABLE 0x003
#define CR0_PAGING_AND_WRITE_PROTECT 0x80010000

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC
	.long MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO
	.long -(MULTIBOOT_HEADER_MAGIC + (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO))

	.section .boot, "ax"
	.globl start
	.type start, @function
start:
	.cfi_startproc
	.cfi_undefined eip
	cli
	cld
	mov %eax, %esi                          /* loader's magic number */

	/* The first 4 MiB, 4 KiB page by page. */
	mov $PHYSICAL(low_page_table), %edi
	mov $PRESENT_WRITABLE, %eax
	mov $1024, %ecx
1:	stosl
	add $PAGE_SIZE, %eax
	loop 1b

	/* Seen twice: where the code runs now, and where the kernel is linked. */
	mov $(PHYSICAL(low_page_table) + PRESENT_WRITABLE), %eax
	mov %eax, PHYSICAL(kernel_directory)
	mov %eax, PHYSICAL(kernel_directory) + 4 * (KERNEL_BASE >> 22)

	mov $PHYSICAL(kernel_directory), %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $CR0_PAGING_AND_WRITE_PROTECT, %eax
	mov %eax, %cr0
	mov $start_high, %eax
	jmp *%eax
	.cfi_endproc
	.size start, . - start

	.text
	.globl start_high
	.type start_high, @function
start_high:
	.cfi_startproc
	.cfi_undefined eip
	mov $boot_stack_top, %esp
	xor %ebp, %ebp
	push %ebx                               /* guest-physical address of the multiboot information */
	push %esi
	call kernel_main
	.cfi_endproc
	.size start_high, . - start_high

	.section .bss.page_aligned, "aw", @nobits
	.balign PAGE_SIZE
	.globl kernel_directory, low_page_table
	.type kernel_directory, @object
	.type low_page_table, @object
kernel_directory:
	.skip PAGE_SIZE
	.size kernel_directory, PAGE_SIZE
low_page_table:
	.skip PAGE_SIZE
	.size low_page_table, PAGE_SIZE
boot_stack:
	.skip 2 * PAGE_SIZE
boot_stack_top:

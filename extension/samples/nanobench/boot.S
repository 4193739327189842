/* Entry from the boot loader: protected mode, flat segments, no paging, no stack (Multiboot Specification, section 3.2). */
#include "multiboot.h"

	.cfi_sections .debug_frame

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC
	.long MULTIBOOT_MEMORY_INFO
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_MEMORY_INFO)

	.text
	.globl start
	.type start, @function
start:
	.cfi_startproc
	.cfi_undefined eip
	cli
	cld
	mov $kernel_stack_top, %esp
	xor %ebp, %ebp
	call kernel_main
	.cfi_endproc
	.size start, . - start

	.bss
	.balign 16
	.skip 8192
	.globl kernel_stack_top
kernel_stack_top:

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
	mov $stack_top, %esp
	xor %ebp, %ebp
	cld
	call kernel_main
stop:
	cli
	hlt
	jmp stop
	.cfi_endproc
	.size start, . - start

	.bss
	.balign 16
	.skip 4096
stack_top:

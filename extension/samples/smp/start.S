/* Entry of the first processor from the boot loader (Multiboot Specification, section 3.2), and the entries of the interrupts. */
#include "layout.h"
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
	mov $stacks + STACK_BYTES, %esp
	xor %ebp, %ebp
	cld
	lgdt gdt_register
	ljmp $CODE_SELECTOR, $1f
1:	mov $DATA_SELECTOR, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	push %eax
	call kernel_main
stop:
	cli
	hlt
	jmp stop
	.cfi_endproc
	.size start, . - start

	.globl ipi_entry
	.type ipi_entry, @function
ipi_entry:
	pusha
	call ipi_taken
	popa
	iret
	.size ipi_entry, . - ipi_entry

	.globl nmi_entry
	.type nmi_entry, @function
nmi_entry:
	pusha
	call nmi_taken
	popa
	iret
	.size nmi_entry, . - nmi_entry

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
	.globl gdt_register
gdt_register:
	.word . - gdt - 1
	.long gdt

/* One stack for each processor, by its number. */
	.bss
	.balign 16
	.globl stacks
stacks:
	.skip STACK_BYTES * MOST_PROCESSORS

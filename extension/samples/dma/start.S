/* Entry from the boot loader (Multiboot Specification, section 3.2): flat segments of our own, for interrupts load CS from
   the GDT and the loader's is not to be relied on. */
#include "multiboot.h"

#define CODE_SELECTOR 0x08
#define DATA_SELECTOR 0x10

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
	lgdt gdt_register
	ljmp $CODE_SELECTOR, $1f
1:	mov $DATA_SELECTOR, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	push %ebx
	push %eax
	call kernel_main
stop:
	cli
	hlt
	jmp stop
	.cfi_endproc
	.size start, . - start

/* One entry for each of the 16 interrupts and one for the message: pushes its number and goes to the common part. */
	.macro interrupt_entry number
	.balign 8
	push $\number
	jmp interrupt_common
	.endm

	.balign 8
	.globl interrupt_entries
interrupt_entries:
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
	interrupt_entry \number
	.endr

	.type interrupt_common, @function
interrupt_common:
	pusha
	pushl 32(%esp)
	call interrupt_taken
	add $4, %esp
	popa
	add $4, %esp
	iret
	.size interrupt_common, . - interrupt_common

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
gdt_register:
	.word . - gdt - 1
	.long gdt

	.bss
	.balign 16
	.skip 4096
stack_top:

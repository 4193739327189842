/* Where the other processors begin: in real-address mode at the start of a page below 1 MiB (SDM Vol. 3A, section 8.4.3). These bytes are
   copied there, so that only what is relative to the segment is used until the jump into the kernel. */
#include "layout.h"

	.section .rodata
	.code16
	.globl trampoline
trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl trampoline_gdt - trampoline
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $CODE_SELECTOR, $processor_start
	.balign 4
trampoline_gdt:
	.word 0x17
	.long trampoline_descriptors - trampoline + TRAMPOLINE
	.balign 8
trampoline_descriptors:
	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
	.globl trampoline_end
trampoline_end:

	.text
	.code32
	.globl processor_start
	.type processor_start, @function
processor_start:
	mov $DATA_SELECTOR, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	lgdt gdt_register
	/* The number of the one that is being started; the next is started when this one has told. */
	mov starting, %eax
	lea 1(%eax), %esp
	imul $STACK_BYTES, %esp, %esp
	add $stacks, %esp
	xor %ebp, %ebp
	cld
	push %eax
	call processor_main
1:	cli
	hlt
	jmp 1b
	.size processor_start, . - processor_start

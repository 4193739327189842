/* Entries into the 32-bit kernel in ring 1: start, exceptions, system calls, events; and the way into ring 3 and back. */
#include "xen.h"

	.section .bss
	.balign 16
	.skip 16384
kernel_stack:
	.skip 16384
	.globl trap_stack
trap_stack:

	.text
	.globl start
start:
	cld
	mov $kernel_stack, %esp
	xor %ebp, %ebp
	push %esi
	call kernel_main
	ud2

.macro trap name, vector, has_error=0
	.globl \name
\name:
	.if \has_error == 0
	push $0
	.endif
	push $\vector
	jmp common
.endm

	trap trap_divide, 0
	trap trap_breakpoint, 3
	trap trap_invalid_opcode, 6
	trap trap_general_protection, 13, 1
	trap trap_page_fault, 14, 1
	trap trap_system_call, 0x80
	trap upcall_entry, 0x100
	trap failsafe_entry, 0x101

/* The frame is struct trap_frame. */
common:
	cld
	pusha
	push %ds
	push %es
	mov $KERNEL_DS, %eax
	mov %eax, %ds
	mov %eax, %es
	push %esp
	call trap_handler
	add $4, %esp
	pop %es
	pop %ds
	popa
	add $8, %esp
	jmp hypercall_page + HYPERCALL_IRET * HYPERCALL_BYTES

/* int user_run(address, stack): goes to ring 3; returns what user_leave is given. */
	.globl user_run
user_run:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov 20(%esp), %eax
	mov 24(%esp), %ecx
	mov %esp, saved_stack
	mov $USER_DS, %edx
	mov %edx, %ds
	mov %edx, %es
	push %edx
	push %ecx
	push $0x202
	push $USER_CS
	push %eax
	xor %ebp, %ebp
	jmp hypercall_page + HYPERCALL_IRET * HYPERCALL_BYTES

	.globl user_leave
user_leave:
	mov 4(%esp), %eax
	mov saved_stack, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

	.section .bss
	.balign 4
saved_stack:
	.skip 4

	.section .note.GNU-stack, "", @progbits

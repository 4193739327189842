/* Ways into the kernel in ring 1. Exceptions of the benchmarks are settled here at once, as in nanobench. The kernel goes back by
   IRET, which needs no hypercall in 32-bit mode: no event is ever pending that would have to be looked for. */
#include "xen.h"

	.text
	.globl start
start:
	cld
	mov $kernel_stack, %esp
	xor %ebp, %ebp
	push %esi
	call kernel_main
	ud2

	.macro save_and_call handler
	pusha
	mov $KERNEL_DS, %eax
	mov %eax, %ds
	mov %eax, %es
	cld
	push %esp
	call \handler
	add $4, %esp
	mov $USER_DS, %eax
	mov %eax, %ds
	mov %eax, %es
	popa
	add $8, %esp                            /* vector and error code */
	iret
	.endm

	.globl page_fault_entry, divide_error_entry, system_call_entry, protection_entry
page_fault_entry:
	cmpl $pgfault_instruction, 4(%esp)
	jne 1f
	add $4, %esp
	movl $pgfault_next, (%esp)
	iret
1:	push $14
	save_and_call enter_kernel

divide_error_entry:
	movl $divzero_next, (%esp)
	iret

protection_entry:
	push $13
	save_and_call enter_kernel

/* The number -1 asks for nothing: what "syscall" measures. */
system_call_entry:
	cmp $-1, %eax
	jne 1f
	iret
1:	push $0
	push $0x80
	save_and_call enter_kernel

/* void enter_user(const struct frame *frame): to ring 3; comes back by leave_user. */
	.globl enter_user, leave_user
	.type enter_user, @function
enter_user:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov %esp, kernel_resume
	mov 20(%esp), %esi
	mov $USER_DS, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %esi, %esp
	popa
	add $8, %esp
	iret
	.size enter_user, . - enter_user

/* void leave_user(void): from any depth of the kernel back to where enter_user was called. */
	.type leave_user, @function
leave_user:
	mov kernel_resume, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret
	.size leave_user, . - leave_user

	.bss
	.balign 16
	.skip 8192
kernel_stack:
	.skip 8192
	.globl trap_stack
trap_stack:
kernel_resume:
	.skip 4

	.section .note.GNU-stack, "", @progbits

/* Ways into the kernel. Exceptions of the benchmarks in loops.S are settled here at once, in as few instructions as can be. */
#include "architecture.h"

	.cfi_sections .debug_frame
	.text

	.macro save_and_call handler
	pusha
	mov $KERNEL_DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	cld
	push %esp
	call \handler
	add $4, %esp
	mov $USER_DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	popa
	add $8, %esp                            /* vector and error code */
	iret
	.endm

	.globl page_fault_entry, divide_error_entry, system_call_entry, unexpected_entry, sysenter_entry
page_fault_entry:
	cmpl $pgfault_instruction, 4(%esp)
	jne 1f
	add $4, %esp
	movl $pgfault_next, (%esp)
	iret
1:	push $14
	save_and_call kernel_entry

divide_error_entry:
	movl $divzero_next, (%esp)
	iret

system_call_entry:
	push $0
	push $0x80
	save_and_call kernel_entry

unexpected_entry:
	push $0
	push $-1
	save_and_call kernel_entry

/* The caller leaves its stack in %ecx and its return address in %edx, where SYSEXIT wants them. */
sysenter_entry:
	sti                                     /* takes effect after SYSEXIT */
	sysexit

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
	mov $USER_DATA_SELECTOR, %eax
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
	.balign 4
kernel_resume:
	.skip 4

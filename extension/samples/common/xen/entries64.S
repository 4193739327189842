/* Entries into the 64-bit kernel, which runs in ring 3 as its processes do: start, exceptions, SYSCALL, events; and the way into
   user mode and back. The hypervisor pushes RCX and R11 above the processor's own frame. */
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
	mov $kernel_stack, %rsp
	xor %ebp, %ebp
	mov %rsi, %rdi
	call kernel_main
	ud2

.macro trap name, vector, has_error=0
	.globl \name
\name:
	pop %rcx
	pop %r11
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
	trap syscall_entry, 0x80
	trap upcall_entry, 0x100
	trap failsafe_entry, 0x101

/* The frame is struct trap_frame. */
common:
	cld
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	/* The processor aligned the stack before it pushed the frame; calls want it so. */
	mov %rsp, %rbx
	and $-16, %rsp
	call trap_handler
	mov %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	add $16, %rsp
	push $0
	jmp hypercall_page + HYPERCALL_IRET * HYPERCALL_BYTES

/* int user_run(address, stack): goes to user mode; returns what user_leave is given. */
	.globl user_run
user_run:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, saved_stack(%rip)
	push $USER_DS
	push %rsi
	push $0x202
	push $USER_CS
	push %rdi
	push $0
	xor %ebp, %ebp
	jmp hypercall_page + HYPERCALL_IRET * HYPERCALL_BYTES

	.globl user_leave
user_leave:
	mov %edi, %eax
	mov saved_stack(%rip), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

	.section .bss
	.balign 8
saved_stack:
	.skip 8

	.section .note.GNU-stack, "", @progbits

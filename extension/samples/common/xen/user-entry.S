/* User code: where the process starts, and its way into the kernel. */
#include "layout.h"

	.text
	.globl user_start
	.type user_start, @function
user_start:
	xor %ebp, %ebp
	call user_main
#ifdef __x86_64__
	mov %rax, %rsi
	mov $CALL_EXIT, %edi
	call call_kernel
#else
	mov %eax, %ebx
	mov $CALL_EXIT, %eax
	int $0x80
#endif

/* long call_kernel(long number, long first, long second) */
	.globl call_kernel
	.type call_kernel, @function
call_kernel:
#ifdef __x86_64__
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	syscall
	ret
#else
	push %ebx
	mov 8(%esp), %eax
	mov 12(%esp), %ebx
	mov 16(%esp), %ecx
	int $0x80
	pop %ebx
	ret
#endif

	.section .note.GNU-stack, "", @progbits

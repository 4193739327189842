/* User code: where the process starts, and its way into the kernel. */
#include "layout.h"

	.cfi_sections .debug_frame
	.text

	.globl user_start
	.type user_start, @function
user_start:
	.cfi_startproc
	.cfi_undefined rip
	xor %ebp, %ebp
	call user_main
	mov %eax, %edi
	mov $SYSTEM_CALL_EXIT, %eax
	syscall
	.cfi_endproc
	.size user_start, . - user_start

/* uint64_t call_kernel(uint64_t number, uint64_t first, uint64_t second) */
	.globl call_kernel
	.type call_kernel, @function
call_kernel:
	.cfi_startproc
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	syscall
	ret
	.cfi_endproc
	.size call_kernel, . - call_kernel

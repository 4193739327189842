/* User code: where a process starts, the two ways into the kernel, and a routine that it patches. */
#include "layout.h"

	.cfi_sections .debug_frame
	.text

/* The kernel starts a process here with its number in %eax. */
	.globl user_start
	.type user_start, @function
user_start:
	.cfi_startproc
	.cfi_undefined eip
	xor %ebp, %ebp
	push %eax
	call user_main
	mov %eax, %ebx
	mov $SYSTEM_CALL_EXIT, %eax
	int $SYSTEM_CALL_VECTOR
	.cfi_endproc
	.size user_start, . - user_start

/* uint32_t call_by_gate(uint32_t number, uint32_t first, uint32_t second) */
	.globl call_by_gate
	.type call_by_gate, @function
call_by_gate:
	.cfi_startproc
	push %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebx, 0
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi, 0
	mov 12(%esp), %eax
	mov 16(%esp), %ebx
	mov 20(%esp), %esi
	int $SYSTEM_CALL_VECTOR
	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	pop %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebx
	ret
	.cfi_endproc
	.size call_by_gate, . - call_by_gate

/* The same by SYSENTER: the kernel comes back to the address in %edx with the stack of %ecx. */
	.globl call_by_sysenter
	.type call_by_sysenter, @function
call_by_sysenter:
	.cfi_startproc
	push %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebx, 0
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi, 0
	mov 12(%esp), %eax
	mov 16(%esp), %ebx
	mov 20(%esp), %esi
	mov %esp, %ecx
	mov $1f, %edx
	sysenter
1:	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	pop %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebx
	ret
	.cfi_endproc
	.size call_by_sysenter, . - call_by_sysenter

/* uint32_t user_patchable(void): returns the constant in its MOV. It lies on a page of data, which is writable and, as 32-bit
   paging has no execute-disable, executable; the first patch copies the page. */
	.section .data.patchable, "aw"
	.globl user_patchable, user_patchable_immediate
	.type user_patchable, @function
user_patchable:
	.cfi_startproc
	mov $10, %eax
	.set user_patchable_immediate, . - 4
	ret
	.cfi_endproc
	.size user_patchable, . - user_patchable

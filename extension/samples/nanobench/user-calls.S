/* System calls, from ring 3. */
#include "architecture.h"

	.cfi_sections .debug_frame
	.text

/* A process begins here, with its program in %eax. */
	.globl user_main_entry
	.type user_main_entry, @function
user_main_entry:
	.cfi_startproc
	.cfi_undefined eip
	xor %ebp, %ebp
	push %eax
	call user_main
	.cfi_endproc
	.size user_main_entry, . - user_main_entry

/* uintptr_t system_call(uintptr_t number, uintptr_t argument) */
	.globl system_call
	.type system_call, @function
system_call:
	.cfi_startproc
	push %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebx, 0
	mov 8(%esp), %eax
	mov 12(%esp), %ebx
	int $0x80
	pop %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebx
	ret
	.cfi_endproc
	.size system_call, . - system_call

/* void loop_system_call(uint32_t repetitions): SYSENTER to a kernel that comes back at once. */
	.globl loop_system_call
	.type loop_system_call, @function
loop_system_call:
	.cfi_startproc
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi, 0
	mov 8(%esp), %esi
1:	mov %esp, %ecx
	mov $2f, %edx
	sysenter
2:	dec %esi
	jnz 1b
	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	ret
	.cfi_endproc
	.size loop_system_call, . - loop_system_call

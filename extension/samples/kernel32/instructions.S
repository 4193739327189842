#include "layout.h"

	.cfi_sections .debug_frame
	.text

	.macro function name
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	.endm

	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.macro label name
	.globl \name
\name:
	.endm

	function divide
	mov 4(%esp), %eax
	xor %edx, %edx
	mov 8(%esp), %ecx
	label divide_instruction
	div %ecx
	ret
	label divide_recovery
	mov $-1, %eax
	ret
	end divide

	function load_system_segment
	mov $TASK_STATE_SELECTOR, %ecx
	xor %eax, %eax
	label system_segment_instruction
	mov %ecx, %fs
	ret
	label system_segment_recovery
	mov $-1, %eax
	ret
	end load_system_segment

	function write_word
	mov 4(%esp), %ecx
	mov 8(%esp), %edx
	xor %eax, %eax
	label write_protected_instruction
	mov %edx, (%ecx)
	ret
	label write_protected_recovery
	mov $-1, %eax
	ret
	end write_word

	.globl patchable_immediate
	function patchable
	mov $1, %eax
	.set patchable_immediate, . - 4
	ret
	end patchable

	function patch_ahead
	mov 4(%esp), %eax
	mov %eax, 1f + 1
	jmp 1f
1:	mov $0, %eax
	ret
	end patch_ahead

	function copy_by_stack
	enter $0, $0
	.cfi_def_cfa ebp, 8
	.cfi_offset ebp, -8
	push %esi
	.cfi_offset esi, -12
	push %edi
	.cfi_offset edi, -16
	mov 8(%ebp), %edi
	mov 12(%ebp), %esi
	mov 16(%ebp), %ecx
	xor %eax, %eax
	jecxz 2f
1:	push (%esi)
	add (%esi), %eax
	pop (%edi)
	add $4, %esi
	lea 4(%edi), %edi
	loop 1b
2:	pop %edi
	.cfi_restore edi
	pop %esi
	.cfi_restore esi
	leave
	.cfi_def_cfa esp, 4
	.cfi_restore ebp
	ret
	end copy_by_stack

	function flags_through_stack
	mov 4(%esp), %ecx
	cmp 8(%esp), %ecx
	pushf
	.cfi_adjust_cfa_offset 4
	or $-1, %eax                    /* other flags than any comparison of the caller's leaves */
	stc
	popf
	.cfi_adjust_cfa_offset -4
	pushf
	.cfi_adjust_cfa_offset 4
	pop %eax
	.cfi_adjust_cfa_offset -4
	and $0x8c5, %eax
	ret
	end flags_through_stack

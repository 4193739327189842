/* Ways into and out of the kernel: interrupts and exceptions, SYSENTER, the switch between kernel stacks.
   The frame that they build is struct interrupt_frame in interrupts.h. */
#include "layout.h"
#include "timer.h"

	.cfi_sections .debug_frame

#define EFLAGS_IF 0x200

/* The stack pointer before the interrupt: if the saved CS has RPL 3 the processor changed stacks and pushed ESP above EFLAGS,
   at the CFA; else ESP was the CFA (SDM volume 3, section 6.12.1). As a DWARF expression for register 4 (ESP), which starts
   with the CFA on its stack: dup, lit8, minus, deref, lit3, and, bra +3, skip +1, deref. */
	.macro interrupted_stack_pointer
	.cfi_escape 0x16, 4, 13, 0x12, 0x38, 0x1c, 0x06, 0x33, 0x1a, 0x28, 3, 0, 0x2f, 1, 0, 0x06
	.endm

/* Describes an interrupt frame whose EIP is offset bytes above ESP. */
	.macro interrupt_frame_at offset
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa esp, 12 + \offset
	.cfi_offset eip, -12
	interrupted_stack_pointer
	.endm

	.text

/* One stub a vector: pushes 0 where the processor pushes no error code, then the vector. */
	.macro interrupt_stub vector
	.type interrupt_\vector, @function
interrupt_\vector:
	.if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17)
	interrupt_frame_at 4
	.else
	interrupt_frame_at 0
	push $0
	.cfi_adjust_cfa_offset 4
	.endif
	push $\vector
	.cfi_adjust_cfa_offset 4
	jmp interrupt_common
	.cfi_endproc
	.size interrupt_\vector, . - interrupt_\vector
	.endm

	.altmacro
	.set vector, 0
	.rept PIC_FIRST_VECTOR + PIC_VECTORS
	interrupt_stub %vector
	.set vector, vector + 1
	.endr
	interrupt_stub %SYSTEM_CALL_VECTOR

	.macro stub_address vector
	.long interrupt_\vector
	.endm

	.section .rodata
	.balign 4
	.globl interrupt_stubs, system_call_stub
interrupt_stubs:
	.set vector, 0
	.rept PIC_FIRST_VECTOR + PIC_VECTORS
	stub_address %vector
	.set vector, vector + 1
	.endr
system_call_stub:
	stub_address %SYSTEM_CALL_VECTOR
	.noaltmacro

/* Pushes what the processor did not, and takes the kernel's segments. */
	.macro save_registers
	pusha
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset eax, 28
	.cfi_rel_offset ecx, 24
	.cfi_rel_offset edx, 20
	.cfi_rel_offset ebx, 16
	.cfi_rel_offset ebp, 8
	.cfi_rel_offset esi, 4
	.cfi_rel_offset edi, 0
	push %ds
	.cfi_adjust_cfa_offset 4
	push %es
	.cfi_adjust_cfa_offset 4
	push %fs
	.cfi_adjust_cfa_offset 4
	push %gs
	.cfi_adjust_cfa_offset 4
	mov $KERNEL_DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov $PROCESSOR_DATA_SELECTOR, %eax
	mov %eax, %gs
	cld
	.endm

	.macro restore_registers
	pop %gs
	.cfi_adjust_cfa_offset -4
	pop %fs
	.cfi_adjust_cfa_offset -4
	pop %es
	.cfi_adjust_cfa_offset -4
	pop %ds
	.cfi_adjust_cfa_offset -4
	popa
	.cfi_adjust_cfa_offset -32
	.cfi_same_value eax
	.cfi_same_value ecx
	.cfi_same_value edx
	.cfi_same_value ebx
	.cfi_same_value ebp
	.cfi_same_value esi
	.cfi_same_value edi
	.endm

	.text
	.globl interrupt_common, interrupt_return
	.type interrupt_common, @function
interrupt_common:
	interrupt_frame_at 8
	save_registers
	push %esp
	.cfi_adjust_cfa_offset 4
	call interrupt_dispatch
	add $4, %esp
	.cfi_adjust_cfa_offset -4
interrupt_return:
	restore_registers
	add $8, %esp                            /* vector and error code */
	.cfi_adjust_cfa_offset -8
	iret
	.cfi_endproc
	.size interrupt_common, . - interrupt_common

/* SYSENTER leaves the user's EIP and ESP to the caller: here they arrive in %edx and %ecx. The frame is the one that
   INT 0x80 would have built, with interrupts on in its EFLAGS (SYSENTER has cleared IF; SDM volume 2, SYSENTER). */
	.globl sysenter_entry
	.type sysenter_entry, @function
sysenter_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa ecx, 0
	.cfi_register eip, edx
	push $USER_DATA_SELECTOR
	push %ecx
	push $(0x002 + EFLAGS_IF)
	push $USER_CODE_SELECTOR
	push %edx
	push $0
	push $SYSTEM_CALL_VECTOR
	.cfi_endproc
	interrupt_frame_at 8
	save_registers
	push %esp
	.cfi_adjust_cfa_offset 4
	call interrupt_dispatch
	add $4, %esp
	.cfi_adjust_cfa_offset -4
	restore_registers
	add $8, %esp
	.cfi_adjust_cfa_offset -8
	pop %edx                                /* EIP */
	.cfi_adjust_cfa_offset -4
	.cfi_register eip, edx
	add $8, %esp                            /* CS, EFLAGS */
	.cfi_adjust_cfa_offset -8
	pop %ecx                                /* ESP */
	.cfi_def_cfa ecx, 0
	.cfi_escape 0x16, 4, 1, 0x96            /* ESP is the CFA: DW_OP_nop */
	sti                                     /* takes effect after SYSEXIT */
	sysexit
	.cfi_endproc
	.size sysenter_entry, . - sysenter_entry

/* void switch_stack(void **save, void *load): the rest of the caller runs when something switches back. */
	.globl switch_stack
	.type switch_stack, @function
switch_stack:
	.cfi_startproc
	mov 4(%esp), %eax
	mov 8(%esp), %edx
	push %ebp
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebp, 0
	push %ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset ebx, 0
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi, 0
	push %edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset edi, 0
	mov %esp, (%eax)
	mov %edx, %esp
	pop %edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore edi
	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	pop %ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebx
	pop %ebp
	.cfi_adjust_cfa_offset -4
	.cfi_restore ebp
	ret
	.cfi_endproc
	.size switch_stack, . - switch_stack

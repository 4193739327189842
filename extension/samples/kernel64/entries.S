/* Ways into and out of the kernel: interrupts, exceptions and SYSCALL. The frame that they build is struct interrupt_frame
   in interrupts.h. */
#include "layout.h"
#include "timer.h"

	.cfi_sections .debug_frame

#define CS_IN_STUB 24
#define CS_IN_FRAME 144

/* An interrupt frame whose RIP is offset bytes above RSP. In 64-bit mode SS:RSP is always pushed (SDM volume 3, 6.14.2). */
	.macro interrupt_frame_at offset
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 40 + \offset
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.endm

	.macro save register
	push %\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \register, 0
	.endm

	.macro restore register
	pop %\register
	.cfi_adjust_cfa_offset -8
	.cfi_same_value \register
	.endm

	.macro save_registers
	.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	save \register
	.endr
	cld
	.endm

	.macro restore_registers
	.irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
	restore \register
	.endr
	.endm

	.text

/* One stub a vector: pushes 0 where the processor pushes no error code, then the vector. */
	.macro interrupt_stub vector
	.type interrupt_\vector, @function
interrupt_\vector:
	.if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17)
	interrupt_frame_at 8
	.else
	interrupt_frame_at 0
	push $0
	.cfi_adjust_cfa_offset 8
	.endif
	push $\vector
	.cfi_adjust_cfa_offset 8
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

	.macro stub_address vector
	.quad interrupt_\vector
	.endm

	.section .rodata
	.balign 8
	.globl interrupt_stubs
interrupt_stubs:
	.set vector, 0
	.rept PIC_FIRST_VECTOR + PIC_VECTORS
	stub_address %vector
	.set vector, vector + 1
	.endr
	.noaltmacro

	.text
	.globl interrupt_common, interrupt_return
	.type interrupt_common, @function
interrupt_common:
	interrupt_frame_at 16
	testb $3, CS_IN_STUB(%rsp)
	jz 1f
	swapgs
1:	save_registers
	mov %rsp, %rdi
	call interrupt_dispatch
interrupt_return:
	testb $3, CS_IN_FRAME(%rsp)
	jz 1f
	cli
	swapgs
1:	restore_registers
	add $16, %rsp                           /* vector and error code */
	.cfi_adjust_cfa_offset -16
	iretq
	.cfi_endproc
	.size interrupt_common, . - interrupt_common

/* SYSCALL leaves RIP in %rcx, RFLAGS in %r11, and the user's stack in use. In: %rax = number, %rdi, %rsi = arguments.
   Out: %rax. Changes %rcx, %rdx, %r8 to %r11, as a C function would. */
	.globl syscall_entry
	.type syscall_entry, @function
syscall_entry:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	swapgs
	mov %rsp, %gs:PROCESSOR_USER_STACK
	mov %gs:PROCESSOR_KERNEL_STACK, %rsp
	push %gs:PROCESSOR_USER_STACK
	push %rcx
	.cfi_def_cfa rsp, 16
	.cfi_offset rip, -16
	.cfi_offset rsp, -8
	push %r11
	.cfi_adjust_cfa_offset 8
	sub $8, %rsp                            /* keeps calls aligned to 16 bytes */
	.cfi_adjust_cfa_offset 8
	sti
	mov %rsi, %rdx
	mov %rdi, %rsi
	mov %rax, %rdi
	call system_call
	cli
	add $8, %rsp
	.cfi_adjust_cfa_offset -8
	pop %r11
	.cfi_adjust_cfa_offset -8
	pop %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	pop %rsp
	.cfi_def_cfa rsp, 0
	.cfi_val_offset rsp, 0
	swapgs
	sysretq
	.cfi_endproc
	.size syscall_entry, . - syscall_entry

/* void process_enter(void **save, uint64_t instruction, uint64_t stack): to ring 3. Returns when process_leave is called. */
	.globl process_enter
	.type process_enter, @function
process_enter:
	.cfi_startproc
	.irp register, rbp, rbx, r12, r13, r14, r15
	save \register
	.endr
	mov %rsp, (%rdi)
	cli
	swapgs
	push $USER_DATA_SELECTOR
	.cfi_adjust_cfa_offset 8
	push %rdx
	.cfi_adjust_cfa_offset 8
	push $0x202                             /* RFLAGS with IF */
	.cfi_adjust_cfa_offset 8
	push $USER_CODE_SELECTOR
	.cfi_adjust_cfa_offset 8
	push %rsi
	.cfi_adjust_cfa_offset 8
	iretq
	.cfi_endproc
	.size process_enter, . - process_enter

/* void process_leave(void *saved): goes on after the process_enter that saved it. */
	.globl process_leave
	.type process_leave, @function
process_leave:
	.cfi_startproc
	mov %rdi, %rsp
	.cfi_def_cfa rsp, 56
	.irp register, r15, r14, r13, r12, rbx, rbp
	restore \register
	.endr
	ret
	.cfi_endproc
	.size process_leave, . - process_leave

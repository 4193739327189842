/* Into the guest and back (SDM volume 3, sections 28.1 and 30.3). */
#include "layout.h"
#include "vmcs.h"

	.cfi_sections .debug_frame
	.text

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

/* int enter_guest(struct guest_registers *registers, int launch): runs the guest until its next VM exit. 0 after a VM exit; 1 when the
   instruction failed without a current VMCS (CF), 2 when it failed with an error number (ZF). The processor keeps RIP, RSP and
   RFLAGS of both sides in the VMCS; the other general registers are ours to change. */
	.globl enter_guest
	.type enter_guest, @function
enter_guest:
	.cfi_startproc
	.irp register, rbp, rbx, r12, r13, r14, r15
	save \register
	.endr
	push %rdi
	.cfi_adjust_cfa_offset 8

	mov $HOST_RSP, %eax
	vmwrite %rsp, %rax
	mov $HOST_RIP, %eax
	mov $after_exit, %edx
	vmwrite %rdx, %rax

	test %esi, %esi                         /* what follows does not change the flags */
	mov 0(%rdi), %rax
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 40(%rdi), %rbp
	mov 48(%rdi), %rsi
	mov 64(%rdi), %r8
	mov 72(%rdi), %r9
	mov 80(%rdi), %r10
	mov 88(%rdi), %r11
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 56(%rdi), %rdi
	jnz 1f
	vmresume
	jmp entry_failed
1:	vmlaunch

entry_failed:                                   /* a VM entry that succeeds does not come here */
	mov $1, %eax
	jc 2f
	mov $2, %eax
2:	add $8, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -8
	jmp 3f

	/* Every VM exit comes here: HOST_RIP. */
	.cfi_restore_state
	.globl after_exit
after_exit:
	push %rdi
	.cfi_adjust_cfa_offset 8
	mov 8(%rsp), %rdi                       /* registers */
	mov %rax, 0(%rdi)
	mov %rcx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rbx, 24(%rdi)
	mov %rbp, 40(%rdi)
	mov %rsi, 48(%rdi)
	mov %r8, 64(%rdi)
	mov %r9, 72(%rdi)
	mov %r10, 80(%rdi)
	mov %r11, 88(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	pop %rax
	.cfi_adjust_cfa_offset -8
	mov %rax, 56(%rdi)                      /* the guest's RDI */
	add $8, %rsp
	.cfi_adjust_cfa_offset -8
	xor %eax, %eax
3:
	.irp register, r15, r14, r13, r12, rbx, rbp
	restore \register
	.endr
	ret
	.cfi_endproc
	.size enter_guest, . - enter_guest

/* Where the guest is entered, how it asks the hypervisor, and the ways into its interrupt handlers. */
#include "layout.h"

	.cfi_sections .debug_frame
	.text

	.globl guest_entry
	.type guest_entry, @function
guest_entry:
	.cfi_startproc
	.cfi_undefined rip
	xor %ebp, %ebp
	call guest_main
	.cfi_endproc
	.size guest_entry, . - guest_entry

/* uint64_t ask_hypervisor(uint64_t call, uint64_t argument) */
	.globl ask_hypervisor
	.type ask_hypervisor, @function
ask_hypervisor:
	.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	mov %rdi, %rax
	mov %rsi, %rbx
	vmcall
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_same_value rbx
	ret
	.cfi_endproc
	.size ask_hypervisor, . - ask_hypervisor

	.globl guest_steps
	.type guest_steps, @function
guest_steps:
	.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	mov $CALL_STEP, %eax
	mov $4, %ebx
	vmcall
	mov $1, %eax                            /* here the exits come */
	add $2, %eax
	add $3, %eax
	add $4, %eax
	pop %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_same_value rbx
	ret
	.cfi_endproc
	.size guest_steps, . - guest_steps

/* A handler in C; the processor has pushed RIP, CS, RFLAGS, RSP, SS (SDM volume 3, section 6.14.2) and `error` bytes more. */
	.macro handler name, function, error
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 40 + \error
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	push %\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \register, 0
	.endr
	cld
	call \function
	.irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	pop %\register
	.cfi_adjust_cfa_offset -8
	.cfi_same_value \register
	.endr
	.if \error
	add $\error, %rsp
	.cfi_adjust_cfa_offset -\error
	.endif
	iretq
	.cfi_endproc
	.size \name, . - \name
	.endm

	handler page_fault_entry, guest_page_fault, 8
	handler timer_entry, guest_timer, 0

	.bss
	.balign 16
	.skip 2 * PAGE_SIZE
	.globl guest_stack_top
guest_stack_top:

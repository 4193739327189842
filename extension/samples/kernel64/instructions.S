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
	mov %rdx, %rcx
	mov %rdi, %rdx
	mov %rsi, %rax
	label divide_instruction
	div %rcx
	ret
	label divide_recovery
	mov $-1, %rax
	ret
	end divide

	function read_word
	label read_instruction
	mov (%rdi), %rax
	ret
	label read_recovery
	mov $-1, %rax
	ret
	end read_word

	function write_word
	xor %eax, %eax
	label write_instruction
	mov %rsi, (%rdi)
	ret
	label write_recovery
	mov $-1, %rax
	ret
	end write_word

/* When the fetch at the target faults, RIP is the target and the return address is on the stack. */
	function call_at
	call *%rdi
	ret
	end call_at
	function call_recovery
	mov $-1, %rax
	ret
	end call_recovery

	function patchable
	movabs $1, %rax
	.globl patchable_immediate
	.set patchable_immediate, . - 8
	ret
	end patchable

/* The nanobenchmarks in ring 0: void NAME(uint32_t repetitions), each repetition as few instructions as can be. */
#include "architecture.h"

	.cfi_sections .debug_frame
	.text

	.macro loop_function name
	.globl \name
	.type \name, @function
\name:
	.cfi_startproc
	mov 4(%esp), %ecx
	.endm

	.macro end name
	ret
	.cfi_endproc
	.size \name, . - \name
	.endm

	loop_function loop_in
1:	in $0x80, %al
	dec %ecx
	jnz 1b
	end loop_in

/* The task priority by device memory: CR8 exists in 64-bit mode only (SDM volume 3, section 10.8.6.1). */
	loop_function loop_cr8wr
1:	movl $0, APIC_TASK_PRIORITY
	dec %ecx
	jnz 1b
	end loop_cr8wr

	loop_function loop_callret
1:	call 2f
	dec %ecx
	jnz 1b
	end loop_callret
2:	ret

	.globl pgfault_instruction, pgfault_next, divzero_next
	loop_function loop_pgfault
1:
pgfault_instruction:
	mov USER_BASE - PAGE_SIZE, %eax         /* never mapped */
pgfault_next:
	dec %ecx
	jnz 1b
	end loop_pgfault

	loop_function loop_divzero
	push %ebx
	xor %ebx, %ebx
1:	div %ebx
divzero_next:
	dec %ecx
	jnz 1b
	pop %ebx
	end loop_divzero

/* void loop_ptemod(uint32_t repetitions, uint32_t *entry, uint32_t value): two stores a repetition would be two operations,
   so that the value alternates with the one that has a bit of the software's turned over. */
	loop_function loop_ptemod
	mov 8(%esp), %edx
	mov 12(%esp), %eax
1:	mov %eax, (%edx)
	xor $0x200, %eax
	dec %ecx
	jnz 1b
	end loop_ptemod

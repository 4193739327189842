/* System calls, from ring 3: the hypervisor leaves INT 0x80 to the processor (Barham et al., section 3.3.1). */
	.text
	.globl user_main_entry
	.type user_main_entry, @function
user_main_entry:
	xor %ebp, %ebp
	push %eax
	call user_main
	.size user_main_entry, . - user_main_entry

/* uintptr_t system_call(uintptr_t number, uintptr_t argument) */
	.globl system_call
	.type system_call, @function
system_call:
	push %ebx
	mov 8(%esp), %eax
	mov 12(%esp), %ebx
	int $0x80
	pop %ebx
	ret
	.size system_call, . - system_call

/* void loop_system_call(uint32_t repetitions): to a kernel that comes back at once. */
	.globl loop_system_call
	.type loop_system_call, @function
loop_system_call:
	mov 4(%esp), %ecx
	mov $-1, %eax
1:	int $0x80
	dec %ecx
	jnz 1b
	ret
	.size loop_system_call, . - loop_system_call

	.section .note.GNU-stack, "", @progbits

/* isPrime: trial division, with the control flow of the example in Adams & Agesen, "A Comparison of Software and Hardware
   Techniques for x86 Virtualization" (ASPLOS 2006), section 3.2.

   Binary translation cuts it into these translation units, each of which becomes a compiled code fragment (CCF) when it is
   first reached:

     isPrime    4 instructions, ends at jge
     nexti      5 instructions, ends at jz
     (inc)      3 instructions, ends at jl
     notPrime   2 instructions, ends at ret
     prime      2 instructions, ends at ret; never reached for 49, so never translated */

	.cfi_sections .debug_frame
	.text

/* In: %edi = a. Out: %eax = 1 if a is prime, else 0. Changes %ecx, %edx, %esi and the flags. */
	.globl isPrime, nexti, prime, notPrime
	.type isPrime, @function
isPrime:
	.cfi_startproc
	mov %edi, %ecx          /* %ecx = a */
	mov $2, %esi            /* i = 2 */
	cmp %ecx, %esi          /* is i >= a? */
	jge prime
nexti:
	mov %ecx, %eax          /* %edx:%eax = a */
	cdq
	idiv %esi               /* %edx = a % i */
	test %edx, %edx
	jz notPrime
	inc %esi                /* i++ */
	cmp %ecx, %esi          /* is i < a? */
	jl nexti
prime:
	mov $1, %eax
	ret
notPrime:
	xor %eax, %eax
	ret
	.cfi_endproc
	.size isPrime, . - isPrime

/* int call_is_prime(int a): the one call of isPrime, between the labels before_isprime and after_isprime.
   Saves %esi and %edi, which belong to the caller (System V ABI, Intel386 supplement, "Registers and the Stack Frame"). */
	.globl call_is_prime, before_isprime, after_isprime
	.type call_is_prime, @function
call_is_prime:
	.cfi_startproc
	push %esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset esi, 0
	push %edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset edi, 0
	mov 12(%esp), %edi
before_isprime:
	call isPrime
after_isprime:
	pop %edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore edi
	pop %esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore esi
	ret
	.cfi_endproc
	.size call_is_prime, . - call_is_prime

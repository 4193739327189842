#include "checks.h"
#include "instructions.h"
#include "interrupts.h"
#include "layout.h"
#include "paging.h"
#include "print.h"

/* mov $7, %eax; ret */
__asm__(".data\n\t.globl not_executable\nnot_executable:\n\tmov $7, %eax\n\tret\n\t.text");

static const char *yes_or_no(int condition)
{
	return condition ? "yes" : "no";
}

void check_arithmetic(void)
{
	uint64_t low, high;

	__asm__("mul %3" : "=a"(low), "=d"(high) : "a"(0xfedcba9876543210), "r"(0x123456789abcdef0ull) : "cc");
	print("128-bit product: %p %p\n", (void *)high, (void *)low);
	print("divided again: %p\n", (void *)divide(high, low, 0x123456789abcdef0));

	static uint64_t words[16], copy[16];
	for (unsigned i = 0; i < 16; i++)
		words[i] = 0x0101010101010101 * i;
	const void *from = words;
	void *to = copy;
	uint64_t count = 16;
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	uint64_t rotated = copy[15];
	__asm__("rol $12, %0; bswap %0; bsr %0, %0" : "+r"(rotated) : : "cc");
	print("sixteenth quadword %p, highest bit after ROL and BSWAP %u\n", (void *)copy[15], (unsigned)rotated);
}

void check_exceptions(void)
{
	__asm__ volatile("int3");
	print("divide error recovered: %s\n", yes_or_no(divide(0, 1, 0) == FAULT_RECOVERED));
	print("absent page recovered: %s\n", yes_or_no(read_word(0x1000) == FAULT_RECOVERED));
	print("non-canonical address recovered: %s\n", yes_or_no(read_word(0x0000900000000000) == FAULT_RECOVERED));
}

void check_page_rights(void)
{
	print("kernel code is read-only: %s\n",
	      yes_or_no(write_word((uint64_t)&patchable_immediate, 0) == FAULT_RECOVERED));
	if (page_no_execute != 0)
		print("kernel data is not executable: %s\n",
		      yes_or_no(call_at((uint64_t)not_executable) == FAULT_RECOVERED));
	else
		print("kernel data is executable: the processor cannot forbid it\n");
}

/* Through the direct mapping: another linear address of the same guest-physical page. */
void check_self_modifying_code(void)
{
	uint64_t *alias = physical((uint64_t)&patchable_immediate - KERNEL_BASE);
	uint64_t before = patchable(), sum = 0;

	for (uint64_t value = 1; value <= 100; value++) {
		*(volatile uint64_t *)alias = value;
		sum += patchable();
	}
	*(volatile uint64_t *)alias = 0xfeedfacecafebeef;
	print("self-modifying code: %u, sum of a hundred patches %u, then %p\n", (unsigned)before, (unsigned)sum,
	      (void *)patchable());
}

void check_timer(void)
{
	wait_for_ticks(3);
	print("timer: halted for 3 ticks\n");
}

/* The program of the process, in ring 3. It may not call the kernel's functions: their pages are the supervisor's. */
#include "layout.h"
#include <stdint.h>

struct matrix {
	int64_t cell[3][3];
};

struct account {
	char owner[8];
	int64_t balance;
	struct account *next;
	enum { ACCOUNT_OPEN, ACCOUNT_CLOSED } state;
};

uint64_t call_kernel(uint64_t number, uint64_t first, uint64_t second);

static struct matrix power;
static int64_t greatest = 0x7fffffffffffffff;

static void say(const char *text)
{
	uint64_t length = 0;

	while (text[length] != '\0')
		length++;
	call_kernel(SYSTEM_CALL_WRITE, (uint64_t)text, length);
}

static void say_number(uint64_t value)
{
	char digit = (char)('0' + value % 10);

	if (value >= 10)
		say_number(value / 10);
	call_kernel(SYSTEM_CALL_WRITE, (uint64_t)&digit, 1);
}

static void report(const char *what, uint64_t value)
{
	say("process: ");
	say(what);
	say(" ");
	say_number(value);
	say("\n");
}

static void multiply(struct matrix *result, const struct matrix *left, const struct matrix *right)
{
	struct matrix product;

	for (unsigned row = 0; row < 3; row++) {
		for (unsigned column = 0; column < 3; column++) {
			int64_t sum = 0;
			for (unsigned i = 0; i < 3; i++)
				sum += left->cell[row][i] * right->cell[i][column];
			product.cell[row][column] = sum;
		}
	}
	for (unsigned i = 0; i < 9; i++)
		result->cell[i / 3][i % 3] = product.cell[i / 3][i % 3];
}

/* One page an account, so that each is a page fault. */
static int64_t sum_accounts(unsigned count)
{
	struct account *first = 0;
	int64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		struct account *account = (struct account *)(HEAP_START + (uint64_t)i * PAGE_SIZE);
		account->owner[0] = (char)('a' + i);
		account->balance = (int64_t)1 << (10 * i);
		account->state = i == 1 ? ACCOUNT_CLOSED : ACCOUNT_OPEN;
		account->next = first;
		first = account;
	}
	for (const struct account *account = first; account != 0; account = account->next)
		sum += account->state == ACCOUNT_OPEN ? account->balance : 0;
	return sum;
}

static uint64_t sum_by_recursion(uint64_t depth)
{
	volatile char room[2048];

	room[0] = (char)depth;
	return depth == 0 ? 0 : (uint64_t)room[0] + sum_by_recursion(depth - 1);
}

int user_main(void)
{
	static const struct matrix step = { { { 1, 1, 0 }, { 1, 0, 0 }, { 0, 0, 2 } } };

	say("process: in ring 3\n");
	for (unsigned i = 0; i < 3; i++)
		power.cell[i][i] = 1;
	for (unsigned i = 0; i < 60; i++)
		multiply(&power, &power, &step);
	report("Fibonacci 60", (uint64_t)power.cell[0][1]);
	report("two to the 60", (uint64_t)power.cell[2][2]);
	report("accounts", (uint64_t)sum_accounts(4));
	report("recursion", sum_by_recursion(5));
	report("greatest", (uint64_t)greatest--);

	uint8_t *fresh = (uint8_t *)(HEAP_START + 8 * PAGE_SIZE);
	call_kernel(SYSTEM_CALL_FILL, (uint64_t)fresh, 100);
	report("filled by the kernel with", fresh[99]);
	report("refused system call", call_kernel(99, 0, 0) + 1);
	__asm__ volatile("int3");

	/* The timer interrupts this loop. */
	uint64_t start = call_kernel(SYSTEM_CALL_TICKS, 0, 0);
	while (call_kernel(SYSTEM_CALL_TICKS, 0, 0) == start)
		;
	say("process: saw the clock go on\n");

	*(volatile uint64_t *)KERNEL_BASE = 0;
	return 1;
}

/* The program of both processes, in ring 3. It may not call the kernel's functions: their pages are the supervisor's. */
#include "layout.h"

enum exit_status { STATUS_DONE = 0, STATUS_REACHED_THE_KERNEL = 1 };

struct list_node {
	struct list_node *next;
	uint32_t value;
	char filler[PAGE_SIZE - 8];
};

struct turn {
	unsigned pid : 4;
	unsigned round : 4;
	unsigned sum : 24;
};

uint32_t call_by_gate(uint32_t number, uint32_t first, uint32_t second);
uint32_t call_by_sysenter(uint32_t number, uint32_t first, uint32_t second);
uint32_t user_patchable(void);
extern uint32_t user_patchable_immediate;

static const struct clock_page *const clock = (const struct clock_page *)CLOCK_PAGE;
static struct turn turns[3];
static uint32_t shared_start = 1000;

static uint32_t call_kernel(uint32_t number, uint32_t first, uint32_t second)
{
	if (clock->has_sysenter)
		return call_by_sysenter(number, first, second);
	return call_by_gate(number, first, second);
}

static void say(const char *text)
{
	uint32_t length = 0;

	while (text[length] != '\0')
		length++;
	call_kernel(SYSTEM_CALL_WRITE, (uint32_t)text, length);
}

static void say_number(uint32_t value)
{
	char digit = (char)('0' + value % 10);

	if (value >= 10)
		say_number(value / 10);
	call_kernel(SYSTEM_CALL_WRITE, (uint32_t)&digit, 1);
}

static void report(uint32_t pid, const char *what, uint32_t value)
{
	say("process ");
	say_number(pid);
	say(": ");
	say(what);
	say(" ");
	say_number(value);
	say("\n");
}

/* Needs a fresh stack page every few levels. */
static uint32_t sum_by_recursion(uint32_t depth)
{
	volatile char room[1024];

	room[0] = (char)depth;
	if (depth == 0)
		return 0;
	return (uint32_t)room[0] + sum_by_recursion(depth - 1);
}

static uint32_t sum_list(const struct list_node *node)
{
	uint32_t sum = 0;

	for (; node != 0; node = node->next)
		sum += node->value;
	return sum;
}

/* One page a node, so that each node is a page fault. */
static struct list_node *make_list(uint32_t count)
{
	struct list_node *nodes = (struct list_node *)HEAP_START;

	call_kernel(SYSTEM_CALL_BRK, (uint32_t)&nodes[count], 0);
	for (uint32_t i = 0; i < count; i++) {
		nodes[i].value = i + 1;
		nodes[i].next = i + 1 < count ? &nodes[i + 1] : 0;
	}
	return nodes;
}

static void take_turns(uint32_t pid)
{
	for (unsigned round = 0; round < 3; round++) {
		turns[round].pid = pid & 15;
		turns[round].round = round & 15;
		turns[round].sum = (shared_start + pid * round) & 0xffffff;
		report(pid, "turn", turns[round].sum);
		shared_start += 100 * pid;
		call_kernel(SYSTEM_CALL_YIELD, 0, 0);
	}
}

static void describe_into_fresh_page(uint32_t pid)
{
	struct process_description *description = (struct process_description *)(HEAP_START + 8 * PAGE_SIZE);

	call_kernel(SYSTEM_CALL_BRK, (uint32_t)(description + 1), 0);
	call_kernel(SYSTEM_CALL_DESCRIBE, (uint32_t)description, 0);
	report(pid, "pages copied so far", description->copied_pages);
}

int user_main(uint32_t pid)
{
	uint32_t by_gate = call_by_gate(SYSTEM_CALL_GETPID, 0, 0);
	uint32_t by_fast_call = call_kernel(SYSTEM_CALL_GETPID, 0, 0);

	report(pid, by_gate == by_fast_call ? "both system calls say" : "system calls differ:", by_fast_call);
	report(pid, "recursion", sum_by_recursion(10));
	report(pid, "list", sum_list(make_list(pid + 1)));
	take_turns(pid);
	describe_into_fresh_page(pid);

	report(pid, "before patching", user_patchable());
	user_patchable_immediate = 20 + pid;
	report(pid, "after patching", user_patchable());

	__asm__ volatile("int3");

	/* The timer interrupts this loop. */
	for (uint32_t start = clock->ticks; clock->ticks == start;)
		;
	report(pid, "saw the clock go on; refused system call says", call_kernel(99, 0, 0) + 1);

	if (pid == 2) {
		*(volatile uint32_t *)KERNEL_BASE = 0;
		return STATUS_REACHED_THE_KERNEL;
	}
	return STATUS_DONE;
}

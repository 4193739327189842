/* The program of the process, in ring 3. It may not call the kernel's functions: it does not see their pages. */
#include "layout.h"

long call_kernel(long number, long first, long second);
int user_main(void);

struct node {
	int value;
	struct node *next;
};

static volatile int greeting_count = 3;
static volatile char zeroed[64];

static void say(const char *text)
{
	long length = 0;

	while (text[length] != '\0')
		length++;
	call_kernel(CALL_WRITE, (long)text, length);
}

static int recursion(int depth)
{
	volatile char frame[1024];

	frame[0] = (char)depth;
	return depth == 0 ? frame[0] : depth + recursion(depth - 1);
}

int user_main(void)
{
	struct node *list = 0;
	int sum = 0;

	say("process: hello through a system call\n");
	for (int i = 0; i < greeting_count; i++) {
		struct node *node = (struct node *)(USER_HEAP + i * 4096l);
		node->value = i + 1;
		node->next = list;
		list = node;
	}
	for (; list != 0; list = list->next)
		sum += list->value;
	say(sum == 6 ? "process: list on the heap holds\n" : "process: list on the heap is broken\n");
	say(recursion(10) == 55 ? "process: recursion holds\n" : "process: recursion is broken\n");
	say(zeroed[63] == 0 && call_kernel(CALL_ADD, 40, 2) == 42 ? "process: the kernel adds\n" : "process: the kernel is wrong\n");
	/* The clock goes on although the process never gives up the processor. */
	const long before = call_kernel(CALL_TICKS, 0, 0);
	while (call_kernel(CALL_TICKS, 0, 0) < before + 2)
		for (volatile int spin = 0; spin < 100; spin++)
			;
	say("process: saw the clock go on\n");
	__asm__ volatile("int3");
	say("process: goes for the kernel\n");
	*(volatile char *)VIRTUAL_BASE = 1;
	say("process: wrote the kernel\n");
	return 1;
}

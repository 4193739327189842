/* A spin lock. PAUSE tells the processor that it waits (SDM Vol. 2B, PAUSE). */
#ifndef LOCK_H
#define LOCK_H

struct lock {
	volatile unsigned taken;
};

static inline void lock_take(struct lock *lock)
{
	unsigned was = 1;

	for (;;) {
		__asm__ volatile("xchg %0, %1" : "+r"(was), "+m"(lock->taken) : : "memory");
		if (was == 0)
			return;
		while (lock->taken)
			__asm__ volatile("pause");
		was = 1;
	}
}

static inline void lock_release(struct lock *lock)
{
	__asm__ volatile("" : : : "memory");
	lock->taken = 0;
}

#endif

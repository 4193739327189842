#include "events.h"
#include "domain.h"
#include "hypercall.h"

/* Entry code. */
void upcall_entry(void);
void failsafe_entry(void);
#ifdef __x86_64__
void syscall_entry(void);
#endif

#define MOST_PORTS 64

static void (*handlers[MOST_PORTS])(event_port);
static volatile unsigned handled;

void events_initialize(void)
{
	for (unsigned i = 0; i < LONG_BITS; i++)
		SHARED->event_mask[i] = ~0ul;
	VCPU->upcall_mask = 1;
#ifdef __x86_64__
	hypercall(HYPERCALL_SET_CALLBACKS, (unsigned long)upcall_entry, (unsigned long)failsafe_entry,
		  (unsigned long)syscall_entry, 0);
#else
	hypercall(HYPERCALL_SET_CALLBACKS, KERNEL_CS, (unsigned long)upcall_entry, KERNEL_CS, (unsigned long)failsafe_entry);
#endif
}

void events_enable(void)
{
	VCPU->upcall_mask = 0;
	__asm__ volatile("" : : : "memory");
	/* What became pending meanwhile was not announced. Any hypercall is an occasion to deliver it. */
	if (VCPU->upcall_pending)
		sched_op(SCHEDULE_YIELD, 0);
}

void events_disable(void)
{
	VCPU->upcall_mask = 1;
	__asm__ volatile("" : : : "memory");
}

void event_handle(event_port port, void (*handler)(event_port))
{
	must(port < MOST_PORTS);
	handlers[port] = handler;
	event_channel_op(EVENT_UNMASK, &port);
}

void event_send(event_port port)
{
	must(event_channel_op(EVENT_SEND, &port) == 0);
}

event_port event_bind_virq(unsigned virq)
{
	struct event_bind_virq bind = { virq, 0, 0 };

	must(event_channel_op(EVENT_BIND_VIRQ, &bind) == 0);
	return bind.port;
}

void event_wait(void)
{
	const unsigned before = handled;

	while (handled == before) {
		/* Blocking unmasks events in one step, so that none is missed. */
		sched_op(SCHEDULE_BLOCK, 0);
		events_disable();
	}
}

static unsigned long exchange_zero(volatile unsigned long *word)
{
	unsigned long value = 0;

	__asm__ volatile("xchg %0, %1" : "+r"(value), "+m"(*word) : : "memory");
	return value;
}

void event_upcall(void)
{
	while (VCPU->upcall_pending) {
		VCPU->upcall_pending = 0;
		unsigned long selector = exchange_zero(&VCPU->pending_selector);
		while (selector != 0) {
			const unsigned word = __builtin_ctzl(selector);
			selector &= selector - 1;
			unsigned long ready = SHARED->event_pending[word] & ~SHARED->event_mask[word];
			while (ready != 0) {
				const unsigned bit = __builtin_ctzl(ready);
				const event_port port = word * LONG_BITS + bit;
				ready &= ready - 1;
				__asm__ volatile("lock; btr %1, %0" : "+m"(SHARED->event_pending[word]) : "r"((unsigned long)bit));
				handled++;
				if (port < MOST_PORTS && handlers[port] != 0)
					handlers[port](port);
			}
		}
	}
}

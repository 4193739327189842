#include "clock.h"
#include "domain.h"
#include "events.h"
#include "hypercall.h"

static volatile unsigned ticks;
static uint64_t period;
static event_port port;

uint64_t clock_now(void)
{
	const volatile struct vcpu_time_info *time = &VCPU->time;
	uint32_t version, low, high;
	uint64_t now;

	do {
		do
			version = time->version;
		while (version & 1);
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
		uint64_t delta = ((uint64_t)high << 32 | low) - time->tsc_timestamp;
		if (time->tsc_shift >= 0)
			delta <<= time->tsc_shift;
		else
			delta >>= -time->tsc_shift;
		now = time->system_time + ((delta & 0xffffffff) * time->tsc_to_system_mul >> 32) +
		      (delta >> 32) * time->tsc_to_system_mul;
	} while (version != time->version);
	return now;
}

static void on_timer(event_port from)
{
	(void)from;
	ticks++;
	if (period != 0)
		set_timer_op(clock_now() + period);
}

void clock_start(unsigned microseconds)
{
	if (port == 0)
		port = event_bind_virq(VIRQ_TIMER);
	ticks = 0;
	period = (uint64_t)microseconds * 1000;
	event_handle(port, on_timer);
	set_timer_op(clock_now() + period);
}

void clock_stop(void)
{
	period = 0;
	set_timer_op(0);
}

unsigned clock_ticks(void)
{
	return ticks;
}

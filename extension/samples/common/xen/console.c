/* Text for people: through the ring that a domain shares with its console, or, in Domain 0, by a hypercall. */
#include "domain.h"
#include "../serial.h"
#include "hypercall.h"
#include "paging.h"

static struct console_ring *ring;

void serial_initialize(void)
{
	if (!domain_is_initial())
		ring = (struct console_ring *)table_of_frame(start_info->console_frame);
}

static void notify(void)
{
	event_port port = start_info->console_port;

	event_channel_op(EVENT_SEND, &port);
}

static void write_ring(char byte)
{
	volatile struct console_ring *console = ring;

	while (console->out_producer - console->out_consumer >= sizeof(ring->out)) {
		notify();
		sched_op(SCHEDULE_YIELD, 0);
	}
	console->out[console->out_producer % sizeof(ring->out)] = byte;
	console->out_producer++;
}

/* A line is sent when it is complete. */
void serial_write(char byte)
{
	static char line[256];
	static unsigned used;

	if (ring != 0) {
		write_ring(byte);
		if (byte == '\n')
			notify();
		return;
	}
	line[used++] = byte;
	if (byte != '\n' && used < sizeof(line))
		return;
	hypercall(HYPERCALL_CONSOLE_IO, CONSOLE_WRITE, used, (unsigned long)line, 0);
	used = 0;
}

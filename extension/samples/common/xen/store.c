#include "store.h"
#include "../memory.h"
#include "domain.h"
#include "events.h"
#include "hypercall.h"
#include "paging.h"
#include <stdarg.h>

#define MOST_PAYLOAD 1024

static volatile struct store_ring *ring;
static event_port port;
static unsigned events;
static char payload[MOST_PAYLOAD + 1];
static struct store_message reply;

static void on_event(event_port from)
{
	(void)from;
}

int store_initialize(void)
{
	if (start_info->store_frame == 0)
		return 0;
	ring = (volatile struct store_ring *)table_of_frame(start_info->store_frame);
	port = start_info->store_port;
	event_handle(port, on_event);
	return 1;
}

static void put(const void *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		while (ring->request_producer - ring->request_consumer >= STORE_RING_BYTES) {
			event_send(port);
			event_wait();
		}
		ring->requests[ring->request_producer % STORE_RING_BYTES] = ((const char *)bytes)[i];
		__asm__ volatile("" : : : "memory");
		ring->request_producer++;
	}
}

/* Takes bytes out of the replies; waits for them. What does not fit into `to` is dropped. */
static void get(void *to, unsigned room, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		while (ring->reply_producer == ring->reply_consumer)
			event_wait();
		if (i < room)
			((char *)to)[i] = ring->replies[ring->reply_consumer % STORE_RING_BYTES];
		__asm__ volatile("" : : : "memory");
		ring->reply_consumer++;
	}
	event_send(port);
}

/* One message from the ring into `reply` and `payload`. */
static void receive(void)
{
	get(&reply, sizeof(reply), sizeof(reply));
	get(payload, MOST_PAYLOAD, reply.length);
	payload[reply.length < MOST_PAYLOAD ? reply.length : MOST_PAYLOAD] = '\0';
	if (reply.type == STORE_WATCH_EVENT)
		events++;
}

/* Sends a request of one or two parts and waits for its reply; -1 for an error, else its length. */
static int request(unsigned type, unsigned transaction, const char *first, unsigned first_bytes, const char *second,
		   unsigned second_bytes)
{
	const struct store_message header = { type, 1, transaction, first_bytes + second_bytes };

	put(&header, sizeof(header));
	put(first, first_bytes);
	put(second, second_bytes);
	event_send(port);
	do
		receive();
	while (reply.type == STORE_WATCH_EVENT);
	return reply.type == STORE_ERROR ? -1 : (int)reply.length;
}

static unsigned length_of(const char *text)
{
	unsigned length = 0;

	while (text[length] != '\0')
		length++;
	return length;
}

int store_read(unsigned transaction, const char *path, char *value, unsigned size)
{
	const int length = request(STORE_READ, transaction, path, length_of(path) + 1, "", 0);

	if (length < 0 || (unsigned)length >= size)
		return -1;
	memcpy(value, payload, length + 1);
	return length;
}

int store_read_number(unsigned transaction, const char *path)
{
	char text[16];
	int value = 0;

	if (store_read(transaction, path, text, sizeof(text)) <= 0)
		return -1;
	for (const char *digit = text; *digit >= '0' && *digit <= '9'; digit++)
		value = 10 * value + *digit - '0';
	return value;
}

int store_write(unsigned transaction, const char *path, const char *value)
{
	return request(STORE_WRITE, transaction, path, length_of(path) + 1, value, length_of(value)) < 0 ? -1 : 0;
}

int store_write_number(unsigned transaction, const char *path, unsigned value)
{
	return store_write(transaction, path, decimal(value));
}

int store_remove(unsigned transaction, const char *path)
{
	return request(STORE_RM, transaction, path, length_of(path) + 1, "", 0) < 0 ? -1 : 0;
}

int store_directory(unsigned transaction, const char *path, char *names, unsigned size)
{
	const int length = request(STORE_DIRECTORY, transaction, path, length_of(path) + 1, "", 0);

	if (length < 0 || (unsigned)length > size)
		return -1;
	memcpy(names, payload, length);
	return length;
}

int store_watch(const char *path, const char *token)
{
	return request(STORE_WATCH, 0, path, length_of(path) + 1, token, length_of(token) + 1) < 0 ? -1 : 0;
}

unsigned store_transaction_start(void)
{
	unsigned id = 0;

	must(request(STORE_TRANSACTION_START, 0, "", 1, "", 0) > 0);
	for (const char *digit = payload; *digit >= '0' && *digit <= '9'; digit++)
		id = 10 * id + *digit - '0';
	return id;
}

int store_transaction_end(unsigned transaction)
{
	return request(STORE_TRANSACTION_END, transaction, "T", 2, "", 0) >= 0;
}

unsigned store_events(void)
{
	return events;
}

void store_wait(unsigned seen)
{
	while (events == seen)
		receive();
}

int store_poll(void)
{
	const unsigned seen = events;

	while (ring->reply_producer != ring->reply_consumer)
		receive();
	return events != seen;
}

const char *join(char *buffer, unsigned size, ...)
{
	unsigned used = 0;
	va_list parts;

	va_start(parts, size);
	for (const char *part = va_arg(parts, const char *); part != 0; part = va_arg(parts, const char *)) {
		for (; *part != '\0' && used + 1 < size; part++)
			buffer[used++] = *part;
	}
	va_end(parts);
	buffer[used] = '\0';
	return buffer;
}

const char *decimal(unsigned value)
{
	static char text[12];
	char *digit = text + sizeof(text) - 1;

	do {
		*--digit = '0' + value % 10;
		value /= 10;
	} while (value != 0);
	return digit;
}

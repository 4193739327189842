#include "block-front.h"
#include "../memory.h"
#include "../print.h"
#include "block.h"
#include "domain.h"
#include "events.h"
#include "grants.h"
#include "hypercall.h"
#include "paging.h"
#include "store.h"

#define PATH_BYTES 96
#define BUFFER_PAGES BLOCK_MOST_SEGMENTS

static char ring_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static char buffer[BUFFER_PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static grant_reference buffer_reference[BUFFER_PAGES];
static volatile struct ring_header *ring = (volatile struct ring_header *)ring_page;
static event_port port;
static uint32_t produced, consumed;
static int16_t statuses[RING_SLOTS];
static uint64_t finished;
static char front[PATH_BYTES], back[PATH_BYTES], back_state[PATH_BYTES];
static int backend_gone;

static void *slot(uint32_t index)
{
	return ring_page + RING_HEADER_BYTES + index % RING_SLOTS * SLOT_BYTES(sizeof(long) == 8);
}

static const char *below(const char *folder, const char *name)
{
	static char path[PATH_BYTES + 32];

	return join(path, sizeof(path), folder, "/", name, (char *)0);
}

static void on_event(event_port from)
{
	(void)from;
}

/* Finds the first device; 0 when there is none. */
static int find_device(void)
{
	char names[64];

	if (start_info->store_frame == 0 || store_directory(0, "device/vbd", names, sizeof(names)) <= 0)
		return 0;
	join(front, sizeof(front), "device/vbd/", names, (char *)0);
	if (store_read(0, below(front, "backend"), back, sizeof(back)) <= 0)
		return 0;
	join(back_state, sizeof(back_state), back, "/state", (char *)0);
	return 1;
}

/* Waits until the back end is in a state, or closed. */
static int wait_for_backend(int state)
{
	for (;;) {
		const unsigned seen = store_events();
		const int now = store_read_number(0, back_state);
		if (now == state)
			return 1;
		if (now < 0 || now >= STATE_CLOSING)
			return 0;
		store_wait(seen);
	}
}

static int connect(void)
{
	const domain_id backend = (domain_id)store_read_number(0, below(front, "backend-id"));
	struct event_allocate_unbound listen = { DOMAIN_SELF, backend, 0 };

	must(store_watch(back_state, "backend") == 0);
	if (!wait_for_backend(STATE_INIT_WAIT))
		return 0;
	ring->request_event = ring->response_event = 1;
	const grant_reference reference = grant_page(backend, ring_page, 0);
	for (unsigned i = 0; i < BUFFER_PAGES; i++)
		buffer_reference[i] = grant_page(backend, buffer[i], 0);
	must(event_channel_op(EVENT_ALLOCATE_UNBOUND, &listen) == 0);
	port = listen.port;
	event_handle(port, on_event);
	unsigned transaction;
	do {
		transaction = store_transaction_start();
		store_write_number(transaction, below(front, "ring-ref"), reference);
		store_write_number(transaction, below(front, "event-channel"), port);
		store_write(transaction, below(front, "protocol"), BLOCK_PROTOCOL);
		store_write_number(transaction, below(front, "state"), STATE_INITIALISED);
	} while (!store_transaction_end(transaction));
	if (!wait_for_backend(STATE_CONNECTED))
		return 0;
	store_write_number(0, below(front, "state"), STATE_CONNECTED);
	return 1;
}

static void put_request(unsigned operation, uint64_t sector, unsigned sectors, unsigned first_page)
{
	struct block_request *request = slot(produced);

	request->operation = operation;
	request->handle = 0;
	request->id = produced;
	request->sector = sector;
	request->segments = (sectors + SECTORS_PER_PAGE - 1) / SECTORS_PER_PAGE;
	for (unsigned i = 0; i < request->segments; i++) {
		const unsigned left = sectors - i * SECTORS_PER_PAGE;
		request->segment[i].reference = buffer_reference[first_page + i];
		request->segment[i].first_sector = 0;
		request->segment[i].last_sector = (left < SECTORS_PER_PAGE ? left : SECTORS_PER_PAGE) - 1;
	}
	produced++;
}

static void take_responses(void)
{
	while (consumed != ring->response_producer) {
		const struct block_response *response = slot(consumed);
		statuses[response->id % RING_SLOTS] = response->status;
		consumed++;
		finished++;
	}
	ring->response_event = consumed + 1;
}

/* Hands over what was put, and waits for all of it. 0 when the back end goes away. */
static int finish(void)
{
	__asm__ volatile("" : : : "memory");
	ring->request_producer = produced;
	event_send(port);
	for (;;) {
		take_responses();
		if (consumed == produced)
			return 1;
		event_wait();
		if (store_poll() && store_read_number(0, back_state) != STATE_CONNECTED) {
			backend_gone = 1;
			return 0;
		}
	}
}

/* The status of one transfer. */
static int transfer(unsigned operation, uint64_t sector, unsigned sectors)
{
	const uint32_t id = produced;

	if (backend_gone)
		return BLOCK_ERROR;
	put_request(operation, sector, sectors, 0);
	return finish() ? statuses[id % RING_SLOTS] : BLOCK_ERROR;
}

static unsigned checksum(const void *bytes, unsigned count)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum = sum * 31 + ((const unsigned char *)bytes)[i];
	return sum;
}

static void fill(char *sector, unsigned number)
{
	for (unsigned i = 0; i < SECTOR_BYTES; i++)
		sector[i] = (char)(number * 7 + i);
}

/* Four transfers at once, each of one sector; then one of eleven pages. */
static void write_and_compare(void)
{
	for (unsigned i = 0; i < 4; i++) {
		fill(buffer[i], i);
		put_request(BLOCK_WRITE, 16 + i, 1, i);
	}
	if (!finish())
		return;
	const uint32_t last = produced - 1;
	print("disk: four writes at once %d %d %d %d", statuses[(last - 3) % RING_SLOTS], statuses[(last - 2) % RING_SLOTS],
	      statuses[(last - 1) % RING_SLOTS], statuses[last % RING_SLOTS]);
	memset(buffer[0], 0, PAGE_BYTES);
	const int status = transfer(BLOCK_READ, 16, 4);
	char expected[4][SECTOR_BYTES];
	for (unsigned i = 0; i < 4; i++)
		fill(expected[i], i);
	print(", read back %d, equal: %s\n", status, memcmp(buffer[0], expected, sizeof(expected)) == 0 ? "yes" : "NO");

	for (unsigned i = 0; i < BUFFER_PAGES * SECTORS_PER_PAGE; i++)
		fill(buffer[0] + i * SECTOR_BYTES, 100 + i);
	const unsigned sum = checksum(buffer, sizeof(buffer));
	print("disk: eleven pages written %d", transfer(BLOCK_WRITE, 64, BUFFER_PAGES * SECTORS_PER_PAGE));
	memset(buffer, 0, sizeof(buffer));
	print(", read %d", transfer(BLOCK_READ, 64, BUFFER_PAGES * SECTORS_PER_PAGE));
	print(", equal: %s\n", checksum(buffer, sizeof(buffer)) == sum ? "yes" : "NO");
}

/* What a back end must not believe. */
static void lie(unsigned sectors)
{
	print("disk: beyond its end %d", transfer(BLOCK_READ, sectors, 1));
	print(", across it %d", transfer(BLOCK_READ, sectors - 1, 2));
	print(", unknown operation %d", transfer(77, 0, 1));
	put_request(BLOCK_READ, 0, 1, 0);
	((struct block_request *)slot(produced - 1))->segment[0].reference = 4000;
	finish();
	print(", a page not granted %d", statuses[(produced - 1) % RING_SLOTS]);
	put_request(BLOCK_READ, 0, 1, 0);
	((struct block_request *)slot(produced - 1))->segment[0].last_sector = 200;
	finish();
	print(", a sector outside the page %d\n", statuses[(produced - 1) % RING_SLOTS]);
}

void block_check(void)
{
	if (!find_device()) {
		print("disk: none\n");
		return;
	}
	if (!connect()) {
		print("disk: its back end does not connect\n");
		return;
	}
	const unsigned sectors = (unsigned)store_read_number(0, below(back, "sectors"));
	print("disk: connected, %u sectors of %d bytes\n", sectors, store_read_number(0, below(back, "sector-size")));
	int status = transfer(BLOCK_READ, 0, 1);
	buffer[0][31] = '\0';
	print("disk: read %d, sector 0 begins \"%s\"\n", status, buffer[0]);
	memset(buffer[0], 0, SECTOR_BYTES);
	memcpy(buffer[0], "written through Domain 0", 24);
	status = transfer(BLOCK_WRITE, 1, 1);
	print("disk: sector 1 written %d\n", status);
	if (!backend_gone)
		write_and_compare();
	if (!backend_gone)
		print("disk: flushed %d\n", transfer(BLOCK_FLUSH, 0, 0));
	if (!backend_gone)
		lie(sectors);
	if (backend_gone) {
		print("disk: the back end is gone, its state is %d; transfers fail: %d\n", store_read_number(0, back_state),
		      transfer(BLOCK_READ, 0, 1));
		return;
	}
	if (has_word(start_info->command_line, "lie")) {
		/* More requests than the ring can hold. */
		produced += 1000;
		finish();
		print("disk: after a lie about the ring the back end is in state %d\n", store_read_number(0, back_state));
		return;
	}
	store_write_number(0, below(front, "state"), STATE_CLOSED);
	print("disk: %u transfers, back end closed: %s\n", (unsigned)finished, wait_for_backend(STATE_CLOSED) ? "yes" : "NO");
}

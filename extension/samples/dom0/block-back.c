#include "block-back.h"
#include "../common/memory.h"
#include "../common/print.h"
#include "../common/xen/block.h"
#include "../common/xen/domain.h"
#include "../common/xen/events.h"
#include "../common/xen/hypercall.h"
#include "../common/xen/store.h"
#include "ide.h"

#define MOST_DEVICES 4
#define PATH_BYTES 96
#define NAME_BYTES 16

struct device {
	/* Folders of both ends. */
	char back[PATH_BYTES], front[PATH_BYTES];
	char name[NAME_BYTES];
	domain_id domain;
	int state;
	int is_64_bit;
	/* While it is connected. */
	volatile struct ring_header *ring;
	uint32_t handle;
	event_port port;
	uint32_t consumed, produced;
};

static struct device devices[MOST_DEVICES];
static unsigned device_count;
/* Windows into which rings are mapped. */
static char windows[MOST_DEVICES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static unsigned requests_seen, fault_at;

static const char *below(const char *folder, const char *name)
{
	static char path[PATH_BYTES + 32];

	return join(path, sizeof(path), folder, "/", name, (char *)0);
}

static void set_state(struct device *device, int state)
{
	device->state = state;
	store_write_number(0, below(device->back, "state"), state);
}

static void on_event(event_port port)
{
	(void)port;
}

/* ---- one request ---- */

struct transfer {
	uint64_t id;
	uint64_t sector;
	uint8_t operation;
	uint8_t segments;
	struct block_segment segment[BLOCK_MOST_SEGMENTS];
};

/* Copied out of the ring first: the front end can change it at any time. */
static void take_request(const struct device *device, struct transfer *transfer)
{
	const char *slot = (const char *)device->ring + RING_HEADER_BYTES +
			   device->consumed % RING_SLOTS * SLOT_BYTES(device->is_64_bit);
	const unsigned id_at = REQUEST_ID_AT(device->is_64_bit);

	transfer->operation = *(const volatile uint8_t *)slot;
	transfer->segments = *(const volatile uint8_t *)(slot + 1);
	memcpy(&transfer->id, slot + id_at, sizeof(transfer->id));
	memcpy(&transfer->sector, slot + id_at + 8, sizeof(transfer->sector));
	memcpy(transfer->segment, slot + id_at + 16, sizeof(transfer->segment));
}

static void put_response(struct device *device, const struct transfer *transfer, int status)
{
	char *slot = (char *)device->ring + RING_HEADER_BYTES + device->produced % RING_SLOTS * SLOT_BYTES(device->is_64_bit);

	memcpy(slot, &transfer->id, sizeof(transfer->id));
	slot[8] = (char)transfer->operation;
	*(int16_t *)(slot + 10) = (int16_t)status;
	device->produced++;
	__asm__ volatile("" : : : "memory");
	device->ring->response_producer = device->produced;
}

static unsigned sectors_of(const struct transfer *transfer)
{
	unsigned sectors = 0;

	for (unsigned i = 0; i < transfer->segments; i++) {
		const struct block_segment *segment = &transfer->segment[i];
		if (segment->first_sector > segment->last_sector || segment->last_sector >= SECTORS_PER_PAGE)
			return 0;
		sectors += segment->last_sector - segment->first_sector + 1;
	}
	return sectors;
}

/* The pages are mapped for the device alone: the disk reads and writes them where the other domain has them. */
static int move(const struct device *device, const struct transfer *transfer, unsigned sectors)
{
	const int write = transfer->operation == BLOCK_WRITE;
	struct grant_map maps[BLOCK_MOST_SEGMENTS];
	struct grant_unmap unmaps[BLOCK_MOST_SEGMENTS];
	struct dma_region regions[BLOCK_MOST_SEGMENTS];
	unsigned mapped = 0;
	int done = 1;

	for (unsigned i = 0; i < transfer->segments; i++)
		maps[i] = (struct grant_map){ 0, GRANT_MAP_DEVICE | (write ? GRANT_MAP_READONLY : 0),
					      transfer->segment[i].reference, device->domain, 0, 0, 0 };
	must(grant_table_op(GRANT_MAP, maps, transfer->segments) == 0);
	for (unsigned i = 0; i < transfer->segments; i++) {
		const struct block_segment *segment = &transfer->segment[i];
		if (maps[i].status != 0) {
			done = 0;
			continue;
		}
		regions[i].address = (uint32_t)maps[i].device_address + segment->first_sector * SECTOR_BYTES;
		regions[i].bytes = (segment->last_sector - segment->first_sector + 1) * SECTOR_BYTES;
		regions[i].end = 0;
		unmaps[mapped++] = (struct grant_unmap){ 0, maps[i].device_address, maps[i].handle, 0, 0 };
	}
	if (done)
		done = ide_transfer(write, transfer->sector, sectors, regions, transfer->segments);
	must(grant_table_op(GRANT_UNMAP, unmaps, mapped) == 0);
	return done ? BLOCK_OKAY : BLOCK_ERROR;
}

static int perform(const struct device *device, const struct transfer *transfer)
{
	if (transfer->operation == BLOCK_FLUSH)
		return ide_flush() ? BLOCK_OKAY : BLOCK_ERROR;
	if (transfer->operation != BLOCK_READ && transfer->operation != BLOCK_WRITE)
		return BLOCK_UNSUPPORTED;
	if (transfer->segments == 0 || transfer->segments > BLOCK_MOST_SEGMENTS)
		return BLOCK_ERROR;
	const unsigned sectors = sectors_of(transfer);
	if (sectors == 0 || transfer->sector >= ide_sectors() || sectors > ide_sectors() - transfer->sector)
		return BLOCK_ERROR;
	return move(device, transfer, sectors);
}

/* ---- a device ---- */

static void release(struct device *device)
{
	if (device->ring != 0) {
		struct grant_unmap unmap = { (unsigned long)device->ring, 0, device->handle, 0, 0 };
		must(grant_table_op(GRANT_UNMAP, &unmap, 1) == 0);
		event_channel_op(EVENT_CLOSE, &device->port);
		device->ring = 0;
		print("dom0: device %s of domain %u disconnected after %u requests\n", device->name, device->domain,
		      device->consumed);
	}
}

static void disconnect(struct device *device)
{
	release(device);
	set_state(device, STATE_CLOSED);
}

/* 1 when there was something to do. */
static int serve(struct device *device)
{
	const uint32_t producer = device->ring->request_producer;

	if (producer == device->consumed) {
		device->ring->request_event = producer + 1;
		return 0;
	}
	if (producer - device->produced > RING_SLOTS) {
		print("dom0: domain %u lies about its ring\n", device->domain);
		disconnect(device);
		return 1;
	}
	while (device->consumed != producer) {
		struct transfer transfer;

		take_request(device, &transfer);
		device->consumed++;
		/* The fault that a test asks for. */
		if (fault_at != 0 && ++requests_seen == fault_at)
			*(volatile int *)8 = 0;
		put_response(device, &transfer, perform(device, &transfer));
	}
	event_send(device->port);
	return 1;
}

static void connect(struct device *device, unsigned index)
{
	char protocol[NAME_BYTES];
	const int reference = store_read_number(0, below(device->front, "ring-ref"));
	const int remote = store_read_number(0, below(device->front, "event-channel"));

	if (store_read(0, below(device->front, "protocol"), protocol, sizeof(protocol)) < 0)
		join(protocol, sizeof(protocol), "x86_32-abi", (char *)0);
	device->is_64_bit = memcmp(protocol, "x86_64-abi", 10) == 0;
	struct grant_map map = {
		(unsigned long)windows[index], GRANT_MAP_HOST, (grant_reference)reference, device->domain, 0, 0, 0
	};
	must(grant_table_op(GRANT_MAP, &map, 1) == 0);
	if (map.status != 0) {
		print("dom0: domain %u does not grant its ring\n", device->domain);
		disconnect(device);
		return;
	}
	struct event_bind_interdomain bind = { device->domain, (event_port)remote, 0 };
	device->ring = (volatile struct ring_header *)windows[index];
	device->handle = map.handle;
	device->consumed = device->produced = 0;
	if (event_channel_op(EVENT_BIND_INTERDOMAIN, &bind) != 0) {
		disconnect(device);
		return;
	}
	device->port = bind.local_port;
	event_handle(device->port, on_event);
	store_write_number(0, below(device->back, "sectors"), (unsigned)ide_sectors());
	store_write_number(0, below(device->back, "sector-size"), SECTOR_BYTES);
	store_write_number(0, below(device->back, "info"), 0);
	set_state(device, STATE_CONNECTED);
	print("dom0: device %s of domain %u connected, %s\n", device->name, device->domain, protocol);
}

/* What the front end's state asks for. */
static void follow(struct device *device, unsigned index)
{
	const int front = store_read_number(0, below(device->front, "state"));

	if (device->state == STATE_INIT_WAIT && front == STATE_INITIALISED)
		connect(device, index);
	else if (device->state == STATE_CONNECTED && front == STATE_CLOSING) {
		/* A front end that shuts down waits for this state, and says itself when it is closed (io/xenbus.h). */
		release(device);
		set_state(device, STATE_CLOSING);
	} else if (device->state != STATE_CLOSED && (front < 0 || front > STATE_CLOSING))
		disconnect(device);
}

static struct device *known(const char *back)
{
	for (unsigned i = 0; i < device_count; i++) {
		unsigned at = 0;
		while (devices[i].back[at] == back[at] && back[at] != '\0')
			at++;
		if (devices[i].back[at] == back[at])
			return &devices[i];
	}
	return 0;
}

static void add(const char *domain, const char *name)
{
	char back[PATH_BYTES];
	struct device *device = &devices[device_count];

	join(back, sizeof(back), "backend/vbd/", domain, "/", name, (char *)0);
	if (known(back) || device_count == MOST_DEVICES)
		return;
	memcpy(device->back, back, sizeof(back));
	if (store_read(0, below(back, "frontend"), device->front, sizeof(device->front)) <= 0)
		return;
	join(device->name, sizeof(device->name), name, (char *)0);
	device->domain = (domain_id)store_read_number(0, below(back, "frontend-id"));
	device_count++;
	store_watch(below(device->front, "state"), "front");
	store_write_number(0, below(back, "feature-flush-cache"), 1);
	set_state(device, STATE_INIT_WAIT);
}

/* Devices that the store names and that are not known yet. */
static void look_for_devices(void)
{
	char domains[64], names[64];
	const int domain_bytes = store_directory(0, "backend/vbd", domains, sizeof(domains));

	for (int at = 0; at < domain_bytes; at++) {
		char folder[PATH_BYTES];
		const char *domain = domains + at;
		join(folder, sizeof(folder), "backend/vbd/", domain, (char *)0);
		const int name_bytes = store_directory(0, folder, names, sizeof(names));
		for (int name = 0; name < name_bytes; name++) {
			add(domain, names + name);
			while (names[name] != '\0')
				name++;
		}
		while (domains[at] != '\0')
			at++;
	}
}

void block_back_serve(unsigned fault_after)
{
	fault_at = fault_after;
	store_watch("backend/vbd", "back");
	for (;;) {
		int busy = 0;

		if (store_poll()) {
			busy = 1;
			look_for_devices();
			for (unsigned i = 0; i < device_count; i++)
				follow(&devices[i], i);
		}
		for (unsigned i = 0; i < device_count; i++)
			if (devices[i].ring != 0)
				busy |= serve(&devices[i]);
		if (!busy)
			event_wait();
	}
}

#include "checks.h"
#include "../memory.h"
#include "../print.h"
#include "clock.h"
#include "domain.h"
#include "events.h"
#include "grants.h"
#include "hypercall.h"
#include "paging.h"
#include "store.h"
#include "traps.h"

static const char *yes(int condition)
{
	return condition ? "yes" : "NO";
}

static char window[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static char other[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

/* ---- exceptions ---- */

static void divide(void)
{
	unsigned low = 1, high = 0;

	__asm__ volatile("div %2" : "+a"(low), "+d"(high) : "r"(0));
}

static void touch_nothing(void)
{
	*(volatile int *)0x1234 = 1;
}

/* The table from machine frames to pages: for all to read, for nobody to write. */
static void touch_hypervisor(void)
{
#ifdef __x86_64__
	*(volatile int *)0xffff800000000000 = 1;
#else
	*(volatile int *)0xf5800000 = 1;
#endif
}

static void privileged(void)
{
	__asm__ volatile("wbinvd; lidt (%0)" : : "r"(window));
}

void check_exceptions(void)
{
	unsigned vector = 0;

	__asm__ volatile("int3");
	print("divide by zero recovered: %s\n", yes(!try_action(divide, &vector) && vector == 0));
	print("page fault recovered: %s\n", yes(!try_action(touch_nothing, &vector) && vector == 14));
	print("address of the fault: %x\n", (unsigned)VCPU->cr2);
	print("the hypervisor's memory holds: %s\n", yes(!try_action(touch_hypervisor, &vector)));
	print("privileged instruction refused: %s\n", yes(!try_action(privileged, &vector) && vector == 13));
}

/* ---- page tables ---- */

static table_entry *table_to_write;

/* An entry that leads beyond all memory. */
#define ENTRY_TO_NOWHERE 0x000007ffffff0003ull

static void write_good_entry(void)
{
	*(volatile table_entry *)&table_to_write[1] = table_to_write[0];
}

static void write_bad_entry(void)
{
	*(volatile table_entry *)&table_to_write[2] = ENTRY_TO_NOWHERE;
}

static void write_window(void)
{
	*(volatile char *)window = 9;
}

static table_entry to(const void *page, unsigned rights)
{
	return (table_entry)frame_of(page) * PAGE_BYTES | rights;
}

void check_page_tables(void)
{
	unsigned vector = 0;
	const table_entry own = to(window, PTE_KERNEL_DATA);

	window[0] = 1;
	other[0] = 2;
	must(update_va_mapping((unsigned long)window, to(other, PTE_KERNEL_DATA), FLUSH_ONE) == 0);
	print("remapped by update_va_mapping: window shows %d\n", window[0]);
	struct mmu_update back = { machine_address(kernel_entry(window)) | MMU_NORMAL_UPDATE, own };
	must(mmu_update(&back, 1) == 0);
	struct mmuext_op flush = { MMUEXT_FLUSH, 0, 0 };
	must(mmuext_op(&flush, 1) == 0);
	print("remapped by mmu_update: window shows %d\n", window[0]);

	/* Three calls in one trap. */
	struct multicall_entry calls[3] = {
		{ HYPERCALL_UPDATE_VA_MAPPING, 0, { (unsigned long)window, (unsigned long)to(other, PTE_KERNEL_READONLY) } },
		{ HYPERCALL_XEN_VERSION, 0, { VERSION_NUMBER } },
		{ HYPERCALL_EVENT_CHANNEL_OP, 0, { EVENT_SEND, (unsigned long)"\377\377\377\177" } },
	};
#ifdef __x86_64__
	calls[0].arguments[2] = FLUSH_ONE;
#else
	calls[0].arguments[2] = to(other, 0) >> 32;
	calls[0].arguments[3] = FLUSH_ONE;
#endif
	must(multicall(calls, 3) == 0);
	print("multicall: %d, version %s, %d; window shows %d\n", (int)calls[0].result, yes(calls[1].result != 0),
	      (int)calls[2].result, window[0]);
	print("read-only page holds: %s\n", yes(!try_action(write_window, &vector) && vector == 14));
	must(update_va_mapping((unsigned long)window, own, FLUSH_ONE) == 0);

	/* A page table is nobody's to write, neither by a store nor by a mapping. */
	table_to_write = page_allocate();
	table_to_write[0] = to(other, PTE_KERNEL_DATA);
	print("a table that is still writable is pinned: %d\n", (int)pin_table(1, frame_of(table_to_write)));
	make_readonly(table_to_write);
	print("read-only, it is pinned: %d\n", (int)pin_table(1, frame_of(table_to_write)));
	print("a store of a good entry is made for us: %s\n",
	      yes(try_action(write_good_entry, &vector) && table_to_write[1] == table_to_write[0]));
	print("a store of a bad one is a fault: %s\n",
	      yes(!try_action(write_bad_entry, &vector) && vector == 14 && table_to_write[2] == 0));
	print("a writable mapping of the table refused: %s\n",
	      yes(update_va_mapping((unsigned long)window, to(table_to_write, PTE_KERNEL_DATA), FLUSH_ONE) < 0));
	print("an entry to a frame that is not ours refused: %s\n", yes(write_entry(&table_to_write[2], ENTRY_TO_NOWHERE) < 0));
	print("an entry to our own: %d\n", (int)write_entry(&table_to_write[2], to(other, PTE_KERNEL_READONLY)));
	print("unpinned: %d", (int)unpin_table(frame_of(table_to_write)));
	print(", again: %d\n", (int)unpin_table(frame_of(table_to_write)));
	make_writable(table_to_write);
	table_to_write[2] = 0;
	print("and writable again: %s\n", yes(table_to_write[2] == 0));
}

/* ---- time ---- */

void check_timer(void)
{
	const uint64_t before = clock_now();

	clock_start(1000);
	while (clock_ticks() < 3)
		event_wait();
	clock_stop();
	const uint64_t passed = clock_now() - before;
	print("timer: blocked for %u ticks, at least 3 milliseconds: %s\n", clock_ticks(), yes(passed >= 3000000));
}

/* ---- memory ---- */

#define BALLOON_PAGES 8

static char balloon[BALLOON_PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long reservation(void)
{
	domain_id self = DOMAIN_SELF;

	return memory_op(MEMORY_CURRENT_RESERVATION, &self);
}

void check_balloon(void)
{
	frame_number frames[BALLOON_PAGES];
	frame_number *list = (frame_number *)start_info->frame_list;
	struct memory_reservation change = { frames, BALLOON_PAGES, 0, 0, DOMAIN_SELF };
	const long before = reservation();
	int fresh = 1;

	for (unsigned i = 0; i < BALLOON_PAGES; i++) {
		frames[i] = frame_of(balloon[i]);
		balloon[i][0] = 5;
		if (i > 0)
			must(update_va_mapping((unsigned long)balloon[i], 0, FLUSH_ONE) == 0);
	}
	/* The first is still mapped; its frame is kept until that ends too. */
	must(update_va_mapping((unsigned long)balloon[0], 0, FLUSH_ONE) == 0);
	print("balloon: %d pages given back", (int)memory_op(MEMORY_DECREASE_RESERVATION, &change));
	print(", domain has %d less\n", (int)(before - reservation()));
	print("balloon: a frame given back cannot be mapped: %s\n",
	      yes(update_va_mapping((unsigned long)balloon[0], (table_entry)frames[0] * PAGE_BYTES | PTE_KERNEL_DATA,
				    FLUSH_ONE) < 0));
	for (unsigned i = 0; i < BALLOON_PAGES; i++)
		frames[i] = ((unsigned long)balloon[i] - VIRTUAL_BASE) / PAGE_BYTES;
	print("balloon: %d pages taken", (int)memory_op(MEMORY_POPULATE_PHYSMAP, &change));
	for (unsigned i = 0; i < BALLOON_PAGES; i++) {
		list[((unsigned long)balloon[i] - VIRTUAL_BASE) / PAGE_BYTES] = frames[i];
		must(update_va_mapping((unsigned long)balloon[i], (table_entry)frames[i] * PAGE_BYTES | PTE_KERNEL_DATA,
				       FLUSH_ONE) == 0);
		balloon[i][0] = (char)i;
	}
	for (unsigned i = 0; i < BALLOON_PAGES; i++)
		fresh &= balloon[i][0] == (char)i && table_of_frame(frames[i]) == (table_entry *)balloon[i];
	print(", domain has %d less; all in place: %s\n", (int)(before - reservation()), yes(fresh));
}

/* ---- events ---- */

static unsigned event_counts[64];

static void count_event(event_port port)
{
	event_counts[port]++;
}

void check_events(void)
{
	struct event_allocate_unbound listen = { DOMAIN_SELF, DOMAIN_SELF, 0 };
	must(event_channel_op(EVENT_ALLOCATE_UNBOUND, &listen) == 0);
	struct event_bind_interdomain connect = { DOMAIN_SELF, listen.port, 0 };
	must(event_channel_op(EVENT_BIND_INTERDOMAIN, &connect) == 0);
	event_handle(listen.port, count_event);
	event_handle(connect.local_port, count_event);
	/* The binding itself is an event for who bound; it is behind us before the counting starts. */
	events_enable();
	events_disable();
	event_counts[listen.port] = event_counts[connect.local_port] = 0;
	event_send(connect.local_port);
	event_send(connect.local_port);
	print("events while masked: %u\n", event_counts[listen.port]);
	events_enable();
	events_disable();
	print("after unmasking: %u, two sent while pending are one\n", event_counts[listen.port]);
	event_send(listen.port);
	events_enable();
	events_disable();
	print("the other way: %u\n", event_counts[connect.local_port]);
	struct event_status status = { DOMAIN_SELF, listen.port, 0, 0, 0, 0 };
	must(event_channel_op(EVENT_STATUS, &status) == 0);
	print("status: %u, peer is the other port: %s\n", status.status, yes(status.second == connect.local_port));
	must(event_channel_op(EVENT_CLOSE, &connect.local_port) == 0);
	must(event_channel_op(EVENT_STATUS, &status) == 0);
	print("after the peer closed: status %u\n", status.status);
	must(event_channel_op(EVENT_CLOSE, &listen.port) == 0);
	print("a closed port: %d\n", (int)event_channel_op(EVENT_SEND, &listen.port));
	struct event_bind_ipi ipi = { 0, 0 };
	must(event_channel_op(EVENT_BIND_IPI, &ipi) == 0);
	event_counts[ipi.port] = 0;
	event_handle(ipi.port, count_event);
	event_send(ipi.port);
	event_wait();
	print("interrupt to itself: %u\n", event_counts[ipi.port]);
	must(event_channel_op(EVENT_CLOSE, &ipi.port) == 0);
}

/* ---- grants ---- */

void check_grants(void)
{
	static char source[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	grant_reference reference = 0;
	struct grant_map map = { 0 };
	domain_id self;

	grants_initialize();
	source[0] = 77;
	/* A domain is not told its number; the one that may map what is granted to it is its own. */
	for (self = 0; self < 16; self++) {
		reference = grant_page(self, source, 0);
		map = (struct grant_map){ (unsigned long)window, GRANT_MAP_HOST, reference, self, 0, 0, 0 };
		must(grant_table_op(GRANT_MAP, &map, 1) == 0);
		if (map.status == 0)
			break;
		must(grant_end(reference));
	}
	print("grant: mapped %d, window shows %d\n", map.status, window[0]);
	window[1] = 78;
	print("grant: written through: %d, in use: %s\n", source[1],
	      yes((grant_entry_of(reference)->flags & (GRANT_READING | GRANT_WRITING)) == (GRANT_READING | GRANT_WRITING)));
	print("grant: cannot be taken back: %s\n", yes(!grant_end(reference)));
	struct grant_unmap unmap = { (unsigned long)window, 0, map.handle, 0, 0 };
	must(grant_table_op(GRANT_UNMAP, &unmap, 1) == 0);
	print("grant: unmapped %d, taken back: %s\n", unmap.status, yes(grant_end(reference)));
	must(grant_table_op(GRANT_MAP, &map, 1) == 0);
	print("grant: what is not granted: %d\n", map.status);
	must(update_va_mapping((unsigned long)window, to(window, PTE_KERNEL_DATA), FLUSH_ONE) == 0);

	reference = grant_page(self, source, GRANT_READONLY);
	struct grant_copy copy = { .length = 2, .flags = GRANT_COPY_SOURCE_REFERENCE };
	copy.source.reference = reference;
	copy.source.domain = self;
	copy.destination.frame = frame_of(other);
	copy.destination.domain = DOMAIN_SELF;
	copy.destination.offset = 100;
	must(grant_table_op(GRANT_COPY, &copy, 1) == 0);
	print("grant: copied %d: %d %d\n", copy.status, other[100], other[101]);
	map.reference = reference;
	must(grant_table_op(GRANT_MAP, &map, 1) == 0);
	print("grant: read-only for writing refused: %s\n", yes(map.status < 0));
	must(grant_end(reference));
}

/* ---- xenstore ---- */

void check_store(void)
{
	char text[64];

	if (!store_initialize()) {
		print("xenstore: this domain has none\n");
		return;
	}
	print("xenstore: write %d", store_write(0, "data/greeting", "hello"));
	print(", read %d", store_read(0, "data/greeting", text, sizeof(text)));
	print(" \"%s\", absent %d\n", text, store_read(0, "data/none", text, sizeof(text)));
	const unsigned before = store_events();
	must(store_watch("data", "mark") == 0);
	store_wait(before);
	store_write(0, "data/count", "1");
	store_wait(before + 1);
	print("xenstore: watch fired %u times\n", store_events() - before);
	const unsigned transaction = store_transaction_start();
	store_write_number(transaction, "data/count", 2);
	print("xenstore: outside the transaction %d", store_read_number(0, "data/count"));
	print(", committed %s", yes(store_transaction_end(transaction)));
	print(", then %d\n", store_read_number(0, "data/count"));
	print("xenstore: removed %d", store_remove(0, "data"));
	print(", then %d\n", store_read(0, "data/greeting", text, sizeof(text)));
}

/* The interface between the hypervisor and a paravirtual kernel, as far as the samples use it. Numbers and layouts follow the
   public headers of Xen (xen/include/public): xen.h, arch-x86/xen.h, arch-x86/xen-x86_32.h and xen-x86_64.h, memory.h, sched.h,
   event_channel.h, grant_table.h, io/console.h, io/xs_wire.h, physdev.h, features.h, elfnote.h. */
#ifndef XEN_H
#define XEN_H

/* Hypercalls. */
#define HYPERCALL_SET_TRAP_TABLE 0
#define HYPERCALL_MMU_UPDATE 1
#define HYPERCALL_STACK_SWITCH 3
#define HYPERCALL_SET_CALLBACKS 4
#define HYPERCALL_MEMORY_OP 12
#define HYPERCALL_MULTICALL 13
#define HYPERCALL_UPDATE_VA_MAPPING 14
#define HYPERCALL_SET_TIMER_OP 15
#define HYPERCALL_XEN_VERSION 17
#define HYPERCALL_CONSOLE_IO 18
#define HYPERCALL_GRANT_TABLE_OP 20
#define HYPERCALL_IRET 23
#define HYPERCALL_MMUEXT_OP 26
#define HYPERCALL_SCHED_OP 29
#define HYPERCALL_EVENT_CHANNEL_OP 32
#define HYPERCALL_PHYSDEV_OP 33
#define HYPERCALL_BYTES 32

/* ELF notes of a kernel, and the features that it needs or knows. */
#define NOTE_ENTRY 1
#define NOTE_HYPERCALL_PAGE 2
#define NOTE_VIRT_BASE 3
#define NOTE_PADDR_OFFSET 4
#define NOTE_XEN_VERSION 5
#define NOTE_GUEST_OS 6
#define NOTE_LOADER 8
#define NOTE_PAE_MODE 9
#define NOTE_FEATURES 10

/* VIRTUAL_BASE, the linear address of the first pseudo-physical page, comes from paravirtual.mk. */
#ifdef __x86_64__
#define KERNEL_CS 0xe033
#define KERNEL_DS 0xe02b
#define USER_CS 0xe033
#define USER_DS 0xe02b
#else
#define KERNEL_CS 0xe019
#define KERNEL_DS 0xe021
#define USER_CS 0xe02b
#define USER_DS 0xe033
#endif

#define PAGE_BYTES 4096

/* Offsets in struct vcpu_info. */
#define VCPU_UPCALL_PENDING 0
#define VCPU_UPCALL_MASK 1

#ifndef __ASSEMBLER__
#include <stdint.h>

typedef uint16_t domain_id;
typedef unsigned long frame_number;
typedef uint32_t event_port;
typedef uint32_t grant_reference;

#define DOMAIN_SELF 0x7ff0

struct vcpu_time_info {
	uint32_t version;
	uint32_t pad;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad1[2];
} __attribute__((packed));

struct vcpu_info {
	uint8_t upcall_pending;
	uint8_t upcall_mask;
	unsigned long pending_selector;
	unsigned long cr2;
#ifdef __x86_64__
	unsigned long pad;
#else
	unsigned long pad[5];
#endif
	struct vcpu_time_info time;
};

#define LONG_BITS (sizeof(unsigned long) * 8)

struct shared_info {
	struct vcpu_info vcpu_info[32];
	unsigned long event_pending[LONG_BITS];
	unsigned long event_mask[LONG_BITS];
	uint32_t wallclock_version;
	uint32_t wallclock_seconds;
	uint32_t wallclock_nanoseconds;
};

#define START_PRIVILEGED 1
#define START_INITIAL_DOMAIN 2

struct start_info {
	char magic[32];
	unsigned long pages;
	unsigned long shared_info;
	uint32_t flags;
	frame_number store_frame;
	uint32_t store_port;
	frame_number console_frame;
	uint32_t console_port;
	unsigned long page_table;
	unsigned long page_table_frames;
	unsigned long frame_list;
	unsigned long module_start;
	unsigned long module_length;
	char command_line[1024];
};

struct trap_info {
	uint8_t vector;
	uint8_t flags;
	uint16_t cs;
	unsigned long address;
};

/* Flags of struct trap_info: bits 1:0 who may raise it by INT, bit 2 events are masked in the handler. */
#define TRAP_FOR_ALL 3
#define TRAP_MASKS_EVENTS 4

struct mmu_update {
	uint64_t address;
	uint64_t value;
} __attribute__((packed));

#define MMU_NORMAL_UPDATE 0
#define MMU_MACHINE_TO_PHYSICAL 1

struct mmuext_op {
	unsigned command;
	unsigned long first;
	unsigned long second;
};

#define MMUEXT_PIN_L1 0
#define MMUEXT_PIN_L2 1
#define MMUEXT_PIN_L3 2
#define MMUEXT_PIN_L4 3
#define MMUEXT_UNPIN 4
#define MMUEXT_NEW_BASE 5
#define MMUEXT_FLUSH 6
#define MMUEXT_NEW_USER_BASE 15

#define FLUSH_NONE 0
#define FLUSH_ALL 1
#define FLUSH_ONE 2

struct multicall_entry {
	unsigned long operation;
	unsigned long result;
	unsigned long arguments[6];
};

struct memory_reservation {
	frame_number *extents;
	unsigned long count;
	unsigned order;
	unsigned flags;
	domain_id domain;
};

#define MEMORY_DECREASE_RESERVATION 1
#define MEMORY_CURRENT_RESERVATION 3
#define MEMORY_MAXIMUM_RESERVATION 4
#define MEMORY_POPULATE_PHYSMAP 6

#define SCHEDULE_YIELD 0
#define SCHEDULE_BLOCK 1
#define SCHEDULE_SHUTDOWN 2

#define SHUTDOWN_POWEROFF 0
#define SHUTDOWN_CRASH 3

#define CONSOLE_WRITE 0

#define VERSION_NUMBER 0
#define VERSION_FEATURES 6

struct feature_info {
	uint32_t index;
	uint32_t bits;
};

/* Event channels. */
#define EVENT_BIND_INTERDOMAIN 0
#define EVENT_BIND_VIRQ 1
#define EVENT_BIND_PIRQ 2
#define EVENT_CLOSE 3
#define EVENT_SEND 4
#define EVENT_STATUS 5
#define EVENT_ALLOCATE_UNBOUND 6
#define EVENT_BIND_IPI 7
#define EVENT_UNMASK 9

#define VIRQ_TIMER 0

struct event_allocate_unbound {
	domain_id domain, remote;
	event_port port;
};

struct event_bind_interdomain {
	domain_id remote;
	event_port remote_port;
	event_port local_port;
};

struct event_bind_virq {
	uint32_t virq;
	uint32_t vcpu;
	event_port port;
};

struct event_bind_pirq {
	uint32_t pirq;
	uint32_t flags;
	event_port port;
};

struct event_bind_ipi {
	uint32_t vcpu;
	event_port port;
};

struct event_status {
	domain_id domain;
	event_port port;
	uint32_t status;
	uint32_t vcpu;
	uint32_t first, second;
};

/* Grants, version 1. */
struct grant_entry {
	uint16_t flags;
	domain_id domain;
	uint32_t frame;
};

#define GRANT_PERMIT_ACCESS 1
#define GRANT_READONLY 4
#define GRANT_READING 8
#define GRANT_WRITING 16
#define GRANT_FIRST_FREE 8

#define GRANT_MAP 0
#define GRANT_UNMAP 1
#define GRANT_SETUP_TABLE 2
#define GRANT_COPY 5

#define GRANT_MAP_DEVICE 1
#define GRANT_MAP_HOST 2
#define GRANT_MAP_READONLY 4

struct grant_map {
	uint64_t host_address;
	uint32_t flags;
	grant_reference reference;
	domain_id domain;
	int16_t status;
	uint32_t handle;
	uint64_t device_address;
} __attribute__((packed));

struct grant_unmap {
	uint64_t host_address;
	uint64_t device_address;
	uint32_t handle;
	int16_t status;
	uint16_t pad;
} __attribute__((packed));

struct grant_setup_table {
	domain_id domain;
	uint32_t frames;
	int16_t status;
	unsigned long *list;
};

struct grant_copy_side {
	union {
		grant_reference reference;
		frame_number frame;
	};
	domain_id domain;
	uint16_t offset;
};

#define GRANT_COPY_SOURCE_REFERENCE 1
#define GRANT_COPY_DESTINATION_REFERENCE 2

struct grant_copy {
	struct grant_copy_side source, destination;
	uint16_t length;
	uint16_t flags;
	int16_t status;
};

/* Physical devices, for Domain 0. */
#define PHYSDEV_SET_IOPL 6
#define PHYSDEV_EOI 12
#define PHYSDEV_MAP_PIRQ 13
#define PHYSDEV_SETUP_GSI 21

#define PIRQ_OF_GSI 1
struct physdev_map_pirq {
	domain_id domain;
	int type;
	int index;
	int pirq;
	int bus, function, entry;
	uint64_t table;
};

struct physdev_setup_gsi {
	int gsi;
	uint8_t level_triggered;
	uint8_t active_low;
};

/* The console's page. */
struct console_ring {
	char in[1024];
	char out[2048];
	uint32_t in_consumer, in_producer;
	uint32_t out_consumer, out_producer;
};

/* The page through which a domain talks to xenstore. */
#define STORE_RING_BYTES 1024
struct store_ring {
	char requests[STORE_RING_BYTES];
	char replies[STORE_RING_BYTES];
	uint32_t request_consumer, request_producer;
	uint32_t reply_consumer, reply_producer;
};

struct store_message {
	uint32_t type;
	uint32_t request;
	uint32_t transaction;
	uint32_t length;
};

#define STORE_DIRECTORY 1
#define STORE_READ 2
#define STORE_WATCH 4
#define STORE_TRANSACTION_START 6
#define STORE_TRANSACTION_END 7
#define STORE_WRITE 11
#define STORE_RM 13
#define STORE_WATCH_EVENT 15
#define STORE_ERROR 16

/* States of the two ends of a device (io/xenbus.h). */
#define STATE_INITIALISING 1
#define STATE_INIT_WAIT 2
#define STATE_INITIALISED 3
#define STATE_CONNECTED 4
#define STATE_CLOSING 5
#define STATE_CLOSED 6
#endif

#endif

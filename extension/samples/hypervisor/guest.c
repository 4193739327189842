#include "guest.h"
#include "layout.h"

struct gate_descriptor {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};

#define GATE_INTERRUPT_64 0x8e00 /* present, no IST */
#define PRESENT_WRITABLE 3
#define MSR_SYSENTER_ESP 0x175
#define CR4_TSD 4ull

static struct gate_descriptor gates[VECTOR_TIMER + 1] __attribute__((aligned(16)));
static volatile unsigned ticks, page_faults;
static volatile uint8_t timer_expired;

/* Linear addresses of the image are guest-physical ones. */
static void say(const char *text)
{
	ask_hypervisor(CALL_SAY, (uint64_t)text);
}

/* Says that something did not come out as it should. */
static void check(int right, const char *complaint)
{
	if (!right)
		say(complaint);
}

void guest_timer(void)
{
	ticks++;
}

/* Maps the next frame of the heap; a page fault of the guest is its own affair, so there is no VM exit. */
void guest_page_fault(void)
{
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	guest_heap_table[(address - GUEST_HEAP) / PAGE_SIZE] =
		GUEST_HEAP_FRAMES + page_faults * PAGE_SIZE + PRESENT_WRITABLE;
	page_faults++;
}

static void set_gate(unsigned vector, const char *handler)
{
	uint64_t offset = (uint64_t)handler;

	gates[vector] = (struct gate_descriptor){
		.offset_low = (uint16_t)offset,
		.selector = CODE_SELECTOR,
		.type = GATE_INTERRUPT_64,
		.offset_middle = (uint16_t)(offset >> 16),
		.offset_high = (uint32_t)(offset >> 32),
	};
}

static void guest_interrupts(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table = { sizeof(gates) - 1, (uint64_t)gates };

	set_gate(VECTOR_PAGE_FAULT, page_fault_entry);
	set_gate(VECTOR_TIMER, timer_entry);
	__asm__ volatile("lidt %0" : : "m"(table));
}

static void guest_cpuid(void)
{
	uint32_t a = GUEST_CPUID_LEAF, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	check(b == 0x65707948 && c == 0x6d615372 && d == 0x21656c70, "CPUID: not the hypervisor's name");
}

static void guest_ports(void)
{
	uint8_t value;

	__asm__ volatile("in %1, %0" : "=a"(value) : "d"((uint16_t)GUEST_PORT));
	check(value == 0x5a, "IN: another value");
	__asm__ volatile("out %0, %1" : : "a"((uint8_t)0xc3), "d"((uint16_t)GUEST_PORT));
}

static void guest_msrs(void)
{
	uint32_t low, high;

	__asm__ volatile("wrmsr" : : "c"(GUEST_MSR), "a"(0x1234), "d"(0x5678));
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(GUEST_MSR));
	check(low == 0x1234 && high == 0x5678, "RDMSR: another value");
	/* No bit of the MSR bitmap is set for this one. */
	__asm__ volatile("wrmsr" : : "c"(MSR_SYSENTER_ESP), "a"(0x1000), "d"(0));
}

static void guest_control_registers(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	__asm__ volatile("mov %0, %%cr4" : : "r"(value | CR4_TSD));
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	check(value & CR4_TSD, "CR4: the guest does not see what it wrote");
	/* With EPT the guest's page tables are its own: no exit. */
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static void guest_hole(void)
{
	volatile uint32_t *hole = (volatile uint32_t *)GUEST_HOLE;

	*hole = 0x600d;
	check(*hole == 0x600d, "the hole does not keep what is written");
}

static void guest_page_faults(void)
{
	uint64_t before = ask_hypervisor(CALL_EXITS, 0);

	for (unsigned page = 0; page < GUEST_HEAP_PAGES; page++)
		*(volatile uint64_t *)(GUEST_HEAP + (uint64_t)page * PAGE_SIZE) = page;
	/* The second question is an exit itself. */
	if (page_faults == GUEST_HEAP_PAGES && ask_hypervisor(CALL_EXITS, 0) == before + 1)
		say("16 page faults, no VM exit");
	else
		say("page faults: not as they should be");
}

static void guest_undefined(void)
{
	__asm__ volatile("ud2");
}

static void guest_halt(void)
{
	__asm__ volatile("sti; hlt; cli");
	check(ticks == 1, "HLT: no interrupt came");
}

static void guest_spin(void)
{
	ask_hypervisor(CALL_TIMER, (uint64_t)&timer_expired);
	while (!timer_expired)
		__asm__ volatile("pause");
}

void guest_main(void)
{
	guest_interrupts();
	say("here, in 64-bit mode");
	guest_cpuid();
	guest_ports();
	guest_msrs();
	guest_control_registers();
	guest_hole();
	guest_page_faults();
	guest_undefined();
	guest_halt();
	guest_steps();
	guest_spin();
	say("done");
	ask_hypervisor(CALL_DONE, 0);
}

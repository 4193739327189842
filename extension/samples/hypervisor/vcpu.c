#include "vcpu.h"
#include "layout.h"
#include "machine.h"
#include "memory.h"
#include "vmcs.h"

#define ACCESS_CODE_64 0xa09b /* execute/read, accessed, S, P, L, G */
#define ACCESS_DATA 0xc093    /* read/write, accessed, S, P, D, G */
#define ACCESS_BUSY_TSS 0x8b
#define ACCESS_UNUSABLE 0x10000

enum { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR };

/* A bit that is set here makes RDMSR or WRMSR of that MSR exit; MSRs beyond the two ranges always do. */
static uint8_t msr_bitmap[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

extern char descriptors[], task_state[];
extern char guest_entry[], guest_stack_top[], guest_page_map[], guest_descriptors[], guest_task_state[];

/* The controls that are wanted with the reserved bits as the capability MSR asks: its low half must be 1, its high half may be. */
static uint32_t allowed_controls(uint32_t wanted, uint32_t msr)
{
	uint64_t capability = read_msr(msr);

	if (wanted & ~(uint32_t)(capability >> 32))
		give_up("the processor lacks a VMX control");
	return wanted | (uint32_t)capability;
}

void control_change(uint64_t field, uint32_t set, uint32_t clear)
{
	vmcs_write(field, (vmcs_read(field) | set) & ~(uint64_t)clear);
}

static void set_controls(uint64_t ept_pointer)
{
	vmcs_write(PIN_CONTROLS, allowed_controls(0, MSR_VMX_TRUE_PIN_CONTROLS));
	vmcs_write(PRIMARY_CONTROLS,
		   allowed_controls(PRIMARY_HLT_EXITING | PRIMARY_UNCONDITIONAL_IO_EXITING | PRIMARY_USE_MSR_BITMAPS |
					    PRIMARY_SECONDARY_CONTROLS,
				    MSR_VMX_TRUE_PRIMARY_CONTROLS));
	vmcs_write(SECONDARY_CONTROLS, allowed_controls(SECONDARY_ENABLE_EPT, MSR_VMX_SECONDARY_CONTROLS));
	vmcs_write(EXIT_CONTROLS, allowed_controls(EXIT_HOST_64_BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER,
						   MSR_VMX_TRUE_EXIT_CONTROLS));
	vmcs_write(ENTRY_CONTROLS,
		   allowed_controls(ENTRY_GUEST_64_BIT | ENTRY_LOAD_EFER, MSR_VMX_TRUE_ENTRY_CONTROLS));
	vmcs_write(EPT_POINTER, ept_pointer);
	vmcs_write(MSR_BITMAP, (uint64_t)msr_bitmap);
	vmcs_write(EXCEPTION_BITMAP, 1 << 6); /* #UD */
	/* The guest sees the shadow of a masked bit; a write that differs from it exits. */
	vmcs_write(CR4_MASK, CR4_VMXE | CR4_TSD);
	vmcs_write(CR4_READ_SHADOW, 0);
	vmcs_write(CR0_MASK, 0);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
}

static void set_host_state(void)
{
	vmcs_write(HOST_CR0, read_cr0());
	vmcs_write(HOST_CR3, read_cr3());
	vmcs_write(HOST_CR4, read_cr4());
	vmcs_write(HOST_EFER, read_msr(MSR_EFER));
	vmcs_write(HOST_CS_SELECTOR, CODE_SELECTOR);
	vmcs_write(HOST_SS_SELECTOR, DATA_SELECTOR);
	vmcs_write(HOST_DS_SELECTOR, DATA_SELECTOR);
	vmcs_write(HOST_ES_SELECTOR, DATA_SELECTOR);
	vmcs_write(HOST_FS_SELECTOR, DATA_SELECTOR);
	vmcs_write(HOST_GS_SELECTOR, DATA_SELECTOR);
	vmcs_write(HOST_TR_SELECTOR, TASK_STATE_SELECTOR);
	vmcs_write(HOST_FS_BASE, 0);
	vmcs_write(HOST_GS_BASE, 0);
	vmcs_write(HOST_TR_BASE, (uint64_t)task_state);
	vmcs_write(HOST_GDTR_BASE, (uint64_t)descriptors);
	vmcs_write(HOST_IDTR_BASE, 0);
	/* RSP and RIP are enter_guest's. */
}

/* The fields of a segment follow each other by 2 (SDM volume 3, appendix B). */
static void set_segment(unsigned segment, uint16_t selector, uint64_t base, uint32_t limit, uint32_t access)
{
	vmcs_write(GUEST_ES_SELECTOR + segment * 2, selector);
	vmcs_write(GUEST_ES_BASE + segment * 2, base);
	vmcs_write(GUEST_ES_LIMIT + segment * 2, limit);
	vmcs_write(GUEST_ES_ACCESS + segment * 2, access);
}

static void set_guest_state(void)
{
	vmcs_write(GUEST_CR0, read_cr0());
	vmcs_write(GUEST_CR3, (uint64_t)guest_page_map);
	vmcs_write(GUEST_CR4, read_cr4());
	vmcs_write(GUEST_EFER, read_msr(MSR_EFER));
	set_segment(SEGMENT_CS, CODE_SELECTOR, 0, 0xffffffff, ACCESS_CODE_64);
	set_segment(SEGMENT_SS, DATA_SELECTOR, 0, 0xffffffff, ACCESS_DATA);
	set_segment(SEGMENT_DS, DATA_SELECTOR, 0, 0xffffffff, ACCESS_DATA);
	set_segment(SEGMENT_ES, DATA_SELECTOR, 0, 0xffffffff, ACCESS_DATA);
	set_segment(SEGMENT_FS, DATA_SELECTOR, 0, 0xffffffff, ACCESS_DATA);
	set_segment(SEGMENT_GS, DATA_SELECTOR, 0, 0xffffffff, ACCESS_DATA);
	set_segment(SEGMENT_LDTR, 0, 0, 0, ACCESS_UNUSABLE);
	set_segment(SEGMENT_TR, TASK_STATE_SELECTOR, (uint64_t)guest_task_state, 0x67, ACCESS_BUSY_TSS);
	vmcs_write(GUEST_GDTR_BASE, (uint64_t)guest_descriptors);
	vmcs_write(GUEST_GDTR_LIMIT, 3 * 8 - 1);
	vmcs_write(GUEST_IDTR_BASE, 0);
	vmcs_write(GUEST_IDTR_LIMIT, 0);
	vmcs_write(GUEST_DR7, 0x400);
	vmcs_write(GUEST_RSP, (uint64_t)guest_stack_top);
	vmcs_write(GUEST_RIP, (uint64_t)guest_entry);
	vmcs_write(GUEST_RFLAGS, 2);
	vmcs_write(GUEST_ACTIVITY, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY, 0);
}

void vcpu_initialize(struct vcpu *vcpu, uint64_t ept_pointer)
{
	memset(vcpu, 0, sizeof(*vcpu));
	set_controls(ept_pointer);
	set_host_state();
	set_guest_state();
}

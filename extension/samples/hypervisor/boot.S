/* From the boot loader, in 32-bit protected mode, to hypervisor_main in 64-bit mode with the first 8 MiB identity-mapped (SDM
   volume 3, section 10.8.5). */
#include "layout.h"
#include "multiboot.h"

	.cfi_sections .debug_frame

#define FLAGS (MULTIBOOT_MEMORY_INFO | MULTIBOOT_ADDRESS_FIELDS)
#define PRESENT_WRITABLE 0x003
#define PRESENT_WRITABLE_LARGE 0x083
#define CR4_PAE 0x20
#define CR0_PAGING_AND_WRITE_PROTECT 0x80010000
#define MSR_EFER 0xC0000080
#define EFER_LONG_MODE 0x100

	.section .multiboot, "a"
	.balign 4
multiboot_header:
	.long MULTIBOOT_HEADER_MAGIC
	.long FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + FLAGS)
	.long multiboot_header
	.long load_start
	.long load_end
	.long bss_end
	.long start

	.section .boot, "ax"
	.code32
	.globl start
	.type start, @function
start:
	.cfi_startproc
	.cfi_undefined 16                       /* RIP, which has no name in 32-bit code */
	cli
	cld
	mov %eax, %ebp                          /* loader's magic number */
	mov $PRESENT_WRITABLE_LARGE, %eax
	mov $page_directory, %edi
	mov $4, %ecx
1:	mov %eax, (%edi)
	add $LARGE_PAGE_SIZE, %eax
	add $8, %edi
	loop 1b
	mov $page_directory + PRESENT_WRITABLE, %eax
	mov %eax, page_pointers
	mov $page_pointers + PRESENT_WRITABLE, %eax
	mov %eax, page_map

	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $page_map, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LONG_MODE, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PAGING_AND_WRITE_PROTECT, %eax
	mov %eax, %cr0                          /* now in compatibility mode */

	/* A VM exit loads TR, so there has to be a TSS, though nothing uses it. */
	mov $task_state, %eax
	mov %ax, task_state_descriptor + 2
	shr $16, %eax
	mov %al, task_state_descriptor + 4
	mov %ah, task_state_descriptor + 7
	lgdt descriptor_table_register
	ljmp $CODE_SELECTOR, $start_64
	.cfi_endproc
	.size start, . - start

	.code64
	.type start_64, @function
start_64:
	.cfi_startproc
	.cfi_undefined rip
	mov $DATA_SELECTOR, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	mov $TASK_STATE_SELECTOR, %eax
	ltr %ax
	mov $stack_top, %rsp
	mov %ebp, %edi
	xor %ebp, %ebp
	call hypervisor_main
	.cfi_endproc
	.size start_64, . - start_64

	.data
	.balign 8
	.globl descriptors
descriptors:
	.quad 0
	.quad 0x00209A0000000000                /* code: present, L = 1 */
	.quad 0x0000920000000000                /* data: present, writable */
task_state_descriptor:
	.quad 0x0000890000000067                /* 64-bit TSS, available */
	.quad 0
descriptor_table_register:
	.word . - descriptors - 1
	.long descriptors

	.bss
	.balign 8
	.globl task_state
task_state:
	.skip 104

	.section .bss.page_aligned, "aw", @nobits
	.balign PAGE_SIZE
	.macro table name
	.type \name, @object
\name:
	.skip PAGE_SIZE
	.size \name, PAGE_SIZE
	.endm
	table page_map
	table page_pointers
	table page_directory
	.skip 4 * PAGE_SIZE
stack_top:

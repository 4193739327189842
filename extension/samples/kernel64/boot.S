/* From the boot loader, in 32-bit protected mode, to kernel_main in 64-bit mode (SDM volume 3, section 9.8.5). */
#include "layout.h"
#include "multiboot.h"

	.cfi_sections .debug_frame

#define FLAGS (MULTIBOOT_MEMORY_INFO | MULTIBOOT_ADDRESS_FIELDS)
#define PRESENT_WRITABLE 0x003
#define PRESENT_WRITABLE_LARGE 0x083
#define CR4_PAE 0x20
#define CR0_PAGING_AND_WRITE_PROTECT 0x80010000
#define MSR_EFER 0xC0000080
#define EFER_SYSCALL_AND_LONG_MODE 0x101

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

	/* The first 8 MiB by four 2 MiB pages: where the code runs, and where the kernel is linked. */
	mov $PRESENT_WRITABLE_LARGE, %eax
	mov $large_pages_physical, %edi
	mov $(DIRECT_SIZE / LARGE_PAGE_SIZE), %ecx
1:	mov %eax, (%edi)
	add $LARGE_PAGE_SIZE, %eax
	add $8, %edi
	loop 1b
	mov $large_pages_physical, %eax
	or $PRESENT_WRITABLE, %eax
	mov %eax, low_pointers_physical
	mov %eax, high_pointers_physical + 510 * 8
	mov $low_pointers_physical, %eax
	or $PRESENT_WRITABLE, %eax
	mov %eax, page_map_physical
	mov $high_pointers_physical, %eax
	or $PRESENT_WRITABLE, %eax
	mov %eax, page_map_physical + 511 * 8

	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $page_map_physical, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_SYSCALL_AND_LONG_MODE, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PAGING_AND_WRITE_PROTECT, %eax
	mov %eax, %cr0                          /* now in compatibility mode */
	lgdt boot_table_register
	ljmp $KERNEL_CODE_SELECTOR, $start_64
	.cfi_endproc
	.size start, . - start

	.code64
	.type start_64, @function
start_64:
	.cfi_startproc
	.cfi_undefined rip
	movabs $start_high, %rax
	jmp *%rax
	.cfi_endproc
	.size start_64, . - start_64

	.balign 8
boot_descriptors:
	.quad 0
	.quad 0x00209A0000000000                /* code: present, L = 1 */
	.quad 0x0000920000000000                /* data: present, writable */
boot_table_register:
	.word . - boot_descriptors - 1
	.long boot_descriptors

	.text
	.globl start_high
	.type start_high, @function
start_high:
	.cfi_startproc
	.cfi_undefined rip
	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov $KERNEL_DATA_SELECTOR, %eax
	mov %eax, %ss
	mov $boot_stack_top, %rsp
	mov %ebp, %edi
	xor %ebp, %ebp
	call kernel_main
	.cfi_endproc
	.size start_high, . - start_high

	.section .bss.page_aligned, "aw", @nobits
	.balign PAGE_SIZE
	.macro table name
	.globl \name
	.type \name, @object
\name:
	.skip PAGE_SIZE
	.size \name, PAGE_SIZE
	.endm
	table page_map
	table low_pointers
	table high_pointers
	table large_pages
boot_stack:
	.skip 2 * PAGE_SIZE
boot_stack_top:

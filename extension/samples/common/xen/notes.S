/* The ELF notes by which a domain builder knows a paravirtual kernel (elfnote.h), and the page of hypercalls. */
#include "xen.h"

#ifdef __x86_64__
#define LONG .quad
#else
#define LONG .long
#endif

.macro note_string type, value
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	.asciz "\value"
2:	.balign 4
.endm

.macro note_address type, value
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	LONG \value
2:	.balign 4
.endm

	.section .note.xen, "a", @note
	note_string NOTE_GUEST_OS, "hyperscope-sample"
	note_string NOTE_XEN_VERSION, "xen-3.0"
	note_string NOTE_LOADER, "generic"
	note_address NOTE_VIRT_BASE, VIRTUAL_BASE
	note_address NOTE_PADDR_OFFSET, 0
	note_address NOTE_ENTRY, start
	note_address NOTE_HYPERCALL_PAGE, hypercall_page
	note_string NOTE_FEATURES, "pae_pgdir_above_4gb"
	note_string NOTE_PAE_MODE, "yes"

	.text
	.globl hypercall_page
	.balign PAGE_BYTES
hypercall_page:
	.skip PAGE_BYTES, 0xcc

	.section .note.GNU-stack, "", @progbits

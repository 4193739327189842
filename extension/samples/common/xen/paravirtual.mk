# Rules for paravirtual kernels: sources in common/xen, linked where the note VIRT_BASE says.
VIRTUAL_BASE_32 := 0xc0000000
VIRTUAL_BASE_64 := 0xffffffff80000000
VIRTUAL_BASE ?= $(VIRTUAL_BASE_$(BITS))
LINKER_SCRIPT ?= ../common/xen/kernel.ld
LINKER_FLAGS = --defsym=VIRTUAL_BASE=$(VIRTUAL_BASE)
include ../common/sample.mk
COMMON_FLAGS += -DVIRTUAL_BASE=$(VIRTUAL_BASE)
CFLAGS += -DVIRTUAL_BASE=$(VIRTUAL_BASE)

build/%.o: ../common/xen/%.c $(wildcard *.h ../common/*.h ../common/xen/*.h) Makefile ../common/sample.mk ../common/xen/paravirtual.mk | build
	$(CC) $(CFLAGS) $(OPTIMIZE) -c -o $@ $<

build/%.o: ../common/xen/%.S $(wildcard *.h ../common/xen/*.h) Makefile ../common/sample.mk ../common/xen/paravirtual.mk | build
	$(CC) $(COMMON_FLAGS) -c -o $@ $<

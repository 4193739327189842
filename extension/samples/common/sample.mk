# Rules shared by the samples. A sample's Makefile sets NAME, BITS and OBJECTS (names without folder), then includes this.
# No machine path, date or build id enters the image, so the same tools give the same bytes in any folder.

CC := gcc
LD := ld
OPTIMIZE ?= -Og
ARCHITECTURE_32 := -m32 -march=i686
ARCHITECTURE_64 := -m64 -mno-red-zone -mcmodel=kernel
COMPILER_HEADERS := $(shell $(CC) -print-file-name=include)
EMULATION_32 := elf_i386
EMULATION_64 := elf_x86_64

COMMON_FLAGS := $(ARCHITECTURE_$(BITS)) -I. -I../common -gdwarf-5 -gno-record-gcc-switches \
	-ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(COMPILER_HEADERS)=gcc/include -fno-pie -fcf-protection=none
CFLAGS := $(COMMON_FLAGS) -std=gnu11 -Wall -Wextra -Werror -ffreestanding -mgeneral-regs-only -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-strict-aliasing -fno-tree-loop-distribute-patterns
LDFLAGS := -m $(EMULATION_$(BITS)) -nostdlib -static --build-id=none -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments

LINKER_SCRIPT ?= kernel.ld
$(NAME).elf: $(addprefix build/,$(OBJECTS)) $(LINKER_SCRIPT)
	$(LD) $(LDFLAGS) $(LINKER_FLAGS) -T $(LINKER_SCRIPT) -o $@ $(addprefix build/,$(OBJECTS))

build/%.o: %.c $(wildcard *.h ../common/*.h) Makefile ../common/sample.mk | build
	$(CC) $(CFLAGS) $(OPTIMIZE) $(FLAGS_$*) -c -o $@ $<

build/%.o: ../common/%.c $(wildcard ../common/*.h) Makefile ../common/sample.mk | build
	$(CC) $(CFLAGS) $(OPTIMIZE) -c -o $@ $<

build/%.o: %.S $(wildcard *.h ../common/*.h) Makefile ../common/sample.mk | build
	$(CC) $(COMMON_FLAGS) -c -o $@ $<

build:
	mkdir -p build

# Runs the image in QEMU; its status is (v << 1) | 1 for the value v that the guest wrote to port 0xf4: 1 is success.
QEMU_32 := qemu-system-i386
QEMU_64 := qemu-system-x86_64
.PHONY: run clean
run: $(NAME).elf
	$(QEMU_$(BITS)) -kernel $< -append "$(APPEND)" -display none -serial stdio -no-reboot \
		-device isa-debug-exit,iobase=0xf4,iosize=1; test $$? -eq 1

clean:
	rm -rf build $(NAME).elf

/*
 * Runs single instructions on the real processor: a state goes in, the state after the instruction comes out.
 *
 * Each case is one round trip through a signal handler. The handler returns into the case's registers with EFLAGS.TF set;
 * the processor executes one instruction and comes back with #DB, or with the exception that the instruction raised. The
 * handler stores what it finds, puts the next case's registers into the same signal frame and returns again.
 *
 * One 64-bit program serves all three code sizes: a return from a signal loads any CS, also that of 32-bit code (the
 * kernel's) and of 16-bit code (an entry of the LDT). It uses no C library, so that nothing but the case owns FS, and all
 * it maps lies above 4 GiB except the two windows below.
 *
 * stdin: records of struct test_case. stdout: one struct test_result for each. Both are little-endian and of fixed size;
 * test/oracle/native-oracle.ts is the other side.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum {
	CODE_BASE = 0x100000,
	CODE_SIZE = 0x10000,
	/* Base of the 16-bit data segment. */
	DATA_BASE = 0x200000,
	/* The mapped part of it: the data window. */
	WINDOW_BASE = 0x204000,
	WINDOW_SIZE = 0x4000,
	CHUNK = 64,
	PATCH_SIZE = 64,
	SPAN_SIZE = 640,
	FXSAVE_SIZE = 512,
	TRAP_FLAG = 0x100,
	SELECTOR_USER_DATA = 0x2b,
	SELECTOR_CODE_32 = 0x23,
	SELECTOR_CODE_64 = 0x33,
	SELECTOR_CODE_16 = 0x07,
	SELECTOR_DATA_16 = 0x0f,
	SELECTOR_FS = 0x17,
	SELECTOR_GS = 0x1f,
};

#define FS_BASE_64 0x201000UL
#define GS_BASE_64 0x700000000000UL

struct test_case {
	uint32_t bits; /* 16, 32 or 64 */
	uint32_t code_length;
	uint32_t code_offset;
	/* Two pieces of the data window, as offsets in it; a length of 0 is none. */
	uint32_t patch_offset[2];
	uint32_t patch_length[2];
	uint32_t reserved;
	uint64_t flags;
	uint64_t general[16];
	uint8_t code[24];
	uint8_t patch[2][PATCH_SIZE];
	uint8_t padding[32];
	uint8_t fxsave[FXSAVE_SIZE];
};

struct test_result {
	uint32_t vector;
	uint32_t error_code;
	uint64_t cr2;
	uint64_t rip;
	uint64_t flags;
	uint64_t general[16];
	uint16_t selectors[6]; /* ES CS SS DS FS GS */
	/* The part of the data window that changed: from the first to the last changed byte. */
	uint32_t span_offset;
	uint32_t span_length;
	uint8_t padding[76];
	uint8_t fxsave[FXSAVE_SIZE];
	uint8_t span[SPAN_SIZE];
};

_Static_assert(sizeof(struct test_case) == 864, "record size");
_Static_assert(sizeof(struct test_result) == 1408, "record size");

static struct test_case cases[CHUNK];
static struct test_result results[CHUNK];
static int case_count, current;
static int running;
static uint8_t background[WINDOW_SIZE], before[WINDOW_SIZE];
static uint8_t alternate_stack[65536] __attribute__((aligned(64)));
static gregset_t own_registers;
static uint8_t own_fxsave[FXSAVE_SIZE];

static long system_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static void leave(int status)
{
	for (;;)
		system_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

static void copy(void *to, const void *from, size_t length)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

static void fill(void *to, int byte, size_t length)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(byte) : "memory");
}

/* Where the kernel keeps a general register in the frame, in the order of the encoding. */
static int place_of(int number)
{
	switch (number) {
	case 0: return REG_RAX;
	case 1: return REG_RCX;
	case 2: return REG_RDX;
	case 3: return REG_RBX;
	case 4: return REG_RSP;
	case 5: return REG_RBP;
	case 6: return REG_RSI;
	case 7: return REG_RDI;
	default: return REG_R8 + number - 8;
	}
}

static uint64_t code_base(const struct test_case *one)
{
	return one->bits == 16 ? 0 : CODE_BASE;
}

static void load_segments(int bits)
{
	int data = bits == 16 ? SELECTOR_DATA_16 : SELECTOR_USER_DATA;
	int fs = bits == 64 ? 0 : SELECTOR_FS;
	int gs = bits == 64 ? 0 : SELECTOR_GS;
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs; mov %2, %%gs" : : "r"(data), "r"(fs), "r"(gs));
	if (bits == 64) {
		system_call(SYS_arch_prctl, ARCH_SET_FS, FS_BASE_64, 0, 0, 0, 0);
		system_call(SYS_arch_prctl, ARCH_SET_GS, GS_BASE_64, 0, 0, 0, 0);
	}
}

static void start_case(ucontext_t *frame)
{
	const struct test_case *one = &cases[current];
	greg_t *registers = frame->uc_mcontext.gregs;
	uint8_t *fxsave = (uint8_t *)frame->uc_mcontext.fpregs;
	uint8_t *window = (uint8_t *)(uintptr_t)WINDOW_BASE;

	copy(window, background, WINDOW_SIZE);
	for (int n = 0; n < 2; n++)
		copy(window + one->patch_offset[n], one->patch[n], one->patch_length[n]);
	copy(before, window, WINDOW_SIZE);
	copy((uint8_t *)(uintptr_t)CODE_BASE + one->code_offset, one->code, one->code_length);

	for (int n = 0; n < 16; n++)
		registers[place_of(n)] = one->general[n];
	registers[REG_RIP] = code_base(one) + one->code_offset;
	registers[REG_EFL] = one->flags | TRAP_FLAG | 0x202;
	uint64_t cs = one->bits == 64 ? SELECTOR_CODE_64 : one->bits == 32 ? SELECTOR_CODE_32 : SELECTOR_CODE_16;
	uint64_t ss = one->bits == 16 ? SELECTOR_DATA_16 : SELECTOR_USER_DATA;
	registers[REG_CSGSFS] = cs | ss << 48;

	/* The image without the bytes that the kernel uses for itself (SDM Vol. 1, 10.5.1: available to software). */
	copy(fxsave, one->fxsave, FXSAVE_SIZE - 96);
	/* In a frame with XSAVE data only components named in XSTATE_BV are loaded from it; the lowest are x87 and SSE. */
	if (*(uint32_t *)(fxsave + 464) == 0x46505853)
		*(uint64_t *)(fxsave + FXSAVE_SIZE) |= 3;
	running = 1;
	load_segments(one->bits);
}

static void finish_case(ucontext_t *frame, const uint16_t *selectors)
{
	const struct test_case *one = &cases[current];
	struct test_result *result = &results[current];
	greg_t *registers = frame->uc_mcontext.gregs;
	const uint8_t *window = (const uint8_t *)(uintptr_t)WINDOW_BASE;

	result->vector = registers[REG_TRAPNO];
	result->error_code = registers[REG_ERR];
	result->cr2 = registers[REG_CR2];
	result->rip = registers[REG_RIP];
	result->flags = registers[REG_EFL];
	for (int n = 0; n < 16; n++)
		result->general[n] = registers[place_of(n)];
	uint64_t packed = registers[REG_CSGSFS];
	for (int n = 0; n < 6; n++)
		result->selectors[n] = selectors[n];
	result->selectors[1] = packed;
	result->selectors[2] = packed >> 48;
	copy(result->fxsave, frame->uc_mcontext.fpregs, FXSAVE_SIZE);

	size_t first = 0, last = WINDOW_SIZE;
	while (first < WINDOW_SIZE && *(uint64_t *)(window + first) == *(uint64_t *)(before + first))
		first += 8;
	while (first < WINDOW_SIZE && window[first] == before[first])
		first++;
	while (last > first && last % 8 == 0 && *(uint64_t *)(window + last - 8) == *(uint64_t *)(before + last - 8))
		last -= 8;
	while (last > first && window[last - 1] == before[last - 1])
		last--;
	result->span_offset = last > first ? first : 0;
	result->span_length = last > first ? last - first : 0;
	copy(result->span, window + first, result->span_length < SPAN_SIZE ? result->span_length : SPAN_SIZE);

	fill((uint8_t *)(uintptr_t)CODE_BASE + one->code_offset, 0xcc, one->code_length);
	running = 0;
}

/* Called by the assembly below. */
__attribute__((used)) static void on_signal(int number, siginfo_t *information, void *context)
{
	ucontext_t *frame = context;
	uint16_t selectors[6];
	(void)number;
	(void)information;
	if (running) {
		__asm__ volatile("mov %%es, %0; mov %%ds, %1; mov %%fs, %2; mov %%gs, %3"
				 : "=r"(selectors[0]), "=r"(selectors[3]), "=r"(selectors[4]), "=r"(selectors[5]));
		finish_case(frame, selectors);
		current++;
	} else {
		copy(own_registers, frame->uc_mcontext.gregs, sizeof(gregset_t));
		copy(own_fxsave, frame->uc_mcontext.fpregs, FXSAVE_SIZE);
		current = 0;
	}
	if (current < case_count) {
		start_case(frame);
	} else {
		copy(frame->uc_mcontext.gregs, own_registers, sizeof(gregset_t));
		copy(frame->uc_mcontext.fpregs, own_fxsave, FXSAVE_SIZE);
	}
}

/*
 * The handler's entry: a case may have left AC set, or NT or ID, which a return from a signal does not restore. The end of
 * the handler: rt_sigreturn. The program's entry.
 */
__asm__(".text\n"
	"signal_entry:\n"
	"	pushfq\n"
	"	andq $~0x244000, (%rsp)\n"
	"	popfq\n"
	"	jmp on_signal\n"
	"signal_return:\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	andq $-16, %rsp\n"
	"	call run\n"
	"	hlt\n");
extern char signal_entry[] __attribute__((visibility("hidden")));
extern char signal_return[] __attribute__((visibility("hidden")));

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static void map(unsigned long base, unsigned long size, int protection)
{
	long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE;
	if (system_call(SYS_mmap, base, size, protection, flags, -1, 0) != (long)base)
		leave(71);
}

static void set_descriptor(int entry, unsigned base, unsigned limit, int big, int contents, int read_only, int absent)
{
	struct user_desc descriptor = {
		.entry_number = entry,
		.base_addr = base,
		.limit = limit,
		.seg_32bit = big,
		.contents = contents,
		.read_exec_only = read_only,
		.seg_not_present = absent,
	};
	/* 0x11: write in the form that keeps no "usable" quirks of the first version. */
	if (system_call(SYS_modify_ldt, 0x11, (long)&descriptor, sizeof descriptor, 0, 0, 0) != 0)
		leave(72);
}

/* Reads until the buffer is full or the input ends; the number of bytes. */
static size_t read_all(void *buffer, size_t size)
{
	size_t done = 0;
	while (done < size) {
		long got = system_call(SYS_read, 0, (long)buffer + done, size - done, 0, 0, 0);
		if (got < 0)
			leave(73);
		if (got == 0)
			break;
		done += got;
	}
	return done;
}

static void write_all(const void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		long put = system_call(SYS_write, 1, (long)buffer + done, size - done, 0, 0, 0);
		if (put <= 0)
			leave(74);
		done += put;
	}
}

__attribute__((used)) static void run(void)
{
	map(CODE_BASE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(WINDOW_BASE, WINDOW_SIZE, PROT_READ | PROT_WRITE);
	fill((void *)(uintptr_t)CODE_BASE, 0xcc, CODE_SIZE);
	for (int n = 0; n < WINDOW_SIZE; n++) {
		uint8_t byte = (n * 2654435761u) >> 13;
		background[n] = (byte & 0xfc) == 0x78 ? 0x80 : byte;
	}

	/* Contents: 0 data, 1 data that expands down, 2 code. The emulated LDT in emulated-processor.ts is the same. */
	set_descriptor(0, CODE_BASE, 0xffff, 0, 2, 0, 0);
	set_descriptor(1, DATA_BASE, 0xffff, 0, 0, 0, 0);
	set_descriptor(2, DATA_BASE + 0x1000, 0x5fff, 1, 0, 0, 0);
	set_descriptor(3, DATA_BASE, 0x4fff, 1, 1, 0, 0);
	set_descriptor(4, DATA_BASE, 0xffff, 1, 0, 1, 0);
	set_descriptor(5, DATA_BASE, 0xffff, 1, 0, 0, 1);

	stack_t stack = { .ss_sp = alternate_stack, .ss_size = sizeof alternate_stack };
	system_call(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0);
	const int numbers[] = { SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS };
	struct kernel_sigaction action = {
		.handler = signal_entry,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000 /* SA_RESTORER */,
		.restorer = signal_return,
	};
	for (int n = 0; n < 5; n++)
		if (system_call(SYS_rt_sigaction, numbers[n], (long)&action, 0, 8, 0, 0) != 0)
			leave(75);

	for (;;) {
		case_count = read_all(cases, sizeof cases) / sizeof cases[0];
		if (case_count == 0)
			leave(0);
		/* A chunk that does not end is a case that the processor does not come back from. */
		system_call(SYS_alarm, 20, 0, 0, 0, 0, 0);
		__asm__ volatile("int3" : : : "memory");
		write_all(results, case_count * sizeof results[0]);
	}
}

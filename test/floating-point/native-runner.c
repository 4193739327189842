/* Runs single instructions on the processor of this machine. For each case on stdin, a struct request; on stdout a struct reply.
   RSI and RDI point at the bytes of data, as in bare-machine.ts. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CODE 0x10000UL
#define DATA 0x200000UL
#define DATA_BYTES 640

struct state {
	uint8_t fx[512];
	uint64_t gpr[4];
	uint64_t flags;
	uint64_t vector;
	uint8_t data[DATA_BYTES];
};

struct request {
	uint8_t code[16];
	struct state state;
};

static struct request request __attribute__((aligned(64)));
static struct state reply __attribute__((aligned(64)));
static uint8_t saved[512] __attribute__((aligned(64)));
static sigjmp_buf escape;

static void on_fault(int number, siginfo_t *info, void *context) {
	ucontext_t *u = context;
	(void)number;
	(void)info;
	memcpy(reply.fx, u->uc_mcontext.fpregs, 512);
	reply.vector = u->uc_mcontext.gregs[REG_TRAPNO];
	reply.gpr[0] = u->uc_mcontext.gregs[REG_RAX];
	reply.gpr[1] = u->uc_mcontext.gregs[REG_RCX];
	reply.gpr[2] = u->uc_mcontext.gregs[REG_RDX];
	reply.gpr[3] = u->uc_mcontext.gregs[REG_RBX];
	reply.flags = u->uc_mcontext.gregs[REG_EFL];
	siglongjmp(escape, 1);
}

static void run(void) {
	uint64_t *gpr = request.state.gpr;
	uint64_t after[5];
	__asm__ volatile(
		"fxsave64 %[saved]\n\t"
		"fxrstor64 %[fx]\n\t"
		"push %%rbp\n\t"
		"mov %[gpr], %%r8\n\t"
		"mov %[after], %%rbp\n\t"
		"mov 0(%%r8), %%rax\n\t"
		"mov 8(%%r8), %%rcx\n\t"
		"mov 16(%%r8), %%rdx\n\t"
		"mov 24(%%r8), %%rbx\n\t"
		"mov $0x200000, %%esi\n\t"
		"mov $0x200000, %%edi\n\t"
		"push $0x202\n\t"
		"popfq\n\t"
		"mov $0x10000, %%r8d\n\t"
		"call *%%r8\n\t"
		"pushfq\n\t"
		"popq 32(%%rbp)\n\t"
		"mov %%rax, 0(%%rbp)\n\t"
		"mov %%rcx, 8(%%rbp)\n\t"
		"mov %%rdx, 16(%%rbp)\n\t"
		"mov %%rbx, 24(%%rbp)\n\t"
		"pop %%rbp\n\t"
		"fxsave64 %[out]\n\t"
		"fnclex\n\t"
		"fxrstor64 %[saved]\n\t"
		: [saved] "+m"(saved), [out] "=m"(reply.fx)
		: [fx] "m"(request.state.fx), [gpr] "r"(gpr), [after] "r"(after)
		: "rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "memory", "cc");
	memcpy(reply.gpr, after, 32);
	reply.flags = after[4];
	reply.vector = (uint64_t)-1;
}

int main(void) {
	uint8_t *code = mmap((void *)CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	uint8_t *data = mmap((void *)DATA, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	static uint8_t stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	static const int signals[] = {SIGFPE, SIGSEGV, SIGILL, SIGBUS};
	if (code == MAP_FAILED || data == MAP_FAILED) return 1;
	sigaltstack(&alternate, 0);
	for (unsigned n = 0; n < 4; n++) sigaction(signals[n], &action, 0);
	while (fread(&request, sizeof request, 1, stdin) == 1) {
		memcpy(code, request.code, 16);
		code[16] = 0xc3;
		memcpy(data, request.state.data, DATA_BYTES);
		memset(&reply, 0, sizeof reply);
		if (!sigsetjmp(escape, 1)) run();
		memcpy(reply.data, data, DATA_BYTES);
		fwrite(&reply, sizeof reply, 1, stdout);
	}
	return 0;
}

// A boot sector in 16-bit code, as students and small systems write them: BIOS calls, memory above 1 MB in "unreal mode", the text
// screen, graphics memory with the registers of mode 13h, a protected-mode excursion, its own timer interrupt.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hyperscopeRun } from "../tools/command-line.ts";
import { ensureDebianPackages } from "../tools/debian-packages.ts";

const SECTOR = `
	.code16
	.globl _start
_start:	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	# INT 15h, AX=E820h: at least the RAM below and above 1 MB
	sti
	xorl %ebx, %ebx
	xorw %bp, %bp
	movw $0x8000, %di
1:	movl $0xe820, %eax
	movl $0x534d4150, %edx
	movl $20, %ecx
	int $0x15
	jc 2f
	incw %bp
	testl %ebx, %ebx
	jnz 1b
2:	movb $'1', %al
	cmpw $3, %bp
	jb fail
	# INT 13h: this sector, by cylinder, head and sector
	movw $0x9000, %bx
	movw $0x0201, %ax
	movw $1, %cx
	movw $0x80, %dx
	int $0x13
	movb $'2', %al
	jc fail
	cmpw $0xaa55, 0x91fe
	jne fail
	# the clock of INT 1Ah goes on while the processor waits
	movb $0, %ah
	int $0x1a
	movw %dx, %bp
3:	hlt
	movb $0, %ah
	int $0x1a
	cmpw %bp, %dx
	je 3b
	# a data segment of 4 GB, kept in real-address mode
	cli
	lgdtw gdtr
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	movw $8, %bx
	movw %bx, %fs
	andb $0xfe, %al
	movl %eax, %cr0
	movl $0x300000, %ebx
	movl $0x12345678, %fs:(%ebx)
	movb $'3', %al
	cmpl $0x12345678, %fs:(%ebx)
	jne fail
	# the text screen
	movw $0xb800, %ax
	movw %ax, %es
	movw $0x0f41, %es:0
	movb $'4', %al
	cmpw $0x0f41, %es:0
	jne fail
	# graphics memory: chain 4 in the sequencer, the window at A0000 in the graphics controller
	movw $0x3c4, %dx
	movw $0x0e04, %ax
	outw %ax, %dx
	movw $0x0f02, %ax
	outw %ax, %dx
	movw $0x3ce, %dx
	movw $0x0506, %ax
	outw %ax, %dx
	movw $0x4005, %ax
	outw %ax, %dx
	movw $0xa000, %ax
	movw %ax, %es
	xorw %di, %di
	movw $32000, %cx
	movw $0x2a17, %ax
	cld
	rep stosw
	movb $'5', %al
	cmpw $0x2a17, %es:63998
	jne fail
	movb $'0', %al
fail:	movw $0x3f8, %dx
	outb %al, %dx
	movb $3, %al
	outb %al, $0xf4
	hlt
gdt:	.quad 0
	.quad 0x00cf92000000ffff
gdtr:	.word 15
	.long gdt
	.org 510
	.word 0xaa55
`;

for (const vmm of ["none", "hvm"])
	test(`a boot sector in 16-bit code, alone on its disk, under ${vmm}`, async (t) => {
		const missing = ensureDebianPackages(["seabios", "gcc"]);
		if (missing !== undefined) {
			if (process.env.CI) assert.fail(missing);
			t.skip(missing);
			return;
		}
		const folder = mkdtempSync(join(tmpdir(), "hyperscope-real-mode-"));
		t.after(() => rmSync(folder, { recursive: true, force: true }));
		writeFileSync(join(folder, "sector.s"), SECTOR);
		for (const [program, ...words] of [
			["as", "--32", "-o", "sector.o", "sector.s"],
			["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", "sector.img", "sector.o"],
		] as const) {
			const done = spawnSync(program, words, { cwd: folder, encoding: "utf8" });
			assert.equal(done.status, 0, done.stderr);
		}
		const image = join(folder, "sector.img");
		assert.equal(readFileSync(image).length, 512);
		const firmware = ["--firmware", "/usr/share/seabios/bios-256k.bin", "--memory", "32M"];
		const limit = ["--max-instructions", "500000000"];
		const { status, output, errors } = await hyperscopeRun(["--vmm", vmm, ...firmware, "--disk", image, ...limit], 300);
		assert.match(output, /0$/, `stage that failed: ${output.at(-1)}; ${errors}`);
		assert.equal(status, 7);
	});

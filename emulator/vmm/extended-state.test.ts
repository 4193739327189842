// XCR0 and XSAVE as a guest has them under each technique: as on the bare machine (SDM Vol. 1 Chapter 13).

import assert from "node:assert/strict";
import { test } from "node:test";
import { dword, TinyGuest, tinyGuest } from "../../test/tools/tiny-guest.ts";
import { createMachine } from "./create-machine.ts";

const TECHNIQUES = [
	{ vmm: "none" },
	{ vmm: "bt", mmu: "shadow" },
	{ vmm: "trap", mmu: "shadow" },
	{ vmm: "hvm", mmu: "ept" },
	{ vmm: "hvm", mmu: "shadow" },
] as const;

const AREA = TinyGuest.results + 0x100;
const movEax = (value: number): number[] => [0xb8, ...dword(value)];
const movEcx = (value: number): number[] => [0xb9, ...dword(value)];
const XOR_EDX = [0x31, 0xd2];
const CPUID = [0x0f, 0xa2];
const XGETBV = [0x0f, 0x01, 0xd0];
const XSETBV = [0x0f, 0x01, 0xd1];
const AND_ECX_XSAVE = [0x81, 0xe1, ...dword(3 << 26)];
/** MOV [results + 4 * index], register: 0 EAX, 1 ECX, 3 EBX. */
const store = (index: number, register: number): number[] => [
	0x89,
	0x05 | (register << 3),
	...dword(TinyGuest.results + index * 4),
];
/** MOV EAX, CR4; OR EAX, OSFXSR and OSXSAVE; MOV CR4, EAX */
const ENABLE = [0x0f, 0x20, 0xe0, 0x0d, ...dword(0x40200), 0x0f, 0x22, 0xe0];
const xcr0 = (value: number): number[] => [...movEcx(0), ...movEax(value), ...XOR_EDX, ...XSETBV];
/** XSAVE, XRSTOR, XSAVEOPT of the area. */
const image = (extension: number): number[] => [
	...movEax(3),
	...XOR_EDX,
	0x0f,
	0xae,
	0x05 | (extension << 3),
	...dword(AREA),
];
/** MOVD XMM0, EAX */
const MOVD = [0x66, 0x0f, 0x6e, 0xc0];

const GUEST = [
	...[...movEax(1), ...CPUID, ...AND_ECX_XSAVE, ...store(0, 1)],
	...ENABLE,
	...[...movEax(1), ...CPUID, ...AND_ECX_XSAVE, ...store(1, 1)],
	...[...movEax(0xd), ...movEcx(0), ...CPUID, ...store(2, 0), ...store(3, 3)],
	...[...movEcx(0), ...XGETBV, ...store(4, 0)],
	...xcr0(3),
	...[...movEcx(0), ...XGETBV, ...store(5, 0)],
	...[0xdb, 0xe3, 0xd9, 0xe8, ...movEax(0x12345678), ...MOVD],
	...image(4),
	...[0xdb, 0xe3, ...movEax(0), ...MOVD],
	...image(5),
	// MOVD EAX, XMM0
	...[0x66, 0x0f, 0x7e, 0xc0, ...store(6, 0)],
	...image(6),
];

function run(code: readonly number[], technique: (typeof TECHNIQUES)[number]) {
	const machine = createMachine({ ...technique, memory: 64 << 20, image: tinyGuest(code) });
	machine.run(100_000);
	const page = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(TinyGuest.results) }, 0x1000)!;
	// Where the last x87 instruction lay: in the translation cache, under binary translation.
	page.fill(0, 0x100 + 8, 0x100 + 14);
	const view = new DataView(page.buffer, page.byteOffset);
	return {
		page,
		words: [0, 1, 2, 3, 4, 5, 6].map((index) => view.getUint32(index * 4, true)),
		fault: view.getUint32(0xf00, true),
	};
}

test("CPUID, XGETBV, XSETBV and the XSAVE area are the same under every technique", () => {
	const bare = run(GUEST, TECHNIQUES[0]);
	assert.deepEqual(
		bare.words,
		[1 << 26, 3 << 26, 3, 576, 1, 3, 0x12345678].map((word) => word >>> 0),
	);
	assert.equal(bare.fault, 0);
	for (const technique of TECHNIQUES)
		assert.deepEqual(run(GUEST, technique).page, bare.page, JSON.stringify(technique));
});

test("XSETBV of a value that XCR0 has not is #GP, XGETBV and XSETBV without CR4.OSXSAVE are #UD", () => {
	for (const technique of TECHNIQUES) {
		const name = JSON.stringify(technique);
		assert.equal(run([...ENABLE, ...xcr0(2)], technique).fault, 1 + 13, name);
		assert.equal(run([...movEcx(0), ...XGETBV], technique).fault, 1 + 6, name);
		assert.equal(run(xcr0(1), technique).fault, 1 + 6, name);
	}
});

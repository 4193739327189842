// Page walks: every right against every access, error codes, accessed and dirty flags (SDM Vol. 3A Chapter 4).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, Place } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Cr0, Cr4, Efer, Eflags } from "../isa/register-bits.ts";
import { State, Tlb } from "../isa/state.ts";
import { PageAccess } from "./paging.ts";

const PF = Vector.pageFault;
const T = Place.tables;
const { write: W, user: U, fetch: I, read: R } = PageAccess;

/** 32-bit paging: linear 400000H + page. */
function paging32(): BareProcessor {
	const bare = new BareProcessor().protectedMode();
	bare.state.i64[State.cr3 >> 3] = BigInt(T);
	bare.state.cr0 |= Cr0.PG;
	bare.write32(T, (T + 0x1000) | 0x67);
	for (let page = 0; page < 1024; page++) bare.write32(T + 0x1000 + page * 4, (page * 0x1000) | 0x67);
	return bare;
}

test("rights of 32-bit paging: U/S, R/W and WP give the page-fault error code of Figure 4-12", () => {
	const bare = paging32();
	const { paging } = bare.processor.core;
	const linear = 0x400123;
	for (const wp of [false, true])
		for (const pde of [0, 1, 3, 5, 7])
			for (const pte of [0, 1, 3, 5, 7])
				for (const access of [R, W, U, U | W, I, U | I]) {
					bare.state.cr0 = wp ? bare.state.cr0 | Cr0.WP : bare.state.cr0 & ~Cr0.WP;
					bare.write32(T + 4, (T + 0x2000) | pde);
					bare.write32(T + 0x2000, 0x5000 | pte);
					const both = pde & pte;
					const present = (both & 1) !== 0;
					const allowed =
						access & U ? (both & 4) !== 0 && (!(access & W) || (both & 2) !== 0) : !(access & W && wp && !(both & 2));
					const name = `wp ${wp} pde ${pde} pte ${pte} access ${access}`;
					const fault = bare.faultOf(() => assert.equal(paging.translate(linear, 0, access), 0x5123, name));
					if (present && allowed) {
						assert.equal(fault, undefined, name);
						assert.equal(bare.read32(T + 4) & 0x60, 0x20, name);
						assert.equal(bare.read32(T + 0x2000) & 0x60, access & W ? 0x60 : 0x20, name);
					} else {
						assert.deepEqual(fault, [PF, (present ? 1 : 0) | (access & (W | U))], name);
						assert.equal(bare.state.i32[State.cr2 >> 2], linear, name);
						assert.equal(bare.read32(T + 0x2000) & 0x60, 0, `${name}: the leaf stays`);
						assert.equal(bare.read32(T + 4) & 0x20, 0, `${name}: the PDE of a walk that faults stays`);
					}
				}
});

test("4-MByte pages: PSE, PSE-36, the reserved bit", () => {
	const bare = paging32();
	const { paging } = bare.processor.core;
	bare.state.cr4 |= Cr4.PSE;
	bare.write32(T + 4, 0x00c00087 | (0x12 << 13));
	assert.equal(paging.translate(0x412345, 0, W), 0x12_00c1_2345);
	assert.equal(bare.read32(T + 4) & 0x60, 0x60);
	bare.write32(T + 4, 0x00e00087);
	assert.deepEqual(
		bare.faultOf(() => paging.translate(0x400000, 0, U)),
		[PF, 0xd],
	);
	bare.state.cr4 &= ~Cr4.PSE;
	bare.write32(T + 4, (T + 0x2000) | 0x87);
	bare.write32(T + 0x2000, 0x7007);
	assert.equal(paging.translate(0x400010, 0, R), 0x7010, "without PSE bit 7 means nothing");
});

test("4-level paging: NX, reserved bits, 2-MByte and 1-GByte pages", () => {
	const bare = new BareProcessor().longMode();
	const { paging } = bare.processor.core;
	const pte = T + 0x3000 + 5 * 8;
	const at = (access: number) => bare.faultOf(() => assert.equal(paging.translate(0x5678, 0, access), 0x5678));
	bare.write64(pte, 0x8000000000005007n);
	assert.equal(at(U | R), undefined);
	assert.deepEqual(at(U | I), [PF, 0x15]);
	assert.deepEqual(at(I), [PF, 0x11]);
	bare.state.efer &= ~Efer.NXE;
	assert.deepEqual(at(R), [PF, 0x9], "bit 63 is reserved without NXE");
	bare.state.efer |= Efer.NXE;
	bare.write64(pte, 0x0000010000005007n);
	assert.deepEqual(at(W), [PF, 0xb], "beyond MAXPHYADDR");
	bare.write64(pte, 0x7ff0000000005007n);
	assert.equal(at(W), undefined, "62:52 are ignored");
	bare.write64(T, BigInt(T + 0x1000) | 0x87n);
	assert.deepEqual(at(R), [PF, 9], "PS in a PML4E");
	bare.write64(T, BigInt(T + 0x1000) | 7n);
	bare.write64(T + 0x2000 + 8, 0x40_0020_0087n | (1n << 12n));
	assert.equal(paging.translate(0x212345, 0, W), 0x40_0021_2345, "bit 12 of a 2-MByte page is PAT");
	bare.write64(T + 0x2000 + 8, 0x2000n | 0x87n);
	assert.deepEqual(
		bare.faultOf(() => paging.translate(0x200000, 0, W)),
		[PF, 0xb],
	);
	bare.write64(T + 0x1000 + 8, 0x8000_0087n);
	assert.equal(paging.translate(0x7fffffff, 0, R), 0xbfffffff);
	assert.equal(bare.read64(T + 0x1000 + 8), 0x8000_00a7n);
});

test("a high canonical address uses the upper half of the PML4", () => {
	const bare = new BareProcessor().longMode();
	bare.write64(T + 511 * 8, BigInt(T + 0x4000) | 3n);
	bare.write64(T + 0x4000 + 510 * 8, BigInt(T + 0x5000) | 3n);
	bare.write64(T + 0x5000, 0x200083n);
	assert.equal(bare.processor.core.paging.translate(0x80001234 | 0, -1, R), 0x201234);
});

test("SMEP and SMAP keep the supervisor off user pages; AC lifts SMAP but for implicit accesses", () => {
	const bare = new BareProcessor({ smep: true, smap: true }).longMode();
	const { paging } = bare.processor.core;
	bare.state.cr4 |= Cr4.SMEP | Cr4.SMAP;
	const at = (access: number) => bare.faultOf(() => paging.translate(0x5000, 0, access));
	assert.deepEqual(at(I), [PF, 0x11]);
	assert.deepEqual(at(R), [PF, 1]);
	assert.deepEqual(at(W), [PF, 3]);
	assert.equal(at(U), undefined);
	bare.state.flagsRest |= Eflags.AC;
	assert.equal(at(R), undefined);
	assert.deepEqual(at(PageAccess.implicit), [PF, 1]);
});

test("PAE: PDPTE registers are loaded with CR3 and stay until it is loaded again; reserved bits raise #GP", () => {
	const bare = new BareProcessor().protectedMode();
	const { control } = bare.processor;
	const { paging } = bare.processor.core;
	bare.write64(T, BigInt(T + 0x1000) | 1n);
	bare.write64(T + 0x1000, 0x83n);
	bare.write64(T + 0x18, BigInt(T + 0x2000) | 1n);
	bare.write64(T + 0x2000 + 511 * 8, 0x200083n);
	control.writeCr4(Cr4.PAE);
	control.writeCr3(T);
	control.writeCr0(bare.state.cr0 | Cr0.PG);
	assert.equal(paging.translate(0x1234, 0, R), 0x1234);
	assert.equal(paging.translate(0xffe12345 | 0, 0, R), 0x212345);
	bare.write64(T + 0x18, 0n);
	assert.equal(paging.translate(0xffe12345 | 0, 0, R), 0x212345, "memory is not looked at");
	control.writeCr3(T);
	assert.deepEqual(
		bare.faultOf(() => paging.translate(0xffe12345 | 0, 0, R)),
		[PF, 0],
	);
	bare.write64(T + 8, 0x3n);
	assert.deepEqual(
		bare.faultOf(() => control.writeCr3(T)),
		[Vector.generalProtection, 0],
	);
});

test("INVLPG on a page that was large drops the whole TLB", () => {
	const bare = paging32();
	const { paging } = bare.processor.core;
	bare.state.cr4 |= Cr4.PSE;
	const flushes = () => bare.tlb.flushes;
	const before = flushes();
	paging.translate(0x1000, 0, R);
	paging.flushPage(0x1000, 0);
	assert.equal(flushes(), before);
	bare.write32(T + 4, 0x00400087);
	paging.translate(0x400000, 0, R);
	bare.write32(T + 4, 0);
	paging.flushPage(0x654321, 0);
	assert.equal(flushes(), before + 1);
});

test("the TLB gets what the walk allows: write only when dirty, the supervisor's pages never for user mode", () => {
	const bare = paging32();
	const { memory } = bare.processor.core;
	const tags = (linear: number) => {
		const entry = (Tlb.base + ((linear >>> 12) & (Tlb.entries - 1)) * Tlb.entrySize) >> 3;
		const context = bare.state.i64[State.tlbContext >> 3]!;
		const tag = BigInt(linear & ~0xfff) | context;
		return [bare.state.i64[entry] === tag, bare.state.i64[entry + 1] === tag];
	};
	bare.write32(T + 0x1000 + 5 * 4, 0x5003);
	memory.read(3, 0x5000, 0, 4);
	assert.deepEqual(tags(0x5000), [true, false]);
	memory.write(3, 0x5000, 0, 4, 1);
	assert.deepEqual(tags(0x5000), [true, true]);
	bare.ring(3);
	assert.deepEqual(
		bare.faultOf(() => memory.read(3, 0x5000, 0, 4)),
		[PF, 5],
	);
	const { fills } = bare.tlb;
	memory.readLinear(0x5000, 0, 4);
	assert.equal(bare.tlb.fills, fills, "an implicit supervisor access enters nothing");
});

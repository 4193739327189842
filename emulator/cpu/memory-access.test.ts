// The slow path of memory accesses: page-crossing, memory-mapped I/O, alignment, canonical addresses, watches, peeking.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, Place } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { AccessKind } from "../engine/helper.ts";
import { Cr0, Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import { DebugException } from "./exceptions.ts";
import { type WatchedAccess, WatchedFor } from "./memory-access.ts";

const DS = Segment.ds << AccessKind.segmentShift;
const SS = Segment.ss << AccessKind.segmentShift;

test("a write that crosses into a page that cannot be written changes nothing", () => {
	const bare = new BareProcessor().longMode();
	bare.write64(Place.tables + 0x3000 + 6 * 8, 0n);
	bare.write32(0x5ffc, 0x11111111);
	bare.state.i64[State.exchange >> 3] = -1n;
	assert.deepEqual(
		bare.faultOf(() => bare.processor.slowWrite(0, 0x5ffe, 0, 4 | DS)),
		[Vector.pageFault, 2],
	);
	assert.equal(bare.state.i32[State.cr2 >> 2], 0x6000);
	assert.equal(bare.read32(0x5ffc), 0x11111111);
	bare.write64(Place.tables + 0x3000 + 6 * 8, 0x9007n);
	bare.processor.slowWrite(0, 0x5ffe, 0, 8 | DS);
	assert.equal(bare.read32(0x5ffc), 0xffff1111);
	assert.equal(bare.read32(0x9000), 0xffffffff);
	assert.equal(bare.read16(0x9004), 0xffff);
	bare.processor.slowRead(0, 0x5ffc, 0, 8 | DS);
	assert.equal(BigInt.asUintN(64, bare.state.i64[State.exchange >> 3]!), 0xffffffffffff1111n);
});

test("memory-mapped I/O gets aligned units of at most 4 bytes, low part first", () => {
	const bare = new BareProcessor().protectedMode();
	const seen: string[] = [];
	bare.physical.bus = {
		read: (address, size) => {
			seen.push(`r${address.toString(16)}/${size}`);
			return size === 1 ? 0x11 : size === 2 ? 0x2222 : 0x33333333;
		},
		write: (address, size, value) => {
			seen.push(`w${address.toString(16)}/${size}=${value.toString(16)}`);
		},
	};
	bare.physical.kind[0xfee00] = 3;
	const low = 0xfee00000 | 0;
	bare.processor.slowRead(0, low, 0, 8 | DS);
	assert.equal(bare.state.i64[State.exchange >> 3], 0x3333333333333333n);
	bare.processor.slowRead(0, low + 3, 0, 4 | DS);
	assert.equal(bare.state.i32[State.exchange >> 2]! >>> 0, 0x11222211);
	bare.state.i64[State.exchange >> 3] = 0x1122334455667788n;
	bare.processor.slowWrite(0, low, 0, 8 | DS);
	assert.deepEqual(seen, [
		"rfee00000/4",
		"rfee00004/4",
		"rfee00003/1",
		"rfee00004/2",
		"rfee00006/1",
		"wfee00000/4=55667788",
		"wfee00004/4=11223344",
	]);
});

test("non-canonical addresses raise #GP(0), through SS #SS(0)", () => {
	const bare = new BareProcessor().longMode();
	const read = (high: number, kind: number) => bare.faultOf(() => bare.processor.slowRead(0, 0, high, 4 | kind));
	assert.deepEqual(read(0x8000, DS), [Vector.generalProtection, 0]);
	assert.deepEqual(read(0x8000, SS), [Vector.stackFault, 0]);
	assert.deepEqual(
		bare.faultOf(() => bare.processor.slowRead(0, -2, 0x7fff, 4 | DS)),
		[Vector.generalProtection, 0],
		"its last byte is not canonical",
	);
	assert.deepEqual(
		bare.faultOf(() => bare.processor.fetchAddress(0x8000_0000_0000n)),
		[Vector.generalProtection, 0],
	);
});

test("alignment is checked at CPL 3 with CR0.AM and EFLAGS.AC only", () => {
	const bare = new BareProcessor().protectedMode().ring(3);
	const read = (offset: number, size: number) => bare.faultOf(() => bare.processor.slowRead(0, offset, 0, size | DS));
	assert.equal(read(0x5001, 4), undefined);
	bare.state.cr0 |= Cr0.AM;
	const flushes = bare.tlb.flushes;
	bare.processor.core.writeEflags(Eflags.AC, Eflags.AC);
	assert.equal(bare.tlb.flushes, flushes + 1, "the fast path forgets user translations");
	assert.deepEqual(read(0x5001, 4), [Vector.alignmentCheck, 0]);
	assert.deepEqual(read(0x5002, 4), [Vector.alignmentCheck, 0]);
	assert.equal(read(0x5002, 14), undefined, "the environment of a 16-bit FLDENV");
	assert.equal(read(0x5002, 2), undefined);
	assert.equal(read(0x5003, 1), undefined);
	bare.ring(0);
	assert.equal(read(0x5001, 4), undefined);
});

test("watched pages report old and new values and stay out of the TLB", () => {
	const bare = new BareProcessor().protectedMode();
	const seen: WatchedAccess[] = [];
	bare.processor.setWatches([
		{
			watches: (_low, _high, page) => (page === 5 ? WatchedFor.writes : 0),
			accessed: (access) => seen.push(access),
		},
	]);
	bare.write32(0x5ffc, 0xaabbccdd);
	bare.state.i32[State.exchange >> 2] = 0x12345678;
	const fills = bare.tlb.fills;
	bare.processor.slowWrite(0, 0x5ffe, 0, 4 | DS);
	bare.processor.slowRead(0, 0x5ffe, 0, 2 | DS);
	assert.deepEqual(seen, [
		{ linear: 0x5ffen, physical: 0x5ffe, size: 2, write: true, implicit: false, oldValue: 0xaabbn, newValue: 0x5678n },
	]);
	assert.equal(bare.tlb.fills, fills + 1, "reads of a page that is watched for writes are entered");
	assert.equal(bare.read32(0x6000) & 0xffff, 0x1234);
});

test("a data breakpoint of DR7 makes a debug trap due", () => {
	const bare = new BareProcessor().protectedMode();
	bare.processor.debug.write(1, 0x5004, 0);
	bare.processor.debug.write(7, (1 << 2) | (1 << 20) | (3 << 22), 0);
	bare.processor.slowWrite(0, 0x5000, 0, 4 | DS);
	assert.equal(bare.processor.debugTrapAfter(false), undefined);
	bare.processor.slowWrite(0, 0x5007, 0, 1 | DS);
	const trap = bare.processor.debugTrapAfter(false);
	assert.equal(trap?.vector, Vector.debug);
	assert.equal(trap instanceof DebugException && trap.bits, 2);
	assert.equal(bare.processor.debugTrapAfter(false), undefined);
});

test("peeking crosses pages, ignores rights and sets no flag", () => {
	const bare = new BareProcessor().longMode();
	const entry = Place.tables + 0x3000 + 5 * 8;
	bare.write64(entry, 0x5001n);
	bare.write64(entry + 8, 0xa001n);
	bare.write32(0x5ffc, 0x04030201);
	bare.write32(0xa000, 0x08070605);
	const { memory } = bare.processor.core;
	assert.deepEqual([...memory.peekLinear(0x5ffcn, 8)!], [1, 2, 3, 4, 5, 6, 7, 8]);
	assert.equal(bare.read64(entry), 0x5001n);
	bare.write64(entry + 8, 0n);
	assert.equal(memory.peekLinear(0x5ffcn, 8)!.length, 4);
	assert.equal(memory.peekLinear(0x6000n, 8), undefined);
	assert.equal(memory.peekLinear(0x8000_0000_0000n, 8), undefined);
	assert.equal(memory.pokeLinear(0x5ffen, Uint8Array.of(9, 9, 9)), 2);
	assert.equal(bare.read32(0x5ffc), 0x09090201);
});

test("addresses wrap at 4 GiB in a segment of 4 GiB, and stay below it outside 64-bit mode", () => {
	const bare = new BareProcessor().protectedMode();
	bare.physical.bus = { read: (_address, size) => (size === 2 ? 0xaaaa : 0), write: () => {} };
	bare.write32(0, 0x44332211);
	assert.equal(bare.processor.core.memory.read(Segment.ds, -2, 0, 4), 0x2211aaaa);
});

test("helpers find what the fast path entered, and nothing of another privilege", () => {
	const bare = new BareProcessor().longMode();
	const { memory } = bare.processor.core;
	const entry = Place.tables + 0x3000 + 5 * 8;
	bare.write64(entry, 0x5003n);
	memory.write(Segment.ds, 0x5000, 0, 8, 0x11223344, 0x55667788);
	const { fills } = bare.tlb;
	assert.equal(memory.read(Segment.ds, 0x5000, 0, 8), 0x11223344);
	assert.equal(memory.valueHigh, 0x55667788);
	assert.equal(bare.tlb.fills, fills);
	bare.state.cpl = 3;
	bare.state.updateMode();
	assert.deepEqual(
		bare.faultOf(() => memory.read(Segment.ds, 0x5000, 0, 8)),
		[Vector.pageFault, 5],
	);
	bare.state.cpl = 0;
	bare.state.updateMode();
	bare.processor.core.paging.flush();
	bare.write64(entry, 0n);
	assert.deepEqual(
		bare.faultOf(() => memory.read(Segment.ds, 0x5000, 0, 8)),
		[Vector.pageFault, 0],
	);
});

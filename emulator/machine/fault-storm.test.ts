// Handlers that fault at their first instruction, for ever: found by random kernels, one of which held its caller up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Access } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import { HostMachine } from "./host-machine.ts";

const GDT = 0x1000;
const IDT = 0x2000;
const CODE = 0x8000;
const STACK = 0xf0000000;
const CODE32 = 0x9b | Access.DB | Access.G;
const DATA32 = 0x93 | Access.DB | Access.G;

/** Flat 32-bit code at ring 0 without paging, every vector's handler at `handler`. */
function machine(code: readonly number[], handler: number): HostMachine {
	const nothing = () => {};
	const host = new HostMachine({ memoryBytes: 1 << 20, onSerial: nothing, onDebugConsole: nothing, onReset: nothing });
	const { state } = host.processor.core;
	const words = new DataView(new ArrayBuffer(0x800));
	words.setUint32(8, 0x0000ffff, true);
	words.setUint32(12, 0x00cf9b00, true);
	host.physical.poke(GDT, new Uint8Array(words.buffer.slice(0, 16)));
	for (let vector = 0; vector < 256; vector++) {
		words.setUint32(vector * 8, (8 << 16) | (handler & 0xffff), true);
		words.setUint32(vector * 8 + 4, (handler & 0xffff0000) | 0x8e00, true);
	}
	host.physical.poke(IDT, new Uint8Array(words.buffer));
	host.physical.poke(CODE, new Uint8Array(code));
	state.cr0 |= 1;
	state.setSegment(Segment.cs, 8, CODE32, 0, 0, -1);
	for (const segment of [Segment.ss, Segment.ds, Segment.es]) state.setSegment(segment, 16, DATA32, 0, 0, -1);
	state.i32[State.gdtrBase >> 2] = GDT;
	state.i32[State.gdtrLimit >> 2] = 15;
	state.i32[State.idtrBase >> 2] = IDT;
	state.i32[State.idtrLimit >> 2] = 0x7ff;
	state.updateMode();
	state.setGpr32(4, STACK | 0);
	state.setRip(CODE, 0);
	return host;
}

/** Paging with the first MiB one to one, and the 4 MiB below ESP all in one frame; nothing is mapped where the handlers are. */
function page(host: HostMachine): void {
	const { state } = host.processor.core;
	const tables = new Uint32Array(0x3000 / 4);
	tables[0] = 0x11003;
	tables[(STACK >>> 22) - 1] = 0x12003;
	for (let entry = 0; entry < 256; entry++) tables[0x400 + entry] = (entry << 12) | 3;
	tables.fill(0x50003, 0x800);
	host.physical.poke(0x10000, new Uint8Array(tables.buffer));
	state.i64[State.cr3 >> 3] = 0x10000n;
	state.cr0 |= 0x80000000;
	host.tlb.flush();
}

for (const [what, handler, paged] of [
	["a handler that begins with UD2", CODE + 1, false],
	["a page-fault handler that is not mapped", 0x300000, true],
] as const)
	test(`${what} does not hold the caller up`, () => {
		const host = machine([0x90, 0x0f, 0x0b], handler);
		if (paged) page(host);
		const { processor, engine } = host;
		assert.equal(host.run(1000), undefined);
		assert.ok(host.stoodStill);
		assert.equal(engine.retired, 1);
		const pushed = STACK - (processor.core.state.i32[(State.gpr + 32) >> 2]! >>> 0);
		assert.ok(pushed > 10_000 * 12, `${pushed} bytes were pushed`);
		assert.ok(host.now() > 10_000, "time goes on, so that interrupts can come");
	});

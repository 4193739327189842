// Frames that interrupts and exceptions leave, the checks of gates, and what faults during delivery become (SDM Vol. 3A Chapter 6).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, Place, Rights, Selector } from "../../test/tools/bare-processor.ts";
import { Fault, Vector } from "../engine/fault.ts";
import { Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import { combine } from "./exceptions.ts";
import { Activity } from "./processor-state.ts";

const HANDLER = 0x00012345;
const STACK = Place.stack + 0x1000;
const INNER = Place.stack + 0x800;

function withGate(vector: number, access = 0x8e, selector: number = Selector.code0): BareProcessor {
	const bare = new BareProcessor().protectedMode();
	bare.gate(Place.idt + vector * 8, selector, HANDLER, access);
	bare.processor.core.flags.writeEflags(Eflags.IF | Eflags.TF | Eflags.CF | Eflags.NT, -1);
	return bare;
}

/** `count` words of 4 bytes from ESP up. */
const frame = (bare: BareProcessor, count: number) =>
	Array.from({ length: count }, (_, index) => bare.read32(bare.state.gpr32(4) + index * 4));
const quads = (bare: BareProcessor, count: number) =>
	Array.from({ length: count }, (_, index) => bare.read64(bare.state.gpr32(4) + index * 8));

test("an exception in ring 0 pushes EFLAGS with RF, CS, EIP and the error code", () => {
	const bare = withGate(13);
	assert.equal(bare.processor.deliver(new Fault(Vector.generalProtection, 0x58)), true);
	assert.equal(bare.state.gpr32(4), STACK - 16);
	assert.deepEqual(frame(bare, 4), [0x58, Place.code, Selector.code0, 0x14303]);
	assert.equal(bare.state.eip, HANDLER);
	assert.equal(bare.processor.core.readEflags(), 0x3, "IF, TF, NT and RF are clear in the handler");
	assert.equal(bare.state.i32[State.interruptsEnabled >> 2], 0);
});

test("a trap gate leaves IF, an interrupt pushes RF as 0 and ends HLT", () => {
	const bare = withGate(0x20, 0x8f);
	bare.run("hlt", { length: 1 });
	assert.equal(bare.processor.halted, true);
	assert.equal(
		bare.processor.takeExternalInterrupt(() => 0x20),
		true,
	);
	assert.equal(bare.processor.halted, false);
	assert.deepEqual(frame(bare, 3), [Place.code + 1, Selector.code0, 0x4303]);
	assert.equal(bare.processor.core.readEflags() & Eflags.IF, Eflags.IF);
});

test("from ring 3 the stack comes from the TSS", () => {
	const bare = withGate(14).ring(3);
	bare.processor.deliver(new Fault(Vector.pageFault, 7));
	assert.equal(bare.state.cpl, 0);
	assert.equal(bare.state.gpr32(4), INNER - 24);
	assert.deepEqual(frame(bare, 6), [7, Place.code, Selector.code3, 0x14303, STACK, Selector.data3]);
	assert.equal(bare.state.selector(Segment.ss), Selector.data0);
	assert.equal(bare.state.selector(Segment.cs), Selector.code0);
});

test("a 16-bit gate pushes words", () => {
	const bare = withGate(0x30, 0x86);
	bare.processor.takeExternalInterrupt(() => 0x30);
	assert.equal(bare.state.gpr32(4), STACK - 6);
	assert.deepEqual(
		[0, 2, 4].map((at) => bare.read16(STACK - 6 + at)),
		[Place.code, Selector.code0, 0x4303],
	);
	assert.equal(bare.state.eip, HANDLER & 0xffff);
});

test("virtual-8086 mode: segments are pushed first and null in the handler", () => {
	const bare = withGate(13);
	const { state } = bare;
	bare.processor.core.writeEflags(Eflags.VM | Eflags.IF, Eflags.VM | Eflags.IF | Eflags.TF | Eflags.NT);
	[Segment.es, Segment.cs, Segment.ss, Segment.ds, Segment.fs, Segment.gs].forEach((segment, index) => {
		bare.processor.core.segmentation.loadRealMode(segment, 0x100 + index);
	});
	state.cpl = 3;
	state.setGpr32(4, 0x80);
	state.updateMode();
	assert.equal(state.modeName, "virtual-8086");
	bare.processor.deliver(new Fault(Vector.generalProtection, 0));
	assert.deepEqual(frame(bare, 10), [0, Place.code, 0x101, 0x30203, 0x80, 0x102, 0x100, 0x103, 0x104, 0x105]);
	assert.equal(state.selector(Segment.ds), 0);
	assert.deepEqual(bare.bounds(Segment.gs), { base: 0n, read: 0n, write: 0n });
	bare.processor.core.operands.moveStack(4);
	bare.run("iret");
	assert.equal(state.modeName, "virtual-8086");
	assert.equal(state.selector(Segment.gs), 0x105);
	assert.equal(state.gpr32(4), 0x80);
});

test("real mode pushes FLAGS, CS and IP and no error code", () => {
	const bare = new BareProcessor().realMode();
	bare.state.flagsRest = Eflags.IF;
	bare.write32(13 * 4, 0x12340056);
	bare.processor.deliver(new Fault(Vector.generalProtection, 0));
	assert.equal(bare.state.gpr32(4), 0x7c00 - 6);
	assert.deepEqual(
		[0, 2, 4].map((at) => bare.read16(0x7bfa + at)),
		[0x100, 0, 0x202],
	);
	assert.equal(bare.state.baseLow(Segment.cs), 0x12340);
	assert.equal(bare.state.eip, 0x56);
});

test("64-bit gates align the stack, push SS:RSP always, and use the IST", () => {
	const bare = new BareProcessor().longMode();
	bare.state.setGpr64(4, 0x9ff8n);
	bare.state.rip = 0x8001n;
	const gate = Place.idt + 14 * 16;
	bare.gate(gate, Selector.code64, HANDLER, 0x8e);
	bare.write32(gate + 8, 0, 0);
	bare.processor.deliver(new Fault(Vector.pageFault, 2));
	assert.equal(bare.state.gpr32(4), 0x9ff0 - 48);
	assert.deepEqual(quads(bare, 6), [2n, 0x8001n, BigInt(Selector.code64), 0x10002n, 0x9ff8n, BigInt(Selector.data0)]);
	assert.equal(bare.state.selector(Segment.ss), Selector.data0, "no change of privilege: SS stays");

	bare.longMode(3);
	bare.state.setGpr64(4, 0x7ffff_f123n);
	bare.gate(gate, Selector.code64, HANDLER, 0x8e, 2);
	bare.write64(Place.tss + 0x24 + 8, 0xb008n);
	bare.processor.deliver(new Fault(Vector.pageFault, 4));
	assert.equal(bare.state.gpr32(4), 0xb000 - 48);
	assert.deepEqual(quads(bare, 6), [
		4n,
		0x8000n,
		BigInt(Selector.user64),
		0x10002n,
		0x7ffff_f123n,
		BigInt(Selector.data3),
	]);
	assert.equal(bare.state.selector(Segment.ss), 0, "a null selector with RPL 0");
	assert.equal(bare.state.cpl, 0);
});

test("gates are checked in the order of SDM Vol. 3A §6.12", () => {
	const software = (prepare: (bare: BareProcessor) => void, cpl: 0 | 3 = 0) => {
		const bare = withGate(0x40).ring(cpl);
		prepare(bare);
		return bare.faultOf(() => bare.run("interrupt", { immediate: 0x40n }));
	};
	const idt = 0x40 * 8 + 2;
	const gate =
		(access: number, selector = Selector.code0 as number) =>
		(bare: BareProcessor) =>
			bare.gate(Place.idt + 0x40 * 8, selector, HANDLER, access);
	assert.deepEqual(
		software((bare) => {
			bare.state.i32[State.idtrLimit >> 2] = 0x40 * 8 + 6;
		}),
		[Vector.generalProtection, idt],
	);
	assert.deepEqual(software(gate(0x8c)), [Vector.generalProtection, idt], "a call gate");
	assert.deepEqual(software(gate(0x8e), 3), [Vector.generalProtection, idt], "DPL below CPL");
	assert.deepEqual(software(gate(0xee), 3), undefined);
	assert.deepEqual(software(gate(0x0e)), [Vector.segmentNotPresent, idt]);
	assert.deepEqual(software(gate(0x8e, 0)), [Vector.generalProtection, 0]);
	assert.deepEqual(software(gate(0x8e, Selector.data0)), [Vector.generalProtection, Selector.data0]);
	assert.deepEqual(
		software(gate(0x8e, Selector.code3)),
		[Vector.generalProtection, Selector.code3 & ~3],
		"an outer ring",
	);
	assert.deepEqual(
		software((bare) => {
			gate(0xee)(bare);
			bare.write32(Place.tss + 8, 0);
		}, 3),
		[Vector.invalidTss, 0],
	);
	assert.deepEqual(
		software((bare) => {
			gate(0xee)(bare);
			bare.write32(Place.tss + 8, Selector.data3);
		}, 3),
		[Vector.invalidTss, Selector.data3 & ~3],
	);
	assert.deepEqual(
		software((bare) => {
			gate(0xee)(bare);
			bare.descriptor(Place.gdt + Selector.data0, 0, 0xfffff, Rights.data32 & ~0x80);
		}, 3),
		[Vector.stackFault, Selector.data0],
	);
});

test("Table 6-5: what two exceptions make", () => {
	const classes: [number, string][] = [
		[Vector.debug, "benign"],
		[Vector.generalProtection, "contributory"],
		[Vector.pageFault, "page"],
		[Vector.doubleFault, "double"],
	];
	const expected: Record<string, string> = {
		"benign benign": "second",
		"benign contributory": "second",
		"benign page": "second",
		"contributory benign": "second",
		"contributory contributory": "double",
		"contributory page": "second",
		"page benign": "second",
		"page contributory": "double",
		"page page": "double",
		"double benign": "second",
		"double contributory": "shutdown",
		"double page": "shutdown",
	};
	for (const [first, a] of classes)
		for (const [second, b] of classes.slice(0, 3)) {
			const fault = new Fault(second, 0);
			const made = combine(first, true, fault);
			const what = !made ? "shutdown" : made === fault ? "second" : made.vector === 8 ? "double" : "?";
			assert.equal(what, expected[`${a} ${b}`], `${a} ${b}`);
		}
	assert.equal(combine(Vector.generalProtection, false, new Fault(Vector.pageFault, 0))?.vector, Vector.pageFault);
});

test("a fault in delivery has EXT set, a second one is a double fault, a third shuts down", () => {
	const bare = withGate(13);
	const seen: [number, number | undefined, string][] = [];
	let shutdowns = 0;
	bare.processor.delivery.onEvent = (vector, code, source) => {
		seen.push([vector, code, source]);
		return undefined;
	};
	bare.processor.delivery.onShutdown = () => shutdowns++;
	// Vector 0x21 has no gate: #GP with EXT, delivered.
	assert.equal(
		bare.processor.takeExternalInterrupt(() => 0x21),
		true,
	);
	assert.equal(frame(bare, 1)[0], 0x21 * 8 + 3);
	// Without the gate of #GP: #DF; without that: shutdown, the state as it was.
	bare.gate(Place.idt + 13 * 8, 0, 0, 0);
	const esp = bare.state.gpr32(4);
	assert.equal(bare.processor.deliver(new Fault(Vector.segmentNotPresent, 0x10)), false);
	assert.deepEqual(seen, [
		[0x21, undefined, "external"],
		[13, 0x21 * 8 + 3, "exception"],
		[11, 0x10, "exception"],
		[8, 0, "exception"],
	]);
	assert.equal(shutdowns, 1);
	assert.equal(bare.processor.activity, Activity.shutdown);
	assert.equal(bare.state.gpr32(4), esp);
	bare.gate(Place.idt + 8 * 8, Selector.code0, HANDLER, 0x8e);
	assert.equal(bare.processor.deliver(new Fault(Vector.segmentNotPresent, 0x10)), true);
	assert.deepEqual(frame(bare, 2), [0, HANDLER]);
});

test("real mode with an empty vector table shuts down", () => {
	const bare = new BareProcessor().realMode();
	bare.state.i32[State.idtrLimit >> 2] = 0;
	assert.equal(bare.processor.deliver(new Fault(Vector.divideError)), false);
});

test("an observer that takes an event over stops its delivery", () => {
	const bare = withGate(14);
	bare.processor.delivery.onEvent = (vector) => vector === Vector.pageFault;
	assert.equal(bare.processor.deliver(new Fault(Vector.pageFault, 2)), true);
	assert.equal(bare.state.eip, Place.code);
	assert.equal(bare.state.gpr32(4), STACK);
});

test("NMIs are blocked until IRET", () => {
	const bare = withGate(2);
	bare.processor.core.writeEflags(0, Eflags.NT | Eflags.TF);
	bare.processor.takeNmi();
	assert.equal(bare.processor.canTakeNmi, false);
	bare.run("iret");
	assert.equal(bare.processor.canTakeNmi, true);
	assert.equal(bare.state.eip, Place.code);
});

test("INT3 and INTO trap after the instruction, INTO only with OF; INT1 passes gates of DPL 0", () => {
	const bare = withGate(3, 0xee).ring(3);
	bare.gate(Place.idt + 8, Selector.code0, HANDLER, 0x8e);
	bare.run("interrupt3", { length: 1 });
	assert.equal(frame(bare, 1)[0], Place.code + 1);
	bare.ring(3).state.setRip(Place.code, 0);
	assert.equal(bare.run("interruptOverflow", { length: 1 }), 0);
	assert.equal(
		bare.faultOf(() => bare.run("interrupt1", { length: 1 })),
		undefined,
	);
	assert.equal(bare.state.cpl, 0);
});

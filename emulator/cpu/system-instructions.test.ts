// Control registers, MSRs, CPUID, system calls, flags instructions and port I/O (SDM Vol. 2, the instructions' pages).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, gpr, Place, Selector } from "../../test/tools/bare-processor.ts";
import { Fault, Vector } from "../engine/fault.ts";
import { AccessKind, Outcome } from "../engine/helper.ts";
import { Access, Cr0, Cr4, Efer, Eflags } from "../isa/register-bits.ts";
import { RecordFlags, Segment, State } from "../isa/state.ts";
import { CoprocessorUse } from "./processor.ts";
import { Internal } from "./processor-state.ts";

const GP = Vector.generalProtection;
const UD = Vector.invalidOpcode;

/** What delivery of the exception leaves in DR6 and CR2. */
function record(bare: BareProcessor, fault: Fault | undefined): Fault | undefined {
	if (fault) bare.processor.delivery.recordCause(fault);
	return fault;
}

test("power-on state (SDM Vol. 3A Table 9-1)", () => {
	const { state, processor } = new BareProcessor();
	assert.equal(state.modeName, "real");
	assert.equal(state.cr0, 0x60000010);
	assert.equal(state.rip, 0xfff0n);
	assert.equal(state.base(Segment.cs) & 0xffffffffn, 0xffff0000n);
	assert.equal(processor.fetchAddress(0xfff0n), 0xfffffff0);
	assert.equal(processor.core.readEflags(), 2);
	assert.equal(processor.modelSpecific.read(0x1b), 0xfee00900n);
	assert.equal(processor.modelSpecific.read(0x277), 0x0007040600070406n);
});

test("CR0, CR3 and CR4 refuse what the manual forbids", () => {
	const bare = new BareProcessor().protectedMode();
	const write = (register: number, value: number) => {
		bare.state.setGpr32(0, value);
		return bare.faultOf(() => bare.run("moveToControl", { registers: [register, gpr(0)] }));
	};
	assert.deepEqual(write(0, Cr0.PG), [GP, 0], "PG without PE");
	assert.deepEqual(write(0, Cr0.PE | Cr0.NW), [GP, 0], "NW without CD");
	assert.deepEqual(write(4, 1 << 12), [GP, 0], "LA57");
	assert.deepEqual(write(4, 1 << 22), [GP, 0], "CPUID reports no protection keys");
	assert.deepEqual(write(1, 0), [UD, undefined]);
	assert.equal(write(0, Cr0.PE | Cr0.TS), undefined);
	assert.equal(bare.state.cr0, Cr0.PE | Cr0.TS | Cr0.ET);
	assert.equal(bare.state.i32[State.x87Trap >> 2], 1);
	bare.run("clts");
	assert.equal(bare.state.i32[State.x87Trap >> 2], 0);
	assert.equal(bare.state.i32[State.sseTrap >> 2], 1, "OSFXSR is clear");
	bare.ring(3);
	assert.deepEqual(write(0, 1), [GP, 0]);
});

test("LMSW cannot leave protected mode; SMSW reads at any privilege", () => {
	const bare = new BareProcessor().protectedMode();
	bare.state.setGpr32(0, 0xe);
	bare.run("lmsw", { registers: [gpr(0)] });
	assert.equal(bare.state.cr0 & 0xf, 0xf);
	bare.ring(3);
	bare.run("smsw", { registers: [gpr(1)] });
	assert.equal(bare.state.gpr32(1), bare.state.cr0);
});

test("UMIP keeps SGDT, SIDT, SLDT, STR and SMSW from user code (SDM Vol. 3A §2.5)", () => {
	const bare = new BareProcessor().protectedMode();
	const register = { registers: [gpr(0)] };
	const memory = { memory: true, address: 0x5000 };
	const all = () =>
		[
			["smsw", register],
			["sldt", register],
			["str", register],
			["sgdt", memory],
			["sidt", memory],
		].map(([name, operands]) => bare.faultOf(() => bare.run(name as string, operands as typeof register)));
	bare.ring(3);
	assert.deepEqual(all(), [undefined, undefined, undefined, undefined, undefined]);
	bare.state.cr4 |= Cr4.UMIP;
	assert.deepEqual(all(), [
		[GP, 0],
		[GP, 0],
		[GP, 0],
		[GP, 0],
		[GP, 0],
	]);
	bare.ring(0);
	assert.deepEqual(all(), [undefined, undefined, undefined, undefined, undefined]);
});

test("CLAC and STAC change EFLAGS.AC at ring 0 whatever CR4.SMAP says", () => {
	const bare = new BareProcessor().protectedMode();
	bare.run("stac");
	assert.equal(bare.processor.core.readEflags() & Eflags.AC, Eflags.AC);
	bare.run("clac");
	assert.equal(bare.processor.core.readEflags() & Eflags.AC, 0);
	bare.ring(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("stac")),
		[UD, undefined],
	);
});

test("IA-32e mode is entered and left in the manual's order", () => {
	const bare = new BareProcessor().longMode().protectedMode();
	const { control, modelSpecific } = bare.processor;
	bare.state.cr0 = Cr0.PE | Cr0.ET;
	bare.state.cr4 = 0;
	bare.state.efer = 0;
	modelSpecific.write(0xc0000080, BigInt(Efer.LME));
	const enable = () => bare.faultOf(() => control.writeCr0(bare.state.cr0 | Cr0.PG));
	assert.deepEqual(enable(), [GP, 0], "without PAE");
	control.writeCr4(Cr4.PAE);
	assert.equal(enable(), undefined);
	assert.equal(bare.state.modeName, "compatibility");
	assert.equal(modelSpecific.read(0xc0000080), BigInt(Efer.LME | Efer.LMA));
	assert.deepEqual(
		bare.faultOf(() => control.writeCr4(0)),
		[GP, 0],
		"PAE stays",
	);
	assert.deepEqual(
		bare.faultOf(() => modelSpecific.write(0xc0000080, 0n)),
		[GP, 0],
		"LME stays while paging",
	);
	const modes: string[] = [];
	bare.state.onModeChange = (mode) => modes.push(mode);
	bare.run("jumpFar", { immediate: 0x1000n, address: Selector.code64 });
	assert.equal(bare.state.mode64, true);
	assert.deepEqual(
		bare.faultOf(() => control.writeCr0(bare.state.cr0 & ~Cr0.PG)),
		[GP, 0],
		"not from 64-bit mode",
	);
	bare.state.setGpr64(4, BigInt(Place.stack));
	bare.write64(Place.stack, 0x2000n);
	bare.write64(Place.stack + 8, BigInt(Selector.code0));
	bare.run("returnFar", {}, 8);
	control.writeCr0(bare.state.cr0 & ~Cr0.PG);
	assert.equal(bare.state.efer & Efer.LMA, 0);
	assert.deepEqual(modes, ["64-bit", "compatibility", "protected"]);
});

test("MSRs: unknown ones, reserved bits and non-canonical addresses raise #GP", () => {
	const bare = new BareProcessor().longMode();
	const write = (address: number, value: bigint) =>
		bare.faultOf(() => bare.processor.modelSpecific.write(address, value));
	assert.deepEqual(write(0x12345, 0n), [GP, 0]);
	assert.deepEqual(write(0xc0000080, 1n << 20n), [GP, 0]);
	assert.deepEqual(write(0xc0000082, 1n << 47n), [GP, 0]);
	assert.equal(write(0xc0000082, 0xffffffff81000000n), undefined);
	assert.deepEqual(write(0x277, 2n), [GP, 0], "memory type 2 is reserved");
	assert.deepEqual(write(0xfe, 0n), [GP, 0]);
	bare.state.setGpr32(1, 0xc0000082);
	bare.run("rdmsr");
	assert.equal(bare.state.gpr64(2), 0xffffffffn);
	assert.equal(bare.state.gpr64(0), 0x81000000n);
	bare.state.setGpr32(1, 0x99);
	assert.deepEqual(
		bare.faultOf(() => bare.run("rdmsr")),
		[GP, 0],
	);
	const addresses = bare.processor.modelSpecific.list().map((row) => row.address);
	assert.equal(new Set(addresses).size, addresses.length);
});

test("the time stamp counts the injected ticks, can be written, and obeys TSD", () => {
	const bare = new BareProcessor().protectedMode();
	bare.time = 0x1_2345_6789;
	bare.run("rdtsc");
	assert.deepEqual([bare.state.gpr32(2), bare.state.gpr32(0)], [1, 0x23456789]);
	bare.processor.modelSpecific.write(0x10, 5n);
	bare.time += 10;
	bare.processor.modelSpecific.write(0xc0000103, 7n);
	bare.run("rdtscp");
	assert.deepEqual([bare.state.gpr32(2), bare.state.gpr32(0), bare.state.gpr32(1)], [0, 15, 7]);
	bare.state.cr4 |= Cr4.TSD;
	bare.ring(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("rdtsc")),
		[GP, 0],
	);
});

test("CPUID: vendor, brand, address sizes; SYSCALL in 64-bit mode only; APIC follows its base register", () => {
	const bare = new BareProcessor().protectedMode();
	const ask = (leaf: number) => {
		bare.state.setGpr32(0, leaf);
		bare.run("cpuid");
		return [0, 3, 1, 2].map((register) => bare.state.gpr32(register) >>> 0);
	};
	const text = (values: number[]) =>
		values.map((value) => String.fromCharCode(...new Uint8Array(Uint32Array.of(value).buffer))).join("");
	const [, ebx, ecx, edx] = ask(0);
	assert.equal(text([ebx!, edx!, ecx!]), "GenuineIntel");
	assert.match(text([2, 3, 4].flatMap((leaf) => ask(0x80000000 + leaf))), /^Hyperscope/);
	assert.equal(ask(0x80000008)[0], 0x3028);
	assert.equal(ask(0x80000001)[3]! & (1 << 11), 0);
	assert.notEqual(ask(1)[3]! & (1 << 9), 0);
	// Machine check, with no banks: UEFI firmware sets CR4.MCE without asking.
	assert.equal(ask(1)[3]! & 0x4080, 0x4080);
	assert.equal(bare.processor.modelSpecific.read(0x179), 0n);
	bare.processor.control.writeCr4(bare.state.cr4 | 0x40);
	assert.equal(bare.state.cr4 & 0x40, 0x40);
	bare.processor.modelSpecific.write(0x1b, 0xfee00100n);
	assert.equal(ask(1)[3]! & (1 << 9), 0);
	bare.longMode();
	assert.notEqual(ask(0x80000001)[3]! & (1 << 11), 0);
	assert.equal(ask(1)[2]! >>> 31, 0, "no hypervisor");
});

test("SYSENTER and SYSEXIT", () => {
	const bare = new BareProcessor().protectedMode().ring(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("sysenter")),
		[GP, 0],
		"IA32_SYSENTER_CS is null",
	);
	const { modelSpecific } = bare.processor;
	modelSpecific.write(0x174, 0x0bn);
	modelSpecific.write(0x175, 0x9876n);
	modelSpecific.write(0x176, 0xc0001234n);
	bare.state.flagsRest = Eflags.IF;
	bare.run("sysenter");
	const { state } = bare;
	assert.deepEqual(
		[state.cpl, state.selector(Segment.cs), state.selector(Segment.ss), state.gpr32(4), state.eip],
		[0, 8, 16, 0x9876, 0xc0001234],
	);
	assert.equal(state.i32[State.interruptsEnabled >> 2], 0);
	state.setGpr32(2, 0x4444);
	state.setGpr32(1, 0x5555);
	bare.run("sysexit");
	assert.deepEqual(
		[state.cpl, state.selector(Segment.cs), state.selector(Segment.ss), state.gpr32(4), state.eip],
		[3, 0x1b, 0x23, 0x5555, 0x4444],
	);
	assert.deepEqual(
		bare.faultOf(() => bare.run("sysexit")),
		[GP, 0],
	);
});

test("SYSCALL and SYSRET", () => {
	const bare = new BareProcessor().longMode(3);
	const { modelSpecific } = bare.processor;
	const { state } = bare;
	modelSpecific.write(0xc0000081, 0x0023_0010_0000_0000n);
	modelSpecific.write(0xc0000082, 0xffffffff81000000n);
	modelSpecific.write(0xc0000084, 0x700n);
	bare.processor.core.flags.writeEflags(Eflags.IF | Eflags.CF, -1);
	bare.run("syscall");
	assert.equal(state.rip, 0xffffffff81000000n);
	assert.equal(state.gpr64(1), BigInt(Place.code + 2));
	assert.equal(state.gpr64(11), 0x203n);
	assert.deepEqual([state.cpl, state.selector(Segment.cs), state.selector(Segment.ss)], [0, 0x10, 0x18]);
	assert.equal(bare.processor.core.readEflags(), 3);
	bare.run("sysret", {}, 8);
	assert.deepEqual([state.cpl, state.selector(Segment.cs), state.selector(Segment.ss)], [3, 0x33, 0x2b]);
	assert.equal(state.rip, BigInt(Place.code + 2));
	assert.equal(bare.processor.core.readEflags(), 0x203);
	bare.run("syscall");
	state.setGpr64(1, 1n << 47n);
	assert.deepEqual(
		bare.faultOf(() => bare.run("sysret", {}, 8)),
		[GP, 0],
		"Intel's processors check RCX",
	);
	state.setGpr64(1, 0x1000n);
	bare.run("sysret", {}, 4);
	assert.equal(state.modeName, "compatibility");
	state.efer &= ~Efer.SCE;
	assert.deepEqual(
		bare.faultOf(() => bare.run("syscall")),
		[UD, undefined],
	);
});

test("SWAPGS exchanges the bases at ring 0 of 64-bit mode", () => {
	const bare = new BareProcessor().longMode();
	bare.processor.modelSpecific.write(0xc0000102, 0xffff888000000000n);
	bare.run("swapgs");
	assert.equal(bare.bounds(Segment.gs).base, 0xffff888000000000n);
	assert.equal(bare.processor.modelSpecific.read(0xc0000102), 0n);
	assert.deepEqual(
		bare.faultOf(() => bare.run("rdgsbase", { registers: [gpr(0)] }, 8)),
		[UD, undefined],
	);
	bare.longMode(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("swapgs")),
		[GP, 0],
	);
});

test("STI holds interrupts back for one instruction; CLI and POPF obey IOPL", () => {
	const bare = new BareProcessor().protectedMode();
	bare.state.i32[State.interruptRequest >> 2] = 1;
	assert.equal(bare.run("sti", { length: 1 }), 2);
	assert.equal(bare.processor.canTakeInterrupt, false);
	bare.retired++;
	assert.equal(bare.processor.canTakeInterrupt, true);
	bare.state.i32[State.interruptRequest >> 2] = 0;
	bare.ring(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("cli")),
		[GP, 0],
	);
	bare.state.setGpr32(4, Place.stack);
	bare.write32(Place.stack, 0x3f7fd5);
	bare.run("popf");
	const kept = Eflags.IOPL | Eflags.RF | Eflags.VM | Eflags.VIF | Eflags.VIP;
	assert.equal(bare.processor.core.readEflags(), 0x3f7fd7 & ~kept, "IF was set and stays");
	bare.run("pushf");
	assert.equal(bare.read32(Place.stack), 0x3f7fd7 & ~kept);
	bare.state.cr4 |= Cr4.PVI;
	bare.run("cli");
	assert.equal(bare.state.flagsRest & (Eflags.IF | Eflags.VIF), Eflags.IF);
	bare.run("sti");
	assert.equal(bare.state.flagsRest & Eflags.VIF, Eflags.VIF);
});

test("virtual-8086 mode: INT n and PUSHF depend on IOPL, VME redirects by the bitmap", () => {
	const bare = new BareProcessor().protectedMode();
	const { state } = bare;
	bare.processor.core.writeEflags(Eflags.VM | Eflags.IF, Eflags.VM | Eflags.IF);
	for (const segment of [0, 1, 2, 3, 4, 5] as const) bare.processor.core.segmentation.loadRealMode(segment, 0x700);
	state.cpl = 3;
	state.setGpr32(4, 0x100);
	state.setRip(0x10, 0);
	state.updateMode();
	for (const name of ["interrupt", "pushf", "popf", "cli"])
		assert.deepEqual(
			bare.faultOf(() => bare.run(name, { immediate: 0x21n }, 2)),
			[GP, 0],
			name,
		);
	state.cr4 |= Cr4.VME;
	// The redirection bitmap is below the I/O map, 32 bytes long.
	bare.write16(Place.tss + 0x66, 0x88);
	bare.write32(0x21 * 4, 0x0800_0044);
	state.flagsRest |= Eflags.VIF | Eflags.NT;
	bare.run("interrupt", { immediate: 0x21n }, 2);
	assert.equal(state.flagsRest & Eflags.NT, Eflags.NT, "only TF and VIF are cleared");
	assert.deepEqual([state.eip, state.selector(Segment.cs), state.gpr32(4)], [0x44, 0x800, 0xfa]);
	assert.deepEqual(
		[0, 2, 4].map((at) => bare.read16(0x7000 + 0xfa + at)),
		[0x12, 0x700, Eflags.IOPL | Eflags.IF | Eflags.NT | 2],
	);
	assert.equal(state.flagsRest & (Eflags.VIF | Eflags.IF), Eflags.IF);
	assert.equal(bare.processor.delivery.enteredHandler, true, "no single-step trap follows it");
	bare.write32(Place.tss + 0x68 + 4, 2);
	assert.deepEqual(
		bare.faultOf(() => bare.run("interrupt", { immediate: 0x21n }, 2)),
		[GP, 0],
	);
});

test("port I/O asks IOPL and the permission bitmap", () => {
	const bare = new BareProcessor().protectedMode().ring(3);
	bare.portValue = 0xabcd;
	const out = (port: number, size: number) => {
		bare.state.setGpr32(2, port);
		return bare.faultOf(() => bare.run("outDx", {}, size));
	};
	bare.write32(Place.tss + 0x68 + 0x3f8 / 8, 0x00000100);
	assert.equal(out(0x3f8, 1), undefined);
	assert.deepEqual(out(0x400, 1), [GP, 0]);
	assert.deepEqual(out(0x3fe, 4), [GP, 0], "a part of it is forbidden");
	assert.equal(out(0x401, 1), undefined);
	bare.write16(Place.tss + 0x66, 0x2067);
	assert.deepEqual(out(0, 1), [GP, 0], "the byte after the map has to be inside");
	bare.state.setGpr32(1, 0);
	assert.deepEqual(
		bare.faultOf(() => bare.run("ins", { flags: RecordFlags.rep, segment: Segment.es }, 1)),
		[GP, 0],
		"REP INS that transfers nothing asks too",
	);
	bare.state.flagsRest |= Eflags.IOPL;
	assert.equal(out(0x400, 2), undefined);
	bare.state.setGpr32(0, -1);
	bare.run("in", { immediate: 0x60n }, 2);
	assert.equal(bare.state.gpr32(0), 0xffffabcd | 0);
	assert.deepEqual(
		bare.ports.map(({ kind, port, size }) => `${kind} ${port.toString(16)} ${size}`),
		["out 3f8 1", "out 401 1", "out 400 2", "in 60 2"],
	);
});

test("REP INS and REP OUTS stop at a page fault, at the fuel and at an interrupt, and go on", () => {
	const bare = new BareProcessor().longMode();
	const { state } = bare;
	const rep = { length: 2, flags: RecordFlags.rep, segment: Segment.es };
	bare.portValue = 0x5a;
	state.setGpr64(7, 0x5ffen);
	state.setGpr64(1, 4n);
	bare.write64(Place.tables + 0x3000 + 6 * 8, 0n);
	assert.deepEqual(
		bare.faultOf(() => bare.run("ins", rep, 1)),
		[Vector.pageFault, 2],
	);
	assert.deepEqual([state.gpr64(7), state.gpr64(1), bare.ports.length], [0x6000n, 2n, 2]);
	bare.write64(Place.tables + 0x3000 + 6 * 8, 0x6007n);
	assert.equal(bare.run("ins", rep, 1), 0);
	assert.equal(state.rip, BigInt(Place.code + 2));
	assert.equal(bare.read32(0x5ffe), 0x5a5a5a5a);
	state.setGpr64(6, 0x5ffen);
	state.setGpr64(1, 100n);
	state.i32[State.fuel >> 2] = 3;
	assert.equal(bare.run("outs", { ...rep, segment: Segment.ds }, 1), 1);
	assert.equal(state.gpr64(1), 97n);
	assert.equal(state.rip, BigInt(Place.code + 2), "RIP stays");
	state.i32[State.fuel >> 2] = 1000;
	state.flagsRest |= Eflags.IF;
	state.i32[State.interruptRequest >> 2] = 1;
	assert.equal(bare.run("outs", { ...rep, segment: Segment.ds }, 1), 2);
	assert.equal(state.gpr64(1), 96n);
});

test("debug registers: aliases, general detect, fixed bits", () => {
	const bare = new BareProcessor().protectedMode();
	const write = (register: number, value: number) => {
		bare.state.setGpr32(0, value);
		return bare.faultOf(() => bare.run("moveToDebug", { registers: [register, gpr(0)] }));
	};
	assert.equal(write(4, 0), undefined, "DR4 is DR6 without CR4.DE");
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! >>> 0, 0xffff0ff0);
	assert.equal(write(7, 0x2000), undefined);
	assert.equal(bare.state.i32[(State.dr + 56) >> 2], 0x2400);
	assert.deepEqual(write(0, 1), [Vector.debug, undefined]);
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! & 0x2000, 0x2000);
	bare.state.cr4 |= Cr4.DE;
	assert.deepEqual(write(5, 0), [UD, undefined]);
});

test("instruction breakpoints and single steps make #DB with their DR6 bits", () => {
	const bare = new BareProcessor().protectedMode();
	bare.processor.debug.write(2, Place.code, 0);
	bare.processor.debug.write(7, 1 << 4, 0);
	assert.equal(record(bare, bare.processor.debugFaultBefore())?.vector, Vector.debug);
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! & 0xf, 4);
	bare.processor.core.writeEflags(Eflags.RF, Eflags.RF);
	assert.equal(bare.processor.debugFaultBefore(), undefined, "RF holds it back");
	record(bare, bare.processor.debugTrapAfter(true));
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! & 0x4000, 0x4000);
	bare.state.setGpr32(0, Selector.data0);
	bare.run("moveToSegment", { registers: [Segment.ss, gpr(0)] });
	assert.equal(bare.processor.debugTrapAfter(true), undefined, "MOV SS holds it back");
	bare.state.flagsRest = 0;
	assert.equal(bare.processor.debugFaultBefore(), undefined, "and the breakpoint of the next instruction");
});

test("DR6 tells the breakpoints of the last exception alone, and entering its handler ends general detect", () => {
	const bare = new BareProcessor().protectedMode();
	const dr = (register: number) => bare.state.i32[(State.dr + register * 8) >> 2]!;
	bare.gate(Place.idt + 8, Selector.code0, 0x1000, 0x8e);
	bare.processor.debug.write(2, Place.code, 0);
	bare.processor.debug.write(6, 0x400a, 0);
	bare.processor.debug.write(7, (1 << 4) | 0x2000, 0);
	const hit = record(bare, bare.processor.debugFaultBefore())!;
	assert.equal(dr(6) & 0xe00f, 0x4004, "B1 and B3 are gone, BS stays");
	assert.equal(bare.processor.deliver(hit), true);
	assert.equal(dr(7) & 0x2000, 0);
	assert.equal(bare.processor.debugTrapAfter(true), undefined, "a fault clears TF without a single-step trap");
	bare.processor.debug.write(6, 0, 0);
	bare.processor.debug.requestTrap(2);
	bare.run("interrupt1");
	assert.equal(dr(6) & 0xf, 2, "INT1 takes a held-back data breakpoint along");
	assert.equal(bare.processor.debugTrapAfter(false), undefined);
});

test("data breakpoints: a fault drops those of its instruction, and those of its own frame come before the handler", () => {
	const bare = new BareProcessor().protectedMode();
	bare.gate(Place.idt + 8, Selector.code0, 0x1000, 0x8e);
	bare.gate(Place.idt + 13 * 8, Selector.code0, 0x2000, 0x8e);
	bare.state.setGpr32(4, Place.stack);
	bare.processor.debug.write(1, 0x5004, 0);
	bare.processor.debug.write(7, (1 << 2) | (1 << 20) | (3 << 22), 0);
	bare.processor.slowWrite(0, 0x5004, 0, 4 | (Segment.ds << AccessKind.segmentShift));
	assert.equal(bare.processor.deliver(new Fault(GP, 0)), true);
	assert.equal(bare.state.eip, 0x2000);
	assert.equal(bare.processor.debugTrapAfter(false), undefined, "the instruction will meet it again");
	bare.state.setGpr32(4, 0x5008);
	assert.equal(bare.processor.deliver(new Fault(GP, 0)), true);
	assert.equal(bare.state.eip, 0x1000);
	assert.equal(bare.read32(bare.state.gpr32(4)), 0x2000, "the handler of #GP has not begun");
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! & 0xf, 2);
});

test("MOV to DR7 and an IRET with an NMI waiting ask the run loop at once", () => {
	const bare = new BareProcessor().protectedMode();
	bare.state.setGpr32(0, 0);
	assert.equal(bare.run("moveToDebug", { registers: [7, gpr(0)] }), Outcome.exit);
	bare.state.i32[Internal.nmiPending >> 2] = 1;
	bare.state.i32[Internal.nmiBlocked >> 2] = 1;
	assert.equal(bare.processor.core.leave(), Outcome.dispatch);
	bare.state.i32[Internal.nmiBlocked >> 2] = 0;
	assert.equal(bare.processor.core.leave(), Outcome.exit);
});

test("a return to an outer ring takes FS and GS away and keeps their hidden bases", () => {
	const bare = new BareProcessor().protectedMode();
	bare.state.setSegmentBase(Segment.gs, 0x400000n);
	bare.processor.core.segmentation.dropInnerSegments(3);
	assert.equal(bare.state.base(Segment.gs), 0x400000n);
	assert.equal(bare.state.selector(Segment.gs), 0);
	assert.ok(bare.state.access(Segment.gs) & Access.unusable);
});

test("IA32_APIC_BASE, x2APIC registers, TSC deadline and CR8 go to the local APIC", () => {
	const bare = new BareProcessor().protectedMode();
	const { modelSpecific } = bare.processor;
	const fault = (action: () => void) => bare.faultOf(action)?.[0];
	const GP = Vector.generalProtection;
	assert.equal(modelSpecific.read(0x802), undefined, "no local APIC");
	assert.equal(
		fault(() => modelSpecific.write(0x6e0, 1n)),
		GP,
	);
	const written: [number, bigint][] = [];
	bare.processor.connectLocalApic({
		endOfInterrupt: () => {},
		writeBaseMsr: (value) => (value & 0x400n) === 0n,
		readX2apic: (register) => (register === 2 ? 7n : undefined),
		writeX2apic: (register, value) => written.push([register, value]) > 0 && register === 0x0b,
		tscDeadline: 5n,
		writeTscDeadline: (value) => written.push([-1, value]),
		taskPriorityClass: 3,
	});
	assert.equal(modelSpecific.read(0x802), 7n);
	assert.equal(modelSpecific.read(0x803), undefined);
	assert.equal(modelSpecific.read(0x6e0), 5n);
	modelSpecific.write(0x80b, 0n);
	modelSpecific.write(0x6e0, 9n);
	assert.equal(
		fault(() => modelSpecific.write(0x8ff, 1n)),
		GP,
	);
	assert.equal(
		fault(() => modelSpecific.write(0x1b, 0xfee00d00n)),
		GP,
	);
	assert.equal(modelSpecific.read(0x1b), 0xfee00900n);
	assert.deepEqual(written, [
		[0x0b, 0n],
		[-1, 9n],
		[0xff, 1n],
	]);
});

test("INT n clears TF without a single-step trap; the T flag of a task traps before its first instruction", () => {
	const bare = new BareProcessor().protectedMode();
	bare.gate(Place.idt + 0x80 * 8, Selector.code0, 0x1000, 0x8e);
	assert.equal(bare.processor.debugFaultBefore(), undefined);
	bare.run("interrupt", { immediate: 0x80n });
	assert.equal(bare.processor.debugTrapAfter(true), undefined);
	bare.processor.debugFaultBefore();
	assert.equal(bare.processor.debugTrapAfter(true)?.vector, Vector.debug);
	bare.processor.debug.requestTrap(1 << 15);
	assert.equal(bare.processor.needsSingleSteps, true);
	assert.equal(record(bare, bare.processor.debugFaultBefore())?.vector, Vector.debug);
	assert.equal(bare.state.i32[(State.dr + 48) >> 2]! & 0x8000, 0x8000);
});

test("#UD or #NM for x87, MMX, SSE and WAIT", () => {
	const bare = new BareProcessor().protectedMode();
	const ask = (cr0: number, cr4: number, use: number) => {
		bare.state.cr0 = cr0;
		bare.state.cr4 = cr4;
		return bare.faultOf(() => bare.run("deviceNotAvailable", {}, use))?.[0];
	};
	const { x87, mmx, sse, wait } = CoprocessorUse;
	const NM = Vector.deviceNotAvailable;
	assert.deepEqual(
		[x87, mmx, sse, wait].map((use) => ask(Cr0.EM, Cr4.OSFXSR, use)),
		[NM, UD, UD, undefined],
	);
	assert.deepEqual(
		[x87, mmx, sse, wait].map((use) => ask(Cr0.TS, Cr4.OSFXSR, use)),
		[NM, NM, NM, undefined],
	);
	assert.equal(ask(Cr0.TS | Cr0.MP, 0, wait), NM);
	assert.equal(ask(0, 0, sse), UD);
});

test("LGDT, SGDT, and BOUND", () => {
	const bare = new BareProcessor().protectedMode();
	const at = { memory: true, address: 0x5000 };
	bare.write32(0x5000, 0x567802ff, 0x1234);
	bare.run("lgdt", at);
	assert.equal(bare.state.i32[State.gdtrBase >> 2], 0x12345678);
	bare.run("lidt", at, 2);
	assert.equal(bare.state.i32[State.idtrBase >> 2], 0x345678, "24 bits with a 16-bit operand size");
	bare.run("sgdt", { memory: true, address: 0x5100 });
	assert.deepEqual([bare.read32(0x5100), bare.read16(0x5104)], [0x567802ff, 0x1234]);
	bare.write32(0x5000, -5, 10);
	const bound = (index: number) => {
		bare.state.setGpr32(0, index);
		return bare.faultOf(() => bare.run("bound", { ...at, registers: [gpr(0)] }))?.[0];
	};
	assert.deepEqual([-6, -5, 10, 11].map(bound), [Vector.boundRange, undefined, undefined, Vector.boundRange]);
	bare.ring(3);
	assert.deepEqual(
		bare.faultOf(() => bare.run("lgdt", at)),
		[GP, 0],
	);
});

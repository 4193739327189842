import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, dword, elfImage, guestMachine } from "../../../test/tools/hvm-guest.ts";
import { ExitReasonNumber } from "../../cpu/vmx/exit-reasons.ts";
import type { EventFilter, Stop } from "../../machine/virtual-machine.ts";
import { HvmMachine } from "./hvm-machine.ts";

const VCPU = 1;
const PCPU = 2;
const at = (offset: number) => BigInt(CODE + offset);
const lin = (value: bigint) => ({ space: "lin" as const, value });

/** mov %eax, 0x200000; cpuid; inc %ecx; jmp to the beginning */
const LOOP = [0xa3, ...dword(0x200000), 0x0f, 0xa2, 0x41, 0xeb, 0xf6];

function eventStop(stop: Stop | undefined): Extract<Stop, { reason: "event" }> {
	assert.equal(stop?.reason, "event");
	return stop as Extract<Stop, { reason: "event" }>;
}

test("a breakpoint holds in every address space, once for an instruction that has to be begun again after an EPT violation", () => {
	const machine = guestMachine(LOOP);
	const [vcpu] = machine.processors();
	machine.setExecutionBreakpoints([{ id: 7, address: lin(at(0)) }]);
	assert.deepEqual(machine.run(1000), { reason: "breakpoint", processor: VCPU, ids: [7] });
	assert.equal(vcpu!.linearInstructionPointer(), at(0));
	const violations = () => (machine.statistics() as unknown as { mmu: { eptViolations: number } }).mmu.eptViolations;
	const before = violations();
	const registers = vcpu!.register("ecx");
	assert.deepEqual(machine.run(1000), { reason: "breakpoint", processor: VCPU, ids: [7] });
	assert.equal(violations(), before + 1, "the store has touched its page");
	assert.notEqual(vcpu!.register("ecx"), registers, "a turn was made between the stops");
	const hpa = vcpu!.translate(at(7), "hpa")!;
	machine.setExecutionBreakpoints([{ id: 8, address: { space: "hpa", value: hpa } }]);
	assert.deepEqual(machine.run(1000), { reason: "breakpoint", processor: PCPU, ids: [8] });
	assert.equal(vcpu!.linearInstructionPointer(), at(7));
	machine.setExecutionBreakpoints([{ id: 9, address: { space: "gpa", value: at(5) } }]);
	assert.deepEqual(machine.run(1000), { reason: "breakpoint", processor: VCPU, ids: [9] });
	assert.equal(vcpu!.linearInstructionPointer(), at(5));
});

test("the vCPU steps by guest instructions, also those that the VMM executes; the pCPU through the exit and the entry", () => {
	const machine = guestMachine(LOOP);
	const [vcpu, pcpu] = machine.processors();
	const path = [5, 7, 8, 0, 5, 7].map((offset) => {
		assert.deepEqual(machine.step(VCPU), { reason: "step", processor: VCPU });
		return [vcpu!.linearInstructionPointer(), at(offset)];
	});
	for (const [stands, expected] of path) assert.equal(stands, expected);
	while (vcpu!.linearInstructionPointer() !== at(5)) machine.step(VCPU);
	assert.equal(machine.step(PCPU).reason, "step");
	assert.match(pcpu!.describe(), /VMX root operation, 64-bit/);
	assert.equal(pcpu!.linearInstructionPointer(), BigInt(machine.monitor.control.entryAddress), "the exit has come");
	assert.equal(vcpu!.linearInstructionPointer(), at(5));
	assert.equal(machine.step(PCPU).reason, "step");
	assert.match(pcpu!.describe(), /VMX non-root operation, protected/);
	assert.equal(pcpu!.linearInstructionPointer(), at(7));
});

test("filters stop at exits by reason, entries, EPT violations and exceptions; the timeline tells of each", () => {
	// ud2 leads to a triple fault, for there is no IDT.
	const machine = guestMachine([...LOOP.slice(0, 8), 0x0f, 0x0b]);
	const filters = (...list: EventFilter[]) => machine.setEventFilters(list);
	filters({ id: 1, event: "ept-violation" });
	const fetch = eventStop(machine.run(1000));
	assert.equal(fetch.guestPhysical, at(0));
	const store = eventStop(machine.run(1000));
	assert.equal(store.guestPhysical, 0x200000n);
	assert.equal(store.exitReason, ExitReasonNumber.eptViolation);
	assert.match(store.description, /^VM exit at 0x100000: EPT violation: guest-physical address 0x200000/);
	filters({ id: 2, event: "vm-exit", exitReason: ExitReasonNumber.cpuid });
	const cpuid = eventStop(machine.run(1000));
	assert.deepEqual([cpuid.ids, cpuid.processor, cpuid.exitReason], [[2], PCPU, ExitReasonNumber.cpuid]);
	assert.equal(machine.vmx.read()!.lastExit!.reason, "CPUID");
	assert.equal(machine.vmx.read()!.inGuest, false);
	filters({ id: 3, event: "vm-entry" });
	assert.equal(eventStop(machine.run(1000)).event, "vm-entry");
	assert.equal(machine.processors()[0]!.linearInstructionPointer(), at(7));
	assert.equal(machine.vmx.read()!.inGuest, true);
	filters({ id: 4, event: "exception", vector: 6 });
	const undefinedOpcode = eventStop(machine.run(1000));
	assert.deepEqual([undefinedOpcode.event, undefinedOpcode.vector], ["exception", 6]);
	filters();
	const end = machine.run(1000);
	assert.equal(end?.reason, "triple-fault");
	assert.equal(machine.processors()[0]!.linearInstructionPointer(), at(8));
	assert.deepEqual(machine.run(1000), end);
	const counts = Object.fromEntries(
		machine.events.counts().map(({ kind, reason, count }) => [`${kind} ${reason}`, count]),
	);
	// The third is the delivery of #UD, which looks for its gate in a page that was never touched.
	assert.equal(counts["exit EPT violation"], 3);
	assert.equal(counts["exit CPUID"], 1);
	assert.equal(counts["exit Triple fault"], 1);
	assert.equal(counts["entry VM entry"], 5);
	assert.equal(counts["exception #UD"], 1);
	const [last] = machine.events.read({ kinds: ["exit"], reason: "CPUID", limit: 1 });
	assert.equal(last!.instruction, at(5));
});

test("data breakpoints see the hardware's stores and the VMM's own for the guest", () => {
	// mov $0x55, %eax; mov %eax, 0x200004; then rep movsb of two bytes from device memory to 0x200008
	const code = [
		[0xb8, ...dword(0x55), 0xa3, ...dword(0x200004)],
		[0xbe, ...dword(0xb8000), 0xbf, ...dword(0x200008), 0xb9, ...dword(2), 0xf3, 0xa4, 0xf4],
	].flat();
	const machine = guestMachine(code);
	machine.setWatchpoints([
		{ id: 1, address: lin(0x200004n), length: 4, access: "write" },
		{ id: 2, address: { space: "gpa", value: 0x200009n }, length: 1, access: "readWrite" },
	]);
	const first = machine.run(1000) as Extract<Stop, { reason: "watchpoint" }>;
	assert.deepEqual([first.reason, first.id, first.newValue], ["watchpoint", 1, 0x55n]);
	const second = machine.run(1000) as Extract<Stop, { reason: "watchpoint" }>;
	assert.deepEqual([second.reason, second.id, second.address.value], ["watchpoint", 2, 0x200009n]);
});

test("registers are read and set in the hardware and in the VMCS, with what the guest believes of CR0 and CR4", () => {
	const machine = guestMachine(LOOP);
	const [vcpu] = machine.processors();
	machine.step(VCPU);
	assert.equal(machine.monitor.control.inGuest, true);
	assert.equal(vcpu!.register("cr4"), 0n, "not the VMXE that VMX operation fixes");
	assert.equal(vcpu!.register("cr0"), 0x11n, "not the NE that VMX operation fixes");
	vcpu!.setRegister("ecx", 0x1234n);
	vcpu!.setRegister("eax", 0n);
	machine.setEventFilters([{ id: 1, event: "vm-exit" }]);
	machine.run(1000);
	assert.equal(machine.monitor.control.inGuest, false);
	assert.deepEqual([vcpu!.register("cr0"), vcpu!.register("cr4"), vcpu!.register("ecx")], [0x11n, 0n, 0x1234n]);
	assert.equal(vcpu!.register("eip"), at(5));
	vcpu!.setRegister("esp", 0x3000n);
	vcpu!.setRegister("edi", 0xabcdn);
	machine.setEventFilters([]);
	machine.step(VCPU);
	machine.step(VCPU);
	assert.equal(machine.monitor.control.inGuest, true);
	assert.deepEqual(
		["edi", "esp", "eip"].map((name) => vcpu!.register(name)),
		[0xabcdn, 0x3000n, at(8)],
	);
});

test("VMX is not reported to the guest, and its instructions raise #UD", () => {
	// mov $1, %eax; cpuid; vmxoff
	const machine = guestMachine([0xb8, ...dword(1), 0x0f, 0xa2, 0x0f, 0x01, 0xc4]);
	machine.setEventFilters([{ id: 1, event: "exception", vector: 6 }]);
	assert.equal(eventStop(machine.run(1000)).vector, 6);
	const vcpu = machine.processors()[0]!;
	assert.equal(vcpu.register("ecx")! & (1n << 5n), 0n);
	assert.equal(vcpu.linearInstructionPointer(), at(7));
});

test("walks show the guest's tables and the EPT, and every reference of both dimensions", () => {
	// CR3 = 0x102000, CR4.PSE, CR0.PG: one page directory with a page of 4 MBytes, and a page table for the next.
	const code = new Uint8Array(0x4000);
	const view = new DataView(code.buffer);
	code.set(
		[
			[0xb8, ...dword(CODE + 0x2000), 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x10, 0x0f, 0x22, 0xe0],
			[0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0, 0xa1, ...dword(0x400000), 0xeb, 0xfe],
		].flat(),
	);
	view.setUint32(0x2000, 0x83, true);
	view.setUint32(0x2004, (CODE + 0x3000) | 3, true);
	view.setUint32(0x3000, 0x200000 | 3, true);
	const machine = guestMachine(code);
	machine.run(100);
	const [vcpu, pcpu] = machine.processors();
	const [guest, ept] = vcpu!.walk(0x400123n);
	assert.deepEqual([guest!.table, guest!.result!.address], ["guest", { space: "gpa", value: 0x200123n }]);
	assert.deepEqual([ept!.table, ept!.steps.length], ["ept", 4]);
	assert.equal(ept!.result!.address.value, vcpu!.translate(0x400123n, "hpa"));
	assert.deepEqual(pcpu!.walk(0x400123n), vcpu!.walk(0x400123n));
	const nested = vcpu!.nestedWalk!(0x400123n)!;
	assert.equal(nested.references.length, 2 * (4 + 1) + 4);
	assert.equal(nested.hostPhysical, ept!.result!.address.value);
	const mapped = vcpu!.mappings("ept", 0n, 100);
	assert.ok(mapped.some(({ start, end }) => start <= 0x200000n && end > 0x200000n));
	assert.throws(() => vcpu!.mappings("shadow", 0n, 1), /choose "guest" or "ept"/);
});

for (const mmu of ["ept", "shadow"] as const)
	test(`a breakpoint holds where fetching its instruction first needs the VMM (${mmu})`, () => {
		const code = new Uint8Array(0x3000);
		const begin = [
			0xb8,
			...dword(CODE + 0x2000),
			0x0f,
			0x22,
			0xd8,
			0x0f,
			0x20,
			0xe0,
			0x83,
			0xc8,
			0x10,
			0x0f,
			0x22,
			0xe0,
		];
		const paging = [0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0];
		const length = begin.length + paging.length;
		code.set([...begin, ...paging, 0xe9, ...dword(0x200000 - CODE - length - 5)]);
		new DataView(code.buffer).setUint32(0x2000, 0x83, true);
		const machine = guestMachine(code, mmu);
		machine.processors()[0]!.writeMemory({ space: "gpa", value: 0x200000n }, new Uint8Array([0x90, 0xeb, 0xfe]));
		machine.setExecutionBreakpoints([{ id: 3, address: lin(0x200000n) }]);
		assert.deepEqual(machine.run(100), { reason: "breakpoint", processor: VCPU, ids: [3] });
		assert.equal(machine.run(100), undefined);
	});

test("a reset by the guest begins with the image again; a power cycle forgets all", () => {
	// incl 0x180000; then the keyboard controller pulls the reset line
	const machine = guestMachine([0xff, 0x05, ...dword(0x180000), 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe]);
	machine.setExecutionBreakpoints([{ id: 1, address: lin(at(0)) }]);
	for (let turn = 0; turn < 3; turn++) assert.equal(machine.run(10_000)?.reason, "breakpoint");
	const count = () => machine.processors()[0]!.readMemory(lin(0x180000n), 1)?.[0];
	assert.equal(count(), 2, "memory keeps its bytes");
	machine.reset();
	assert.equal(machine.run(10_000)?.reason, "breakpoint");
	assert.equal(machine.events.counts().find(({ kind }) => kind === "exit")!.count, 1);
	assert.equal(machine.processors()[0]!.readMemory(lin(0x180000n), 1)?.[0], 0);
});

test("a guest that halts with interrupts off is halted for good", () => {
	const stop = guestMachine([0xfa, 0xf4]).run(1000);
	assert.equal(stop?.reason, "halted");
});

test("what is impossible is refused in one sentence", () => {
	const image = { name: "guest", bytes: elfImage([0xf4]) };
	assert.throws(() => new HvmMachine({ vmm: "hvm", memory: 4 << 20 }), /Nothing says what to start/);
	assert.throws(() => new HvmMachine({ vmm: "hvm", memory: 0x1800, image }), /not possible under "hvm"/);
	assert.throws(() => guestMachine([0xf4]).step(3), /There is no processor 3/);
});

test("an exception in real-address mode whose delivery an EPT violation interrupts is delivered again, without an error code", () => {
	const rom = new Uint8Array(0x10000);
	// sysenter, which raises #GP(0); the interrupt vector table lies in a page that was never touched, and leads to 0:0.
	rom.set([0x0f, 0x34], 0xfff0);
	const machine = new HvmMachine({ firmware: { name: "rom", bytes: rom }, vmm: "hvm", memory: 4 << 20 });
	machine.setExecutionBreakpoints([{ id: 1, address: lin(0n) }]);
	assert.deepEqual(machine.run(1000), { reason: "breakpoint", processor: VCPU, ids: [1] });
	assert.equal(machine.events.counts().find(({ kind }) => kind === "exception")!.count, 1);
});

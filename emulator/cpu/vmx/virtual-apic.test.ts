import assert from "node:assert/strict";
import { test } from "node:test";
import { At, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";

const RAX = 0;
const RBX = 3;
const RDX = 2;
const RCX = 1;
const CPUID = [0x0f, 0xa2] as const;
const TPR_SHADOW = 1 << 21;
const ACCESSES = 1 << 0;
const X2APIC = 1 << 4;
const REGISTERS = 1 << 8;
const INTERRUPTS = 1 << 9;
const TPR = 0x80;
const EOI = 0xb0;
const page = At.virtualApic;

/** MOV EAX, [APIC-access page + offset] or the store. */
const move = (opcode: number, offset: number): number[] => {
	const at = At.apicAccess + offset;
	return [opcode, 0x04, 0x25, at & 0xff, (at >> 8) & 0xff, (at >> 16) & 0xff, 0];
};
const read = (offset: number): number[] => move(0x8b, offset);
const write = (offset: number): number[] => move(0x89, offset);

function start(secondary: number, primary = TPR_SHADOW): VmxMachine {
	const machine = new VmxMachine().operate().secondary(secondary).add("primaryControls", primary);
	if (secondary & INTERRUPTS) machine.add("pinControls", 1);
	return machine;
}

test("MOV to and from CR8 use the virtual task priority; below the threshold the exit comes after the instruction", () => {
	const machine = start(0).code(0x44, 0x0f, 0x22, 0xc3, 0x44, 0x0f, 0x20, 0xc0, ...CPUID);
	machine.state.setGpr64(RBX, 5n);
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.read32(page + TPR), 0x50);
	assert.equal(machine.state.gpr64(RAX), 5n);
	machine
		.operate()
		.add("primaryControls", TPR_SHADOW)
		.set({ tprThreshold: 5 })
		.code(0x44, 0x0f, 0x22, 0xc3, ...CPUID);
	machine.state.setGpr64(RBX, 4n);
	assert.equal(machine.enter(), Reason.tprBelowThreshold);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 4));
	machine
		.operate()
		.add("primaryControls", TPR_SHADOW)
		.set({ exceptionBitmap: 1 << 13 });
	machine.state.setGpr64(RBX, 16n);
	assert.equal(machine.enter(), Reason.exceptionOrNmi, "#GP for a reserved bit");
});

test("the APIC-access page: exits with offset and kind of access, unless the register is virtualized", () => {
	for (const [controls, shadow, code, qualification] of [
		[ACCESSES, 0, read(TPR), 0x0080n],
		[ACCESSES, 0, write(TPR), 0x1080n],
		[ACCESSES, TPR_SHADOW, read(TPR), undefined],
		[ACCESSES, TPR_SHADOW, write(TPR), undefined],
		[ACCESSES, TPR_SHADOW, read(0x20), 0x0020n],
		[ACCESSES, TPR_SHADOW, write(EOI), 0x10b0n],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0x20), undefined],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0x100), undefined],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0x390), 0x0390n],
		[ACCESSES | REGISTERS, TPR_SHADOW, write(0x100), 0x1100n],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0x84), 0x0084n],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0x81), 0x0081n],
		[ACCESSES | REGISTERS, TPR_SHADOW, read(0xffe), 0x0ffen],
		// A quadword.
		[ACCESSES | REGISTERS, TPR_SHADOW, [0x48, ...read(TPR)], 0x0080n],
	] as const) {
		const machine = start(controls, shadow).code(...code, ...CPUID);
		const label = `${controls} ${shadow} ${code}`;
		const reason = machine.enter();
		if (qualification === undefined) {
			assert.equal(reason, Reason.cpuid, label);
			continue;
		}
		assert.equal(reason, Reason.apicAccess, label);
		assert.equal(machine.get("exitQualification"), qualification, label);
		assert.equal(machine.get32("exitInstructionLength"), code.length, label);
		assert.equal(machine.get("guestRip"), BigInt(At.guest), label);
	}
	const fetch = start(ACCESSES).set({ guestRip: At.apicAccess + 0x10 });
	assert.equal(fetch.enter(), Reason.apicAccess);
	assert.equal(fetch.get("exitQualification"), 0x2010n);
	const delivery = start(ACCESSES).set({ guestRsp: At.apicAccess + 0x800, entryInterruptionInformation: 0x80000306 });
	assert.equal(delivery.enter(), Reason.apicAccess);
	assert.equal(delivery.get("exitQualification") & 0xf000n, 0x3000n);
	assert.equal(delivery.get32("idtVectoringInformation"), 0x80000306);
});

test("virtualized writes: the bytes are in the virtual-APIC page, and the exit comes after the instruction", () => {
	const machine = start(ACCESSES | REGISTERS).code(...write(0xf0), ...CPUID);
	machine.state.setGpr64(RAX, 0x1ffn);
	assert.equal(machine.enter(), Reason.apicWrite);
	assert.equal(machine.get("exitQualification"), 0xf0n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 7));
	assert.equal(machine.read32(page + 0xf0), 0x1ff);
	assert.equal(machine.read32(At.apicAccess + 0xf0), 0, "the page itself is not written");
	const high = start(ACCESSES | REGISTERS).code(...write(0x310), ...CPUID);
	high.state.setGpr64(RAX, 0x12345678n);
	assert.equal(high.enter(), Reason.cpuid);
	assert.equal(high.read32(page + 0x310), 0x12000000);
});

test("x2APIC mode: MSRs of the virtual-APIC page, reserved bits, the self-IPI", () => {
	const controls = X2APIC | REGISTERS | INTERRUPTS;
	const run = (code: readonly number[], msr: number, value: bigint, secondary = controls): VmxMachine => {
		const machine = start(secondary)
			.add("primaryControls", 1 << 28)
			.code(...code, ...CPUID);
		machine.set({ exceptionBitmap: 1 << 13 });
		machine.state.setGpr64(RCX, BigInt(msr));
		machine.state.setGpr64(RAX, value & 0xffffffffn);
		machine.state.setGpr64(RDX, value >> 32n);
		machine.write64(page + 0x30, 0x12345678_9abcdef0n);
		machine.enter();
		return machine;
	};
	const WRMSR = [0x0f, 0x30];
	const RDMSR = [0x0f, 0x32];
	const version = run(RDMSR, 0x803, 0n);
	assert.equal(version.get32("exitReason"), Reason.cpuid);
	assert.equal(version.state.gpr64(RAX), 0x9abcdef0n);
	assert.equal(version.state.gpr64(RDX), 0x12345678n);
	const priority = run(WRMSR, 0x808, 0x35n);
	assert.equal(priority.get32("exitReason"), Reason.cpuid);
	assert.equal(priority.read32(page + TPR), 0x35);
	assert.equal(run(WRMSR, 0x808, 0x100n).get32("exitReason"), Reason.exceptionOrNmi);
	assert.equal(run(WRMSR, 0x80b, 1n).get32("exitReason"), Reason.exceptionOrNmi);
	assert.equal(run(WRMSR, 0x83f, 0x100n).get32("exitReason"), Reason.exceptionOrNmi);
	const illegal = run(WRMSR, 0x83f, 0x0fn);
	assert.equal(illegal.get32("exitReason"), Reason.apicWrite);
	assert.equal(illegal.get("exitQualification"), 0x3f0n);
	const self = run(WRMSR, 0x83f, 0x61n);
	assert.equal(self.get32("exitReason"), Reason.cpuid, "IF is clear: it waits");
	assert.equal(self.get32("guestInterruptStatus"), 0x61);
	assert.equal(
		run(RDMSR, 0x803, 0n, X2APIC).get32("exitReason"),
		Reason.exceptionOrNmi,
		"the local APIC is in xAPIC mode",
	);
});

test("virtual interrupts: recognized by class, delivered with IF, in service until the EOI", () => {
	const machine = start(ACCESSES | INTERRUPTS).set({ guestInterruptStatus: 0x61, guestRflags: 0x202 });
	machine.write32(page + 0x200 + 3 * 16, 1 << 1);
	machine.code(0x90);
	assert.equal(machine.enter(), Reason.vmcall);
	assert.equal(machine.get("guestRip"), BigInt(At.guestHandlers + 0x61 * 16));
	assert.equal(machine.get32("guestInterruptStatus"), 0x6100);
	assert.equal(machine.read32(page + 0x100 + 3 * 16), 2, "VISR");
	assert.equal(machine.read32(page + 0x200 + 3 * 16), 0, "VIRR");
	assert.equal(machine.read32(page + 0xa0), 0x60, "VPPR");
	// EOI: with and without an exit.
	machine.set({ guestRip: At.guest, guestRflags: 2 }).code(...write(EOI), ...CPUID);
	machine.set({ eoiExitBitmap1: 1n << 0x21n });
	assert.equal(machine.enter(), Reason.virtualizedEoi);
	assert.equal(machine.get("exitQualification"), 0x61n);
	assert.equal(machine.get32("guestInterruptStatus"), 0);
	const low = start(ACCESSES | INTERRUPTS)
		.set({ guestInterruptStatus: 0x61, guestRflags: 0x202 })
		.code(...CPUID);
	low.write32(page + TPR, 0x60);
	assert.equal(low.enter(), Reason.cpuid, "not above the task priority");
	assert.equal(low.read32(page + 0xa0), 0x60);
	const held = start(ACCESSES | INTERRUPTS)
		.set({ guestInterruptStatus: 0x61 })
		.code(0xfb, 0x90, 0x90, ...CPUID);
	assert.equal(held.enter(), Reason.vmcall);
	assert.equal(held.read64(Number(held.get("guestRsp"))), BigInt(At.guest + 2), "after the shadow of STI");
	const halted = start(ACCESSES | INTERRUPTS).set({ guestInterruptStatus: 0x61, guestRflags: 0x202, guestActivity: 1 });
	assert.equal(halted.enter(), Reason.vmcall);
	assert.equal(halted.get32("guestActivity"), 0);
});

test("posted interrupts: the notification is consumed, the requests are merged", () => {
	const machine = start(ACCESSES | INTERRUPTS)
		.add("pinControls", 1 << 7)
		.add("exitControls", 1 << 15);
	machine.set({ postedInterruptVector: 0xf2, guestRflags: 0x202 });
	machine.write32(At.posted + 4 * 2, 1 << 5);
	machine.write32(At.posted + 4 * 3, 1 << 1);
	machine.write32(At.posted + 32, 1);
	const apic = machine.host.devices.localApic;
	apic.writeRegister(0x0f, 0x1ff);
	apic.accept({ destination: 0, logical: false, deliveryMode: 0, vector: 0xf2, levelTriggered: false });
	machine.code(0x90);
	assert.equal(machine.enter(), Reason.vmcall);
	assert.equal(machine.get("guestRip"), BigInt(At.guestHandlers + 0x61 * 16));
	assert.equal(machine.get32("guestInterruptStatus"), 0x6145);
	assert.equal(machine.read32(At.posted + 8), 0);
	assert.equal(machine.read32(At.posted + 32), 0);
	assert.equal(apic.readRegister(0x17), 0, "its EOI was sent");
	machine
		.operate()
		.secondary(ACCESSES | INTERRUPTS)
		.add("primaryControls", TPR_SHADOW)
		.add("pinControls", 0x81);
	machine.add("exitControls", 1 << 15).set({ postedInterruptVector: 0xf2 });
	apic.accept({ destination: 0, logical: false, deliveryMode: 0, vector: 0xf3, levelTriggered: false });
	assert.equal(machine.enter(), Reason.externalInterrupt, "another vector");
	assert.equal(machine.get32("exitInterruptionInformation") & 0xff, 0xf3);
});

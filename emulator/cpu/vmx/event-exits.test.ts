import assert from "node:assert/strict";
import { test } from "node:test";
import { At, Code, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { Internal } from "../processor-state.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";

const RAX = 0;
const RSP = 4;
const CPUID = [0x0f, 0xa2] as const;
const NOP = 0x90;
const STI = 0xfb;
const HLT = 0xf4;
const UD2 = [0x0f, 0x0b] as const;
const VALID = 0x80000000;
const event = (type: number, vector: number, bits = 0): number => (VALID | bits | (type << 8) | vector) >>> 0;
const ERROR_CODE = 1 << 11;
const handler = (vector: number): bigint => BigInt(At.guestHandlers + vector * 16);
const EXTERNAL = 0;
const NMI = 2;
const HARDWARE = 3;
const SOFTWARE = 4;
const PRIVILEGED = 5;
const SOFTWARE_EXCEPTION = 6;

/** Offsets in the frame of a 64-bit handler without error code. */
const frame = (machine: VmxMachine, index: number): bigint =>
	machine.read64(Number(machine.get("guestRsp")) + index * 8);

test("injection: each type enters its handler with the frame that its kind has", () => {
	const machine = new VmxMachine();
	for (const [type, vector, bits, length, flags] of [
		[EXTERNAL, 0x40, 0, 0, 0x202n],
		[NMI, 2, 0, 0, 0x2n],
		[HARDWARE, 6, 0, 0, 0x10002n],
		[HARDWARE, 13, ERROR_CODE, 0, 0x10002n],
		[HARDWARE, 14, 0, 0, 0x10002n],
		[SOFTWARE, 0x80, 0, 2, 0x2n],
		[PRIVILEGED, 1, 0, 1, 0x2n],
		[SOFTWARE_EXCEPTION, 3, 0, 1, 0x2n],
		[SOFTWARE_EXCEPTION, 4, 0, 0, 0x2n],
	] as const) {
		machine.operate().code(NOP, NOP, NOP);
		machine.set({
			guestRflags: type === EXTERNAL ? 0x202 : 2,
			entryInterruptionInformation: event(type, vector, bits),
			entryExceptionErrorCode: 0x18,
			entryInstructionLength: length,
		});
		const label = `type ${type}, vector ${vector}`;
		assert.equal(machine.enter(), Reason.vmcall, label);
		assert.equal(machine.get("guestRip"), handler(vector), label);
		assert.equal(machine.get32("entryInterruptionInformation") >>> 31, 0, "the valid bit is cleared");
		const first = bits & ERROR_CODE ? 1 : 0;
		if (first) assert.equal(frame(machine, 0), 0x18n);
		assert.equal(frame(machine, first), BigInt(At.guest + length), `${label}: the return address`);
		assert.equal(frame(machine, first + 2), flags, `${label}: RFLAGS`);
		assert.equal((machine.get32("guestInterruptibility") & 8) !== 0, type === NMI, "an NMI blocks NMIs");
		assert.equal(machine.get32("idtVectoringInformation"), 0);
	}
});

test("injected events cause no exit by the exception bitmap; faults of their delivery do, with IDT-vectoring information", () => {
	const machine = new VmxMachine();
	machine.operate().set({ exceptionBitmap: 0xffffffff, entryInterruptionInformation: event(HARDWARE, 6) });
	assert.equal(machine.enter(), Reason.vmcall);
	// An empty IDT.
	for (const [type, vector, bits, length] of [
		[EXTERNAL, 0x40, 0, 0],
		[HARDWARE, 17, ERROR_CODE, 0],
		[SOFTWARE, 0x80, 0, 2],
	] as const) {
		machine.operate().set({
			exceptionBitmap: 1 << 13,
			guestIdtrLimit: 0,
			guestRflags: 0x202,
			entryInterruptionInformation: event(type, vector, bits),
			entryExceptionErrorCode: 0,
			entryInstructionLength: length,
		});
		assert.equal(machine.enter(), Reason.exceptionOrNmi);
		assert.equal(machine.get32("exitInterruptionInformation"), event(HARDWARE, 13, ERROR_CODE));
		assert.equal(machine.get32("exitInterruptionErrorCode"), vector * 8 + 3);
		assert.equal(machine.get32("idtVectoringInformation"), event(type, vector, bits));
		assert.equal(machine.get32("exitInstructionLength"), length);
	}
});

test("INT n, INT3 and INT1 whose delivery faults leave IDT-vectoring information with their length", () => {
	const machine = new VmxMachine();
	for (const [code, type, vector] of [
		[[0xcd, 0x80], SOFTWARE, 0x80],
		[[0xcc], SOFTWARE_EXCEPTION, 3],
		[[0xf1], PRIVILEGED, 1],
	] as const) {
		machine
			.operate()
			.code(...code)
			.set({ exceptionBitmap: 1 << 13, guestIdtrLimit: 0 });
		assert.equal(machine.enter(), Reason.exceptionOrNmi);
		assert.equal(machine.get32("exitInterruptionInformation"), event(HARDWARE, 13, ERROR_CODE));
		assert.equal(machine.get32("idtVectoringInformation"), event(type, vector));
		assert.equal(machine.get32("exitInstructionLength"), code.length);
		assert.equal(machine.get("guestRip"), BigInt(At.guest));
	}
	machine
		.operate()
		.code(0xcc)
		.set({ exceptionBitmap: 1 << 3 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get32("exitInterruptionInformation"), event(SOFTWARE_EXCEPTION, 3));
	assert.equal(machine.get32("exitInstructionLength"), 1);
	machine
		.operate()
		.code(0xf1)
		.set({ exceptionBitmap: 1 << 1 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get32("exitInterruptionInformation"), event(PRIVILEGED, 1));
});

test("a double fault can be intercepted, a third fault is a triple-fault exit, and neither has vectoring information", () => {
	const machine = new VmxMachine();
	machine
		.operate()
		.code(...UD2)
		.set({ guestIdtrLimit: 0, exceptionBitmap: 1 << 8 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get32("exitInterruptionInformation"), event(HARDWARE, 8, ERROR_CODE));
	assert.equal(machine.get32("idtVectoringInformation"), 0);
	machine
		.operate()
		.code(...UD2)
		.set({ guestIdtrLimit: 0 });
	assert.equal(machine.enter(), Reason.tripleFault);
	assert.equal(machine.get("exitQualification"), 0n);
	assert.equal(machine.get32("idtVectoringInformation"), 0);
});

test("page faults: bitmap, error-code mask and match decide together; the qualification is the address", () => {
	const machine = new VmxMachine();
	// MOV [1 GByte + 8], EAX: no page is there.
	const code = [0x89, 0x04, 0x25, 0x08, 0x00, 0x00, 0x40] as const;
	const exits = (bitmap: number, mask: number, match: number): boolean => {
		machine.operate().code(...code);
		machine.set({ exceptionBitmap: bitmap, pageFaultErrorCodeMask: mask, pageFaultErrorCodeMatch: match });
		return machine.enter() === Reason.exceptionOrNmi;
	};
	// A supervisor's write to a page that is not present: error code 2.
	assert.equal(exits(1 << 14, 0, 0), true);
	assert.equal(machine.get("exitQualification"), 0x4000_0008n);
	assert.equal(machine.get32("exitInterruptionInformation"), event(HARDWARE, 14, ERROR_CODE));
	assert.equal(machine.get32("exitInterruptionErrorCode"), 2);
	assert.equal(machine.get32("guestRflags") & 0x10000, 0x10000, "RF is set for a fault");
	assert.equal(exits(0, 0, 0), false);
	assert.equal(exits(1 << 14, 1, 1), false);
	assert.equal(exits(0, 1, 1), true);
	assert.equal(exits(1 << 14, 2, 2), true);
	assert.equal(exits(0, 2, 2), false);
	assert.equal(exits(1 << 14, 0, 0xffffffff), false);
});

test("single steps: the exit has BS, DR6 stays; behind MOV SS the pending trap is in the VMCS", () => {
	const machine = new VmxMachine().operate().code(NOP, NOP).set({ guestRflags: 0x102, exceptionBitmap: 2 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get("exitQualification"), 0x4000n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 1));
	machine.operate().code(NOP).set({ guestPendingDebug: 0x1001, exceptionBitmap: 2 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get("exitQualification"), 1n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest), "a pending trap comes before the first instruction");
	// MOV SS, AX; CPUID with TF set.
	machine
		.operate()
		.code(0x8e, 0xd0, ...CPUID)
		.set({ guestRflags: 0x102, exceptionBitmap: 2 });
	machine.state.setGpr64(RAX, BigInt(Code.data));
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.get32("guestInterruptibility"), 2);
	assert.equal(machine.get("guestPendingDebug"), 0x4000n);
	assert.equal(machine.enter(), Reason.cpuid, "what was saved can be entered again");
});

test("the monitor trap flag: after one instruction, before a debug trap, after an event that is delivered", () => {
	const machine = new VmxMachine();
	const MTF = 1 << 27;
	machine.operate().code(NOP, NOP).add("primaryControls", MTF);
	assert.equal(machine.enter(), Reason.monitorTrapFlag);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 1));
	machine.operate().code(NOP, NOP).add("primaryControls", MTF).set({ guestRflags: 0x102 });
	assert.equal(machine.enter(), Reason.monitorTrapFlag);
	assert.equal(machine.get("guestPendingDebug"), 0x4000n);
	machine
		.operate()
		.code(...UD2)
		.add("primaryControls", MTF);
	assert.equal(machine.enter(), Reason.monitorTrapFlag);
	assert.equal(machine.get("guestRip"), handler(6));
	machine
		.operate()
		.add("primaryControls", MTF)
		.set({ entryInterruptionInformation: event(HARDWARE, 6) });
	assert.equal(machine.enter(), Reason.monitorTrapFlag);
	assert.equal(machine.get("guestRip"), handler(6));
	machine.operate().set({ entryInterruptionInformation: event(7, 0) });
	assert.equal(machine.enter(), Reason.monitorTrapFlag, "injected, without the control");
	assert.equal(machine.get("guestRip"), BigInt(At.guest));
	// REP STOSB of three: one iteration each.
	machine.operate().code(0xf3, 0xaa).add("primaryControls", MTF);
	machine.state.setGpr64(1, 3n);
	machine.state.setGpr64(7, BigInt(At.data));
	assert.equal(machine.enter(), Reason.monitorTrapFlag);
	assert.equal(machine.state.gpr64(1), 2n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest));
});

test("interrupt window: at once with IF, after an interrupt shadow, in HLT", () => {
	const WINDOW = 1 << 2;
	const machine = new VmxMachine();
	const rip = (): number => Number(machine.get("guestRip")) - At.guest;
	machine.operate().code(NOP).add("primaryControls", WINDOW).set({ guestRflags: 0x202 });
	assert.equal(machine.enter(), Reason.interruptWindow);
	assert.equal(rip(), 0);
	machine.operate().code(NOP, STI, STI, NOP).add("primaryControls", WINDOW);
	assert.equal(machine.enter(), Reason.interruptWindow);
	assert.equal(rip(), 3, "the second STI opens no shadow of its own");
	machine.operate().code(NOP, NOP).add("primaryControls", WINDOW).set({ guestRflags: 0x202, guestInterruptibility: 2 });
	assert.equal(machine.enter(), Reason.interruptWindow);
	assert.equal(rip(), 1);
	machine.operate().code(NOP).add("primaryControls", WINDOW).set({ guestRflags: 0x202, guestActivity: 1 });
	assert.equal(machine.enter(), Reason.interruptWindow);
	assert.equal(machine.get32("guestActivity"), 1);
	machine
		.operate()
		.code(...CPUID)
		.add("primaryControls", WINDOW);
	assert.equal(machine.enter(), Reason.cpuid, "IF is clear");
	// An IRETQ that sets IF: RIP, CS, RFLAGS, RSP, SS.
	machine.operate().code(0x48, 0xcf, NOP, NOP).add("primaryControls", WINDOW).set({ guestRsp: At.data });
	[At.guest + 3, Code.code64, 0x202, At.guestStack, Code.data].forEach((value, index) => {
		machine.write64(At.data + index * 8, BigInt(value));
	});
	assert.equal(machine.enter(), Reason.interruptWindow);
	assert.equal(rip(), 3);
});

test("NMIs: to the guest, to the hypervisor, virtual blocking and its window", () => {
	const machine = new VmxMachine();
	const raise = (): void => {
		machine.state.i32[Internal.nmiPending >> 2] = 1;
		// The hypervisor does not take it before the entry.
		machine.state.i32[Internal.nmiBlocked >> 2] = 1;
	};
	machine.operate().code(NOP);
	raise();
	assert.equal(machine.enter(), Reason.vmcall);
	assert.equal(machine.get("guestRip"), handler(2));
	const NMI_EXITING = 1 << 3;
	const VIRTUAL_NMIS = 1 << 5;
	const NMI_WINDOW = 1 << 22;
	machine.operate().code(NOP).add("pinControls", NMI_EXITING);
	raise();
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get32("exitInterruptionInformation"), event(NMI, 2));
	assert.equal(machine.state.i32[Internal.nmiBlocked >> 2], 1, "the exit blocks further ones");
	machine.state.i32[Internal.nmiBlocked >> 2] = 0;
	// A virtual NMI blocks virtual ones until IRET; its window opens then.
	machine
		.operate()
		.code(...CPUID)
		.add("pinControls", NMI_EXITING | VIRTUAL_NMIS);
	machine.set({ entryInterruptionInformation: event(NMI, 2) });
	machine.bytes(At.guestHandlers + 2 * 16, 0x48, 0xcf);
	machine.add("primaryControls", NMI_WINDOW);
	assert.equal(machine.enter(), Reason.nmiWindow);
	assert.equal(machine.get("guestRip"), BigInt(At.guest));
	assert.equal(machine.get32("guestInterruptibility"), 0);
	machine
		.operate()
		.code(...CPUID)
		.add("pinControls", NMI_EXITING | VIRTUAL_NMIS)
		.set({ guestInterruptibility: 8 });
	machine.add("primaryControls", NMI_WINDOW);
	assert.equal(machine.enter(), Reason.cpuid, "blocked: no window");
	assert.equal(machine.get32("guestInterruptibility"), 8);
});

test("an IRET that faults tells that it has ended blocking by NMI", () => {
	const machine = new VmxMachine().operate().code(0x48, 0xcf);
	machine.add("pinControls", 0x28).set({ guestInterruptibility: 8, exceptionBitmap: 1 << 14, guestRsp: 0x4000_0000 });
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get32("exitInterruptionInformation"), event(HARDWARE, 14, ERROR_CODE | (1 << 12)));
	assert.equal(machine.get32("guestInterruptibility"), 0);
});

test("external interrupts: to the guest, to the hypervisor whatever IF says, acknowledged or not, and out of HLT", () => {
	const machine = new VmxMachine();
	const apic = machine.host.devices.localApic;
	const raise = (vector: number): void => {
		apic.writeRegister(0x0f, 0x1ff);
		apic.accept({ destination: 0, logical: false, deliveryMode: 0, vector, levelTriggered: false });
	};
	machine.operate().code(NOP).set({ guestRflags: 0x202 });
	raise(0x50);
	assert.equal(machine.enter(), Reason.vmcall);
	assert.equal(machine.get("guestRip"), handler(0x50));
	apic.endOfInterrupt();
	machine.operate().code(NOP).add("pinControls", 1);
	raise(0x51);
	assert.equal(machine.enter(), Reason.externalInterrupt);
	assert.equal(machine.get32("exitInterruptionInformation"), 0);
	assert.equal(machine.get("guestRip"), BigInt(At.guest));
	machine
		.operate()
		.code(NOP)
		.add("pinControls", 1)
		.add("exitControls", 1 << 15)
		.set({ guestActivity: 1 });
	assert.equal(machine.enter(), Reason.externalInterrupt);
	assert.equal(machine.get32("exitInterruptionInformation"), event(EXTERNAL, 0x51));
	assert.equal(machine.get32("guestActivity"), 1);
	apic.endOfInterrupt();
	machine
		.operate()
		.code(...CPUID)
		.add("pinControls", 1);
	assert.equal(machine.enter(), Reason.cpuid, "none is pending");
});

test("the preemption timer: exact count, in HLT, after an injected event, saved on request", () => {
	const TIMER = 1 << 6;
	const machine = new VmxMachine();
	const nops = new Array<number>(64).fill(NOP);
	machine
		.operate()
		.code(...nops)
		.add("pinControls", TIMER)
		.set({ preemptionTimer: 10 });
	assert.equal(machine.enter(), Reason.preemptionTimer);
	assert.equal(machine.get32("preemptionTimer"), 10, "not saved");
	const distance = Number(machine.get("guestRip")) - At.guest;
	assert.ok(distance >= 8 && distance <= 10, `${distance} instructions`);
	machine
		.operate()
		.code(NOP, NOP, ...CPUID)
		.add("pinControls", TIMER)
		.add("exitControls", 1 << 22);
	machine.set({ preemptionTimer: 100 });
	assert.equal(machine.enter(), Reason.cpuid);
	assert.ok(machine.get32("preemptionTimer") >= 90 && machine.get32("preemptionTimer") < 100);
	machine
		.operate()
		.code(NOP)
		.add("pinControls", TIMER)
		.set({ entryInterruptionInformation: event(HARDWARE, 6) });
	assert.equal(machine.enter(), Reason.preemptionTimer);
	assert.equal(machine.get("guestRip"), handler(6));
	machine.operate().code(NOP).add("pinControls", TIMER).set({ guestPendingDebug: 0x1001 });
	assert.equal(machine.enter(), Reason.preemptionTimer);
	assert.equal(machine.get("guestRip"), handler(1), "a debug trap comes first");
	machine.operate().code(HLT).add("pinControls", TIMER).set({ preemptionTimer: 5000 });
	assert.equal(machine.enter(), Reason.preemptionTimer);
	assert.equal(machine.get32("guestActivity"), 1);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 1));
});

test("a guest in shutdown or wait-for-SIPI executes nothing", () => {
	const TIMER = 1 << 6;
	for (const activity of [2, 3]) {
		const machine = new VmxMachine()
			.operate()
			.code(...CPUID)
			.add("pinControls", TIMER);
		machine.set({ guestActivity: activity, preemptionTimer: 500 });
		assert.equal(machine.enter(), Reason.preemptionTimer);
		assert.equal(machine.get32("guestActivity"), activity);
		assert.equal(machine.get("guestRip"), BigInt(At.guest));
	}
});

test("debug registers of the guest: data breakpoints work after an entry that loads DR7, and are gone after the exit", () => {
	const machine = new VmxMachine().operate();
	// MOV [At.data], EAX
	machine.code(0x89, 0x04, 0x25, At.data & 0xff, At.data >> 8, 0, 0, ...CPUID);
	machine.add("entryControls", 4).set({ guestDr7: 0xd0401, exceptionBitmap: 2 });
	machine.state.i64[(0x470 >> 3) + 0] = BigInt(At.data);
	assert.equal(machine.enter(), Reason.exceptionOrNmi);
	assert.equal(machine.get("exitQualification"), 1n);
	assert.deepEqual(machine.execute([0x89, 0x04, 0x25, At.data & 0xff, At.data >> 8, 0, 0]).kind, "done");
});

test("save and restore in the middle of a guest: the twin goes on alike", () => {
	const machine = new VmxMachine().operate().ept();
	// L: INC RAX; JMP L
	machine
		.code(0x48, 0xff, 0xc0, 0xeb, 0xfb)
		.add("pinControls", 1 << 6)
		.set({ preemptionTimer: 5000 });
	machine.state.setGpr64(RAX, 0n);
	assert.equal(machine.launch(1000).kind, "running");
	const twin = machine.twin();
	assert.equal(twin.unit.nonRoot, true);
	const [first, second] = [machine.go(), twin.go()];
	assert.equal(first.kind, "exit");
	assert.deepEqual(first, second);
	for (const name of ["guestRip", "guestRsp", "exitReason"] as const) assert.equal(machine.get(name), twin.get(name));
	assert.equal(machine.state.gpr64(RAX), twin.state.gpr64(RAX));
	assert.equal(machine.state.gpr64(RSP), BigInt(At.hostStack));
});

test("the TSC deadline counts by the hypervisor's time stamp while a guest with an offset runs", () => {
	const machine = new VmxMachine()
		.operate()
		.add("pinControls", 1)
		.add("primaryControls", 1 << 3);
	// L: JMP L
	machine.code(0xeb, 0xfe).set({ tscOffset: 1_000_000n });
	const apic = machine.host.devices.localApic;
	apic.writeRegister(0x0f, 0x1ff);
	apic.writeRegister(0x32, 0x40060);
	assert.equal(machine.launch(100).kind, "running");
	const due = machine.host.now() + 50_000;
	apic.writeTscDeadline(BigInt(due));
	assert.equal(machine.go(100_000).kind, "exit");
	assert.equal(machine.get32("exitReason"), Reason.externalInterrupt);
	const late = machine.host.now() - due;
	assert.ok(late >= 0 && late < 100, `${late} ns late`);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { At, type Outcome, VmxMachine } from "../../../test/tools/vmx-machine.ts";

const RAX = 0;
const RBX = 3;
const RDI = 7;
// The operand in memory is at [RDI].
const VMXON = [0xf3, 0x0f, 0xc7, 0x37];
const VMXOFF = [0x0f, 0x01, 0xc4];
const VMCLEAR = [0x66, 0x0f, 0xc7, 0x37];
const VMPTRLD = [0x0f, 0xc7, 0x37];
const VMPTRST = [0x0f, 0xc7, 0x3f];
/** VMREAD RBX, RAX and VMWRITE RAX, RBX: the field's encoding is in RAX. */
const VMREAD = [0x0f, 0x78, 0xc3];
const VMWRITE = [0x0f, 0x79, 0xc3];
const VMREAD_MEMORY = [0x0f, 0x78, 0x07];
const VMCALL = [0x0f, 0x01, 0xc1];
const VMFUNC = [0x0f, 0x01, 0xd4];
const VMLAUNCH = [0x0f, 0x01, 0xc2];
const VMRESUME = [0x0f, 0x01, 0xc3];
/** Type in RAX, descriptor at [RDI]. */
const INVEPT = [0x66, 0x0f, 0x38, 0x80, 0x07];
const INVVPID = [0x66, 0x0f, 0x38, 0x81, 0x07];

const UD = 6;
const GP = 13;

function start(): VmxMachine {
	const machine = new VmxMachine();
	machine.state.setGpr64(RDI, BigInt(At.data));
	return machine;
}

const operating = (): VmxMachine => {
	const machine = start();
	machine.operate();
	return machine;
};

const succeeds = (outcome: Outcome): void => {
	assert.deepEqual({ ...outcome, error: 0 }, { kind: "done", carry: false, zero: false, error: 0 });
};
const failsInvalid = (outcome: Outcome): void => {
	assert.deepEqual({ ...outcome, error: 0 }, { kind: "done", carry: true, zero: false, error: 0 });
};
const failsWith = (error: number, outcome: Outcome): void => {
	assert.deepEqual(outcome, { kind: "done", carry: false, zero: true, error });
};
const faults = (vector: number, outcome: Outcome): void => assert.deepEqual(outcome, { kind: "fault", vector });
/** An instruction whose operand is the pointer. */
const withPointer = (machine: VmxMachine, instruction: readonly number[], pointer: number | bigint): Outcome => {
	machine.write64(At.data, BigInt(pointer));
	return machine.execute(instruction);
};

test("outside VMX operation every VMX instruction is undefined, but VMXON with CR4.VMXE", () => {
	for (const bytes of [
		VMXOFF,
		VMCLEAR,
		VMPTRLD,
		VMPTRST,
		VMREAD,
		VMWRITE,
		VMCALL,
		VMFUNC,
		VMLAUNCH,
		VMRESUME,
		INVEPT,
		INVVPID,
		VMXON,
	])
		faults(UD, start().execute(bytes));
});

test("VMXON: fixed bits, the feature-control MSR, the region's address and revision", () => {
	const ready = (): VmxMachine => {
		const machine = start();
		machine.state.cr4 |= 0x2000;
		machine.write32(At.vmxon, machine.unit.revision);
		return machine;
	};
	const good = ready();
	succeeds(withPointer(good, VMXON, At.vmxon));
	assert.equal(good.unit.inOperation, true);
	assert.equal(good.unit.vmcs, undefined);
	failsInvalid(withPointer(good, VMXON, At.vmxon));
	const noNumericError = ready();
	noNumericError.state.cr0 &= ~0x20;
	faults(GP, withPointer(noNumericError, VMXON, At.vmxon));
	const misaligned = ready();
	failsInvalid(withPointer(misaligned, VMXON, At.vmxon + 8));
	failsInvalid(withPointer(misaligned, VMXON, 1n << 40n));
	misaligned.write32(At.vmxon, misaligned.unit.revision + 1);
	failsInvalid(withPointer(misaligned, VMXON, At.vmxon));
	misaligned.write32(At.vmxon, misaligned.unit.revision | 0x80000000);
	failsInvalid(withPointer(misaligned, VMXON, At.vmxon));
	assert.equal(misaligned.unit.inOperation, false);
});

test("in VMX operation CR0.NE and CR4.VMXE stay set, and VMXON with a current VMCS fails with error 15", () => {
	const machine = operating();
	machine.state.setGpr64(RAX, 0x80000011n);
	faults(GP, machine.execute([0x0f, 0x22, 0xc0]));
	machine.state.setGpr64(RAX, 0x20n);
	faults(GP, machine.execute([0x0f, 0x22, 0xe0]));
	failsWith(15, withPointer(machine, VMXON, At.vmxon));
	succeeds(machine.execute(VMXOFF));
	assert.equal(machine.unit.inOperation, false);
	machine.state.setGpr64(RAX, 0x20n);
	succeeds(machine.execute([0x0f, 0x22, 0xe0]));
});

test("at CPL 3 the instructions raise #GP(0)", () => {
	const machine = operating();
	const { state } = machine;
	state.cpl = 3;
	state.setSegment(1, 0x3b, 0xa0fb, 0, 0, -1);
	state.setSegment(2, 0x33, 0xc0f3, 0, 0, -1);
	state.updateMode();
	machine.write64(At.tss + 4, BigInt(At.hostStack));
	faults(GP, machine.execute(VMPTRST));
});

test("VMCLEAR: addresses, the VMXON region, the current VMCS", () => {
	const machine = operating();
	failsWith(2, withPointer(machine, VMCLEAR, At.vmcs + 1));
	failsWith(2, withPointer(machine, VMCLEAR, 1n << 40n));
	failsWith(3, withPointer(machine, VMCLEAR, At.vmxon));
	machine.write32(At.vmcs + 8, 1);
	succeeds(withPointer(machine, VMCLEAR, At.vmcs));
	assert.equal(machine.read32(At.vmcs + 8), 0);
	assert.equal(machine.unit.vmcs, undefined);
});

test("VMPTRLD and VMPTRST: addresses, the VMXON region, the revision; a failure without current VMCS is VMfailInvalid", () => {
	const machine = operating();
	failsWith(9, withPointer(machine, VMPTRLD, At.shadowVmcs + 4));
	failsWith(9, withPointer(machine, VMPTRLD, 1n << 45n));
	failsWith(10, withPointer(machine, VMPTRLD, At.vmxon));
	failsWith(11, withPointer(machine, VMPTRLD, At.shadowVmcs));
	machine.write32(At.shadowVmcs, machine.unit.revision);
	succeeds(withPointer(machine, VMPTRLD, At.shadowVmcs));
	succeeds(machine.execute(VMPTRST));
	assert.equal(machine.read64(At.data), BigInt(At.shadowVmcs));
	succeeds(withPointer(machine, VMCLEAR, At.shadowVmcs));
	succeeds(machine.execute(VMPTRST));
	assert.equal(machine.read64(At.data), 0xffff_ffff_ffff_ffffn);
	failsInvalid(withPointer(machine, VMPTRLD, 1));
	failsInvalid(machine.execute(VMREAD));
	failsInvalid(machine.execute(VMWRITE));
	failsInvalid(machine.execute(VMLAUNCH));
});

test("VMREAD and VMWRITE: widths, the upper half of 64-bit fields, fields that do not exist, exit information", () => {
	const machine = operating();
	const { state } = machine;
	const write = (encoding: bigint, value: bigint): Outcome => {
		state.setGpr64(RAX, encoding);
		state.setGpr64(RBX, value);
		return machine.execute(VMWRITE);
	};
	const read = (encoding: bigint): bigint => {
		state.setGpr64(RAX, encoding);
		state.setGpr64(RBX, -1n);
		succeeds(machine.execute(VMREAD));
		return BigInt.asUintN(64, state.gpr64(RBX));
	};
	const ones = 0x1234_5678_9abc_def0n;
	succeeds(write(0x0802n, ones));
	assert.equal(read(0x0802n), 0xdef0n, "16 bits");
	succeeds(write(0x4002n, ones));
	assert.equal(read(0x4002n), 0x9abcdef0n, "32 bits");
	succeeds(write(0x2010n, ones));
	assert.equal(read(0x2010n), ones, "64 bits");
	succeeds(write(0x2011n, 0xffff_ffffn));
	assert.equal(read(0x2010n), 0xffff_ffff_9abc_def0n, "the upper half");
	assert.equal(read(0x2011n), 0xffff_ffffn);
	succeeds(write(0x681en, ones));
	assert.equal(read(0x681en), ones, "natural width");
	// IA32_VMX_MISC bit 29.
	succeeds(write(0x4402n, 77n));
	assert.equal(read(0x4402n), 77n, "exit information can be written");
	state.setGpr64(RAX, 0x681en);
	succeeds(machine.execute(VMREAD_MEMORY));
	assert.equal(machine.read64(At.data), ones);
	for (const encoding of [0x4003n, 0x0001n, 0x2ffen, 0x1_0000_681en, 0x681fn, 0x8000n])
		failsWith(12, write(encoding, 0n));
	assert.equal(read(0x4400n), 12n);
});

test("VMLAUNCH and VMRESUME: launch state, a shadow VMCS, blocking by MOV SS", () => {
	const machine = operating().code(0x0f, 0xa2);
	failsWith(5, machine.resume());
	assert.equal(machine.launch().kind, "exit");
	failsWith(4, machine.launch());
	assert.equal(machine.resume().kind, "exit");
	machine.write32(At.vmcs, machine.unit.revision | 0x80000000);
	failsInvalid(machine.resume());
	machine.write32(At.vmcs, machine.unit.revision);
	machine.state.setGpr64(RAX, 0x10n);
	// MOV SS, AX; VMRESUME
	failsWith(26, machine.execute([0x8e, 0xd0, ...VMRESUME]));
});

test("VMCALL in root operation fails with error 1; VMFUNC is undefined there", () => {
	const machine = operating();
	failsWith(1, machine.execute(VMCALL));
	faults(UD, machine.execute(VMFUNC));
});

test("INVEPT and INVVPID: types and descriptors", () => {
	const machine = operating();
	const invalidate = (instruction: readonly number[], type: bigint, low: bigint, high = 0n): Outcome => {
		machine.state.setGpr64(RAX, type);
		machine.write64(At.data, low);
		machine.write64(At.data + 8, high);
		return machine.execute(instruction);
	};
	succeeds(invalidate(INVEPT, 1n, BigInt(At.ept | 0x1e)));
	succeeds(invalidate(INVEPT, 2n, 0n));
	for (const [type, pointer] of [
		[0n, 0n],
		[3n, 0n],
		[1n, BigInt(At.ept)],
		[1n, (1n << 41n) | 0x1en],
		[1n << 32n, 0x1en],
	] as const)
		failsWith(28, invalidate(INVEPT, type, pointer));
	for (const type of [0n, 1n, 2n, 3n]) succeeds(invalidate(INVVPID, type, 1n, 0x1000n));
	succeeds(invalidate(INVVPID, 2n, 0n));
	for (const [type, low, high] of [
		[4n, 1n, 0n],
		[0n, 0n, 0n],
		[1n, 0n, 0n],
		[3n, 0n, 0n],
		[1n, 0x10001n, 0n],
		[0n, 1n, 0x8000_0000_0000n],
	] as const)
		failsWith(28, invalidate(INVVPID, type, low, high));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { At, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";

const RAX = 0;
const CPUID = [0x0f, 0xa2] as const;
const { data } = At;
const low = [data & 0xff, (data >> 8) & 0xff, 0, 0] as const;
/** MOV EAX, [data] and MOV [data], EAX. */
const READ = [0x8b, 0x04, 0x25, ...low] as const;
const WRITE = [0x89, 0x04, 0x25, ...low] as const;
/** JMP to data, where the caller puts code. */
const JUMP = [0xb8, ...low, 0xff, 0xe0] as const;
const WRITE_BACK = 6 << 3;

/** Qualification: access 2:0, rights 5:3, bit 7 linear address valid, bit 8 final translation. */
const LINEAR = 1n << 7n;
const FINAL = 1n << 8n;

function start(pointerBits = 0): VmxMachine {
	const machine = new VmxMachine().operate().ept(pointerBits);
	machine.bytes(data, ...CPUID);
	return machine;
}

const entry = (machine: VmxMachine, address: number, rights: number, bits = 0): void =>
	machine.write64(machine.eptEntry(address), BigInt(address) | BigInt(rights) | BigInt(bits));

test("rights of the page: reads, writes and fetches that they allow, and violations with their qualification", () => {
	const machine = start();
	for (const [rights, code, violation] of [
		[7, READ, undefined],
		[1, READ, undefined],
		[1, WRITE, 0x2n | (1n << 3n)],
		[1, JUMP, 0x4n | (1n << 3n)],
		[3, WRITE, undefined],
		[3, JUMP, 0x4n | (3n << 3n)],
		[4, JUMP, undefined],
		[4, READ, 0x1n | (4n << 3n)],
		[4, WRITE, 0x2n | (4n << 3n)],
		[5, WRITE, 0x2n | (5n << 3n)],
		[0, READ, 0x1n],
		[0, WRITE, 0x2n],
		[0, JUMP, 0x4n],
	] as const) {
		machine.operate().ept();
		machine.bytes(data, ...CPUID);
		machine.code(...code, ...CPUID);
		entry(machine, data, rights, rights === 0 ? 0 : WRITE_BACK);
		const reason = machine.enter();
		if (violation === undefined) assert.equal(reason, Reason.cpuid);
		else {
			assert.equal(reason, Reason.eptViolation);
			assert.equal(machine.get("exitQualification"), violation | LINEAR | FINAL);
			assert.equal(machine.get("guestPhysicalAddress"), BigInt(data));
			assert.equal(machine.get("guestLinearAddress"), BigInt(data));
			const own = code === JUMP ? 0 : code.length;
			assert.equal(machine.get32("exitInstructionLength"), own);
		}
	}
});

test("every level counts: rights are those of all entries together, and 2-MByte and 1-GByte pages map", () => {
	for (const [level, at] of [
		[4, At.ept],
		[3, At.ept + 0x1000],
		[2, At.ept + 0x2000],
	] as const) {
		const machine = start().code(...WRITE, ...CPUID);
		machine.write32(at, (machine.read32(at) & ~7) | 5);
		// No flag of the guest's own tables has to be set: the write itself fails.
		for (const table of [0, 0x1000, 0x2000])
			machine.write32(At.tables + table, machine.read32(At.tables + table) | 0x60);
		for (const address of [At.guest, data]) {
			const page = At.tables + 0x3000 + (address >> 12) * 8;
			machine.write32(page, machine.read32(page) | 0x60);
		}
		assert.equal(machine.enter(), Reason.eptViolation, `level ${level}`);
		assert.equal(machine.get("exitQualification") & 0x3fn, 2n | (5n << 3n), `level ${level}`);
	}
	const large = start().code(...WRITE, ...CPUID);
	large.write64(At.ept + 0x2000, BigInt(0x80 | WRITE_BACK | 7));
	assert.equal(large.enter(), Reason.cpuid);
	const huge = start().code(...WRITE, ...CPUID);
	huge.write64(At.ept + 0x1000, BigInt(0x80 | WRITE_BACK | 7));
	assert.equal(huge.enter(), Reason.cpuid);
});

test("a paging structure of the guest that EPT does not map: a violation that is not the final translation", () => {
	const machine = start().code(...READ);
	entry(machine, At.tables + 0x3000, 0);
	assert.equal(machine.enter(), Reason.eptViolation);
	assert.equal(machine.get("exitQualification"), 1n | LINEAR);
	assert.equal(machine.get("guestPhysicalAddress"), BigInt(At.tables + 0x3000 + (At.guest >> 12) * 8));
	assert.equal(machine.get("guestLinearAddress"), BigInt(At.guest));
});

test("misconfigurations: rights, reserved bits, memory types, addresses", () => {
	for (const [level, value] of [
		[1, BigInt(data | WRITE_BACK | 2)],
		[1, BigInt(data | WRITE_BACK | 6)],
		[1, BigInt(data | (2 << 3) | 7)],
		[1, BigInt(data | (7 << 3) | 7)],
		[1, BigInt(data | WRITE_BACK | 7) | (1n << 40n)],
		[2, BigInt((At.ept + 0x3000) | 7 | 8)],
		[2, BigInt(0x80 | WRITE_BACK | 7 | 0x1000)],
		[3, BigInt((At.ept + 0x2000) | 7 | 0x10)],
		[3, BigInt(0x80 | WRITE_BACK | 7 | 0x200000)],
		[4, BigInt((At.ept + 0x1000) | 7 | 0x80)],
		[4, BigInt((At.ept + 0x1000) | 7 | 0x20)],
	] as const) {
		const machine = start().code(...READ, ...CPUID);
		const at = level === 1 ? machine.eptEntry(data) : At.ept + (4 - level) * 0x1000;
		machine.write64(at, value);
		assert.equal(machine.enter(), Reason.eptMisconfiguration, `level ${level}: ${value.toString(16)}`);
		assert.equal(
			machine.get("guestPhysicalAddress") >> 12n,
			level === 1 ? BigInt(data >> 12) : BigInt(At.tables >> 12),
		);
	}
});

test("accessed and dirty flags: set only when they are enabled; accesses to the guest's tables are writes then", () => {
	const machine = start().code(...READ, ...CPUID);
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.read32(machine.eptEntry(data)) & 0x300, 0);
	const marked = start(0x40).code(...READ, ...WRITE, ...CPUID);
	assert.equal(marked.enter(), Reason.cpuid);
	assert.equal(marked.read32(marked.eptEntry(data)) & 0x300, 0x300);
	assert.equal(marked.read32(marked.eptEntry(At.guest)) & 0x300, 0x100);
	assert.equal(marked.read32(marked.eptEntry(At.tables)) & 0x300, 0x300);
	assert.equal(marked.read32(At.ept + 0x2000) & 0x300, 0x100, "only the entry of a page has a dirty flag");
	const strict = start(0x40).code(...READ);
	entry(strict, At.tables + 0x3000, 5, WRITE_BACK);
	assert.equal(strict.enter(), Reason.eptViolation);
	assert.equal(strict.get("exitQualification"), 3n | (5n << 3n) | LINEAR);
});

test("a page that was read is not written through the TLB while its dirty flag is clear", () => {
	const machine = start(0x40);
	machine.code(...READ, 0x0f, 0x01, 0xc1, ...WRITE, ...CPUID);
	assert.equal(machine.enter(), Reason.vmcall);
	assert.equal(machine.read32(machine.eptEntry(data)) & 0x200, 0);
	machine.set({ guestRip: At.guest + READ.length + 3 });
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.read32(machine.eptEntry(data)) & 0x200, 0x200);
});

test("page-modification log: the address goes into the log before the dirty flag, a full log exits", () => {
	const machine = start(0x40)
		.secondary((1 << 17) | 2)
		.code(...WRITE, ...WRITE, ...CPUID)
		.set({ pmlIndex: 511 });
	assert.equal(machine.enter(), Reason.cpuid);
	const index = machine.get32("pmlIndex");
	const logged: bigint[] = [];
	for (let at = 511; at > index; at--) logged.push(machine.read64(At.modificationLog + at * 8));
	assert.ok(logged.includes(BigInt(data)), "the page that was written");
	assert.ok(logged.includes(BigInt(At.tables)), "a table of the guest");
	assert.equal(new Set(logged).size, logged.length, "each page once");
	const full = start(0x40)
		.secondary((1 << 17) | 2)
		.code(...WRITE)
		.set({ pmlIndex: 0xffff });
	assert.equal(full.enter(), Reason.pageModificationLogFull);
	assert.equal(full.read32(full.eptEntry(At.tables)) & 0x200, 0, "the flag is not set");
});

test("mode-based execute control: supervisor pages need bit 2, user pages bit 10", () => {
	const run = (bits: number, user: boolean): number => {
		const machine = start()
			.secondary((1 << 22) | 2)
			.code(...JUMP);
		// All tables and pages are the guest user's; for a supervisor page the guest's entry says so.
		if (!user) machine.write64(At.tables + 0x3000 + (data >> 12) * 8, BigInt(data) | 3n);
		for (const table of [At.ept, At.ept + 0x1000, At.ept + 0x2000])
			machine.write32(table, machine.read32(table) | 0x400);
		entry(machine, At.guest, 0x407, WRITE_BACK);
		entry(machine, data, bits, WRITE_BACK);
		const reason = machine.enter();
		if (reason === Reason.eptViolation)
			assert.equal(
				machine.get("exitQualification"),
				4n | BigInt((bits & 7) << 3) | (bits & 0x400 ? 1n << 6n : 0n) | LINEAR | FINAL,
			);
		return reason;
	};
	assert.equal(run(0x5, false), Reason.cpuid);
	assert.equal(run(0x401, false), Reason.eptViolation);
	assert.equal(run(0x401, true), Reason.cpuid);
	assert.equal(run(0x5, true), Reason.eptViolation);
	assert.equal(run(0x400, true), Reason.cpuid, "bit 10 alone makes an entry present");
});

test("the guest's memory is what EPT says: another frame behind the same address", () => {
	const machine = start().code(...READ, ...CPUID);
	machine.write64(machine.eptEntry(data), BigInt(At.lists | WRITE_BACK | 7));
	machine.write32(data, 1);
	machine.write32(At.lists, 0x1234567);
	machine.state.setGpr64(RAX, 0n);
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.state.gpr64(RAX), 0x1234567n);
});

test("an EPT violation in the delivery of an event has IDT-vectoring information", () => {
	const machine = start().code(...READ);
	entry(machine, At.guestIdt, 0);
	machine.set({ entryInterruptionInformation: 0x80000480, entryInstructionLength: 2 });
	assert.equal(machine.enter(), Reason.eptViolation);
	assert.equal(machine.get32("idtVectoringInformation"), 0x80000480);
	assert.equal(machine.get32("exitInstructionLength"), 2);
	assert.equal(machine.get("guestPhysicalAddress"), BigInt(At.guestIdt + 0x800));
});

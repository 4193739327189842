import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalApicPort } from "../../cpu/local-apic-port.ts";
import { guestCpuid } from "./guest-cpuid.ts";
import { GuestMsrs } from "./guest-msrs.ts";

function port(): LocalApicPort & { readonly written: bigint[] } {
	const written: bigint[] = [];
	return {
		written,
		endOfInterrupt: () => {},
		writeBaseMsr: (value) => {
			written.push(value);
			return (value & 0x400n) === 0n;
		},
		readX2apic: (register) => (register === 2 ? 7n : undefined),
		writeX2apic: (register) => register === 0xb,
		tscDeadline: 5n,
		writeTscDeadline: (value) => void written.push(value),
		taskPriorityClass: 0,
	};
}

test("stored registers keep what the processor's own would take, and start at its values", () => {
	const msrs = new GuestMsrs();
	assert.equal(msrs.read(0x277), 0x0007040600070406n);
	assert.equal(msrs.write(0x277, 0x0606060606060606n), true);
	assert.equal(msrs.read(0x277), 0x0606060606060606n);
	assert.equal(msrs.write(0x277, 2n), false, "memory type 2 does not exist");
	assert.equal(msrs.write(0xfe, 0n), false, "IA32_MTRRCAP is read-only");
	assert.equal(msrs.read(0x277), 0x0606060606060606n);
	msrs.reset();
	assert.equal(msrs.read(0x277), 0x0007040600070406n);
});

test("registers of features that the vCPU lacks raise #GP", () => {
	const msrs = new GuestMsrs();
	for (const address of [0x3a, 0x480, 0xc0000081, 0xc0000102, 0x6e0, 0x802]) {
		assert.equal(msrs.read(address), undefined, address.toString(16));
		assert.equal(msrs.write(address, 0n), false, address.toString(16));
	}
});

test("the local APIC answers for its base, its x2APIC registers and the deadline; CPUID follows the base", () => {
	const msrs = new GuestMsrs();
	assert.equal(msrs.apicEnabled, false, "no local APIC is connected");
	const apic = port();
	msrs.localApic = apic;
	assert.equal(msrs.apicEnabled, true);
	assert.equal(msrs.read(0x802), 7n);
	assert.equal(msrs.read(0x803), undefined);
	assert.equal(msrs.write(0x80b, 0n), true);
	assert.equal(msrs.write(0x80c, 0n), false);
	assert.equal(msrs.read(0x6e0), 5n);
	assert.equal(msrs.write(0x6e0, 9n), true);
	assert.equal(msrs.write(0x1b, 0xfee00d00n), false, "the local APIC refuses");
	assert.equal(msrs.apicEnabled, true);
	assert.equal(msrs.write(0x1b, 0xfee00100n), true);
	assert.equal(msrs.apicEnabled, false);
	assert.deepEqual(apic.written, [9n, 0xfee00d00n, 0xfee00100n]);
	const all = [0, 0, -1, -1] as const;
	assert.equal((guestCpuid(1, all, false)[3] >>> 9) & 1, 0);
	assert.equal((guestCpuid(1, all, true)[3] >>> 9) & 1, 1);
	assert.equal((guestCpuid(1, all, true)[2] >>> 5) & 1, 0, "no VMX");
	// Machine checks with no bank of error registers, as the host has them: Linux says the same under both.
	assert.equal(guestCpuid(1, all, true)[3] & 0x4080, 0x4080);
	assert.equal(new GuestMsrs().read(0x179), 0n);
});

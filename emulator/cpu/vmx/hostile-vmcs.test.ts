// Whatever a VMCS, extended page tables and the guest's code hold: nothing is thrown out of the machine, and it can be used again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { At, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { vmcsFields } from "./vmcs-fields.ts";

const SEED = Number(process.env.HYPERSCOPE_SEED ?? 20260);
const CASES = Number(process.env.HYPERSCOPE_CASES ?? 3000);

/** Park and Miller's generator. */
function generator(seed: number): (below: number) => number {
	let state = seed % 2147483647 || 1;
	return (below) => {
		state = (state * 48271) % 2147483647;
		return state % below;
	};
}

test(`random VMCS contents and guests (HYPERSCOPE_SEED=${SEED})`, () => {
	const random = generator(SEED);
	const wide = (): bigint =>
		(BigInt(random(0x40000000)) << 34n) ^ (BigInt(random(0x40000000)) << 15n) ^ BigInt(random(0x8000));
	const addresses = Object.values(At);
	const value = (old: bigint): bigint => {
		switch (random(7)) {
			case 0:
				return old ^ (1n << BigInt(random(64)));
			case 1:
				return old ^ (1n << BigInt(random(32)));
			case 2:
				return BigInt(addresses[random(addresses.length)]!);
			case 3:
				return BigInt(random(256));
			case 4:
				return 0xffff_ffff_ffff_ffffn >> BigInt(random(64));
			case 5:
				return BigInt(0x80000000 | (random(8) << 8) | random(40)) & 0xffff_ffffn;
			default:
				return wide();
		}
	};
	const machine = new VmxMachine();
	const seen = new Map<string, number>();
	for (let index = 0; index < CASES; index++) {
		machine.restart().operate();
		if (random(3) === 0) machine.ept(random(2) * 0x40);
		if (random(4) === 0) {
			machine.secondary([0x1, 0x81, 0x301, 0x310, 0x4000, 0x20002, 0x400002, 0x2002][random(8)]!);
			machine.add("primaryControls", 1 << 21);
			if (random(2) === 0) machine.add("pinControls", 1);
		}
		const changes = random(4);
		for (let change = 0; change < changes; change++) {
			const { offset, width } = vmcsFields[random(vmcsFields.length)]!;
			const mask = width === 16 ? 0xffffn : width === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
			machine.vmcs.write(offset, value(machine.vmcs.read(offset)) & mask);
		}
		if (random(8) === 0) machine.write64(At.ept + random(0x4000 / 8) * 8, value(0x37n));
		if (random(8) === 0) machine.write64(At.virtualApic + random(0x400 / 4) * 4, wide());
		machine.bytes(At.guest, ...Array.from({ length: 40 }, () => random(256)));
		for (let register = 0; register < 16; register++) machine.state.setGpr64(register, value(0n));
		machine.state.setGpr64(4, BigInt(At.hostStack));
		const outcome = machine.launch(300);
		const name = outcome.kind === "exit" ? `exit ${outcome.reason & 0xffff}` : outcome.kind;
		seen.set(name, (seen.get(name) ?? 0) + 1);
		if (outcome.kind === "exit" && outcome.reason >>> 31) assert.ok(machine.unit.entryFailure);
	}
	for (const name of ["exit 33", "exit 2", "done"]) assert.ok(seen.has(name), `${name} is among ${[...seen.keys()]}`);
	machine.restart().operate().code(0x0f, 0xa2);
	assert.equal(machine.enter(), 10);
});

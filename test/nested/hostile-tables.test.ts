// Whatever lies in a VMCS, in an EPT or in a guest's tables, looking at it ends, throws nothing and changes nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NativeMachine } from "../../emulator/machine/native-machine.ts";
import { root } from "../tools/command-line.ts";
import { symbolAddress } from "../tools/image-symbols.ts";

const image = join(root, "extension/samples/hypervisor/hypervisor.elf");
const SEED = Number(process.env.HYPERSCOPE_SEED ?? 7);
const CASES = Number(process.env.HYPERSCOPE_CASES ?? 5);
const REGION_BYTES = 1500;

/** Numbers below a bound (Park and Miller's generator). */
function random(seed: number): (bound: number) => number {
	let state = seed;
	return (bound) => {
		state = (state * 48271) % 0x7fffffff;
		return state % bound;
	};
}

test(`views of hostile structures, seed ${SEED}`, () => {
	const below = random(SEED);
	const vm = new NativeMachine({
		vmm: "none",
		memory: 8 << 20,
		image: { name: "hypervisor.elf", bytes: readFileSync(image) },
	});
	const cpu = vm.processors()[0]!;
	const tables = ["ept_map_table", "ept_pointer_table", "ept_directory", "ept_page_table"].map((name) =>
		Number(symbolAddress(image, name)),
	);
	for (const event of ["vm-exit", "vm-entry"] as const) {
		vm.setEventFilters([{ id: 1, event }]);
		for (let stops = 0; stops < 5; stops++) assert.equal(vm.run(1_000_000)?.reason, "event");
		const { physical } = vm.host;
		const region = Number(vm.vmx!.read()!.address);
		// All memory that the sample uses.
		const clean = physical.peek(0x100000, 0x600000)!;
		for (let index = 0; index < CASES; index++) {
			const spoil = (from: number, length: number) => {
				const bytes = Uint8Array.from({ length: 8 }, () => below(256));
				// Half of the spoiled entries lead somewhere in memory, so that walks go on.
				if (below(2) === 0) bytes.set([below(8) | (below(2) << 7), below(256), below(256), 0, 0, 0, 0, 0]);
				physical.poke(from + below(length / 8) * 8, bytes);
			};
			for (let count = 0; count < 12; count++) spoil(region + 16, REGION_BYTES);
			for (const table of tables) for (let count = 0; count < 8; count++) spoil(table, 4096);
			spoil(0x100000 + below(0x100) * 4096, 4096);
			const before = Buffer.from(physical.u8);
			const linear = BigInt(below(0x7fffffff)) * BigInt(below(0x20000));
			vm.vmx!.read();
			vm.vmx!.read(BigInt(below(0x1000)) << 12n);
			for (const access of [{}, { write: true }, { execute: true, user: true }]) {
				cpu.walk(linear, access);
				const walk = cpu.nestedWalk!(linear, access);
				assert.ok(!walk || walk.references.length <= 24);
				assert.ok(!walk || (walk.failure === undefined) === (walk.hostPhysical !== undefined));
			}
			for (const { table } of cpu.walk(0n)) assert.ok(cpu.mappings(table, linear & 0xffffffffn, 20).length <= 20);
			for (const space of ["lin", "gpa", "hpa"] as const) cpu.readMemory({ space, value: linear }, 64);
			cpu.registers();
			assert.ok(before.equals(physical.u8));
			physical.poke(0x100000, clean);
		}
	}
});

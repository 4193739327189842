// Random kernel code under hvm: whatever it does, the machine stops with a reason or uses up its budget, can be looked at, and host memory
// that is not the guest's is as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { randomChunk, randomKernel, randomPaging } from "../../../test/tools/random-kernel.ts";
import { vmcsFields } from "../../cpu/vmx/vmcs-fields.ts";
import { sha256 } from "../../machine/hash.ts";
import { HvmMachine } from "./hvm-machine.ts";
import { Area } from "./layout.ts";

/** What the VMM alone may change: everything in its area but the VMCS, and of the VMCS the control and host fields that it never touches again. */
function ownBytes(machine: HvmMachine): string[] {
	const { control, vmcs } = machine.monitor;
	const bytes = machine.host.physical.peek(control.area, Area.end)!;
	bytes.fill(0, Area.vmcs, Area.vmcs + 0x1000);
	const fields = vmcsFields
		.filter(
			({ group, name }) =>
				group === "host state" || /ioBitmap|msrBitmap|Pointer|pinControls|secondary|exitControls/.test(name),
		)
		.map(({ name, offset }) => `${name} ${vmcs.read(offset).toString(16)}`);
	const pages = Object.entries(Area).map(([name, start]) => `${name} ${sha256(bytes.subarray(start, start + 0x1000))}`);
	return [...pages, ...fields];
}

/** Sums of the host frames that are neither the guest's nor the VMM's tables: adapter window, low memory, free memory. */
function foreignSum(machine: HvmMachine): number {
	const { physical } = machine.host;
	const guest = new Set(machine.monitor.physical.pmap);
	const start = machine.monitor.control.area / 4096;
	let sum = 0;
	for (let frame = 0; frame < start; frame++) {
		if (guest.has(frame)) continue;
		const words = physical.placeOfPage(frame) / 4;
		for (let word = words; word < words + 1024; word++) sum = (sum + physical.i32[word]!) | 0;
	}
	return sum;
}

for (const mmu of ["ept", "shadow"] as const)
	test(`random code under hvm with ${mmu} ends in a stop or uses up its budget, and touches nothing of the VMM`, () => {
		fc.assert(
			fc.property(fc.array(randomChunk, { minLength: 1, maxLength: 60 }), randomPaging, (chunks, paging) => {
				const image = { name: "random", bytes: randomKernel(chunks, paging) };
				const machine = new HvmMachine({ image, vmm: "hvm", mmu, memory: 4 << 20 });
				const own = ownBytes(machine);
				const foreign = foreignSum(machine);
				for (let slice = 0; slice < 5; slice++) {
					const stop = machine.run(2000);
					const [vcpu, pcpu] = machine.processors();
					assert.ok(vcpu!.registers().length > 0 && pcpu!.registers().length > 0);
					const linear = vcpu!.linearInstructionPointer();
					vcpu!.walk(linear);
					vcpu!.nestedWalk!(linear);
					vcpu!.readMemory({ space: "lin", value: linear }, 16);
					vcpu!.mappings(mmu, 0n, 10);
					machine.vmx.read();
					if (stop) break;
					machine.step(slice % 2 === 0 ? 1 : 2);
				}
				machine.statistics();
				assert.deepEqual(ownBytes(machine), own);
				assert.equal(foreignSum(machine), foreign);
			}),
			{ numRuns: Number(process.env.HOSTILE_RUNS ?? 25), includeErrorInReport: true },
		);
	});

test("random firmware in real-address mode under hvm ends in a stop or uses up its budget, and no entry fails", () => {
	const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 6 });
	const piece = fc.oneof(randomChunk, bytes);
	fc.assert(
		fc.property(fc.array(piece, { minLength: 1, maxLength: 80 }), (pieces) => {
			const rom = new Uint8Array(0x10000);
			// The reset vector jumps to the pieces; where they leave off, they begin anew: jmp.
			const code = pieces.flat().slice(0, 0x7000);
			rom.set([...code, 0xe9, (-code.length - 3) & 0xff, ((-code.length - 3) >> 8) & 0xff], 0x8000);
			rom.set([0xe9, 0x0d, 0x80], 0xfff0);
			const machine = new HvmMachine({ firmware: { name: "rom", bytes: rom }, vmm: "hvm", memory: 4 << 20 });
			const own = ownBytes(machine);
			for (let slice = 0; slice < 3; slice++) {
				const stop = machine.run(1500);
				const vcpu = machine.processors()[0]!;
				assert.ok(vcpu.registers().length > 0);
				vcpu.walk(vcpu.linearInstructionPointer());
				if (!stop) continue;
				assert.doesNotMatch("description" in stop ? stop.description : "", /VM entry|does not expect/);
				break;
			}
			assert.deepEqual(ownBytes(machine), own);
		}),
		{ numRuns: Number(process.env.HOSTILE_RUNS ?? 25), includeErrorInReport: true },
	);
});

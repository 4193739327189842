// A guest that does anything: random bytes as kernel code, with and without paging. Whatever happens, the machine stops with
// a reason or uses up its budget, and can be looked at.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { randomChunk, randomKernel, randomPaging } from "../../test/tools/random-kernel.ts";
import { createMachine } from "./create-machine.ts";

test("random code under bt ends in a stop or uses up its budget", () => {
	fc.assert(
		fc.property(fc.array(randomChunk, { minLength: 1, maxLength: 60 }), randomPaging, (chunks, paging) => {
			const machine = createMachine({
				image: { name: "random", bytes: randomKernel(chunks, paging) },
				vmm: "bt",
				memory: 4 << 20,
			});
			for (let slice = 0; slice < 5; slice++) {
				const stop = machine.run(2000);
				const [vcpu, pcpu] = machine.processors();
				assert.ok(vcpu!.registers().length > 0 && pcpu!.registers().length > 0);
				vcpu!.walk(vcpu!.linearInstructionPointer());
				vcpu!.readMemory({ space: "lin", value: vcpu!.linearInstructionPointer() }, 16);
				machine.translationCache!.fragmentAt(vcpu!.linearInstructionPointer());
				if (stop) break;
				machine.step(slice % 2 === 0 ? 1 : 2);
			}
			machine.statistics();
		}),
		{
			numRuns: Number(process.env.HOSTILE_RUNS ?? 40),
			includeErrorInReport: true,
			// A call to where the VMM lies and the guest has no memory.
			examples: [
				[
					[
						[0xff, 0x90, 0x00],
						[0x0f, 0x22, 0xd8],
					],
					"none",
				],
			],
		},
	);
});

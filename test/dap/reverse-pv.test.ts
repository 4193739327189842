// Going back in a paravirtual kernel: over hypercalls and writes to its own page tables, with the same registers as before.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const vcpu = { threadId: 1 };
const STEPS = 16;

for (const [name, place] of [
	["xen64", "write_good_entry"],
	["xen32", "map_now"],
] as const)
	test(`${name}: instructions forward from ${place}, and the same ones back`, async () => {
		const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
		await client.ask("initialize", {});
		await client.ask("launch", { program: `${samples}/${name}/${name}.elf`, vmm: "pv", memory: "16M" });
		await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: place }] });
		await client.ask("configurationDone");
		await client.event("stopped");
		const state = async () => {
			const { stackFrames } = await client.ask("stackTrace", { ...vcpu, levels: 1 });
			const { groups } = await client.ask("hyperscope/registers", vcpu);
			const registers = groups[0].registers.map((one: { name: string; value: string }) => [one.name, one.value]);
			return { at: stackFrames[0].instructionPointerReference, registers };
		};
		const way = [];
		for (let step = 0; step < STEPS; step++) {
			way.push(await state());
			await client.move("stepIn", { ...vcpu, granularity: "instruction" });
		}
		for (const expected of way.reverse()) {
			await client.move("stepBack", { ...vcpu, granularity: "instruction" });
			assert.deepEqual(await state(), expected);
		}
		client.dispose();
	});

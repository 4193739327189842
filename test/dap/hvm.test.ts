// A guest under hvm through the debug adapter: both processors, exits as stops, the VMCS, the two-dimensional walk.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const vcpu = { threadId: 1 };
const pcpu = { threadId: 2 };

test("kernel64 under hvm: a function, an exit by CPUID with its VMCS, the hardware's registers before and after", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope", vmm: "hvm" });
	await client.ask("launch", { program: `${samples}/kernel64/kernel64.elf`, vmm: "hvm", mmu: "ept", memory: "16M" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] });
	await client.ask("setExceptionBreakpoints", { filters: ["vm-exit-10"] });
	await client.ask("configurationDone");
	const { threads } = await client.ask("threads");
	assert.equal(threads.length, 2);
	const stops: string[] = [(await client.event("stopped")).body.reason];
	stops.push((await client.move("continue", vcpu)).reason);
	assert.deepEqual(stops.sort(), ["exception", "function breakpoint"].sort());
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	await client.ask("setExceptionBreakpoints", { filters: ["vm-exit-30"] });
	const stopped = await client.move("continue", vcpu);
	assert.equal(stopped.reason, "exception");
	const { vmcs } = await client.ask("hyperscope/vmcs", {});
	assert.equal(vmcs.lastExit.reason, "I/O instruction");
	const rip = async (thread: object) => {
		const { stackFrames } = await client.ask("stackTrace", { ...thread, levels: 1 });
		return BigInt(stackFrames[0].instructionPointerReference);
	};
	const [guest, host] = [await rip(vcpu), await rip(pcpu)];
	assert.notEqual(guest, host, "the hardware stands in the VMM, the guest at its instruction");
	await client.ask("setExceptionBreakpoints", { filters: [] });
	await client.move("stepIn", { ...vcpu, granularity: "instruction" });
	assert.notEqual(await rip(vcpu), guest);
	client.dispose();
});

import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

/**
 * The frames of host memory that the session shows, by letters in the order in which they appear: which they are is the VMM's choice
 * and changes with all that it allocates, what leads to what does not. Counts of instructions are the machine's own tests' matter.
 */
function withoutHostFrames(lines: readonly string[]): string[] {
	const names = new Map<string, string>();
	const shown = /("(?:rootTable|table|entry)": "0x|hpa:0x|pCPU 0 \(CPL \d, CR3 0x)([0-9a-f]+)([0-9a-f]{3})\b/g;
	for (const line of lines)
		for (const [, , frame] of line.matchAll(shown))
			if (!names.has(frame!)) names.set(frame!, String.fromCharCode(0x41 + names.size));
	const all = new RegExp(`0x(${[...names.keys()].join("|")})([0-9a-f]{3})\\b`, "g");
	return lines.map((line) =>
		line
			.replaceAll(all, (_, frame: string, offset: string) => `0x<${names.get(frame)}>${offset}`)
			.replaceAll(/"instructionCount": [1-9]\d*/g, '"instructionCount": N'),
	);
}

test("golden session: devices passed through to a guest, DMA breakpoints, a stray DMA", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope" });
	client.transcript.length = 0;
	await client.ask("launch", {
		program: `${samples}/dma/dma.elf`,
		vmm: "bt",
		io: "passthrough",
		memory: "16M",
		devices: ["dma-engine"],
		disks: [`${samples}/dma/disk.img`],
		append: "stray",
	});

	client.note("A data breakpoint on DMA into a variable: the device's address space is the guest's physical one");
	const info = await client.ask("dataBreakpointInfo", { name: "dma gpa:&destination[4]", asAddress: true, bytes: 8 });
	await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
	await client.ask("setExceptionBreakpoints", { filters: ["dma-fault"] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const { stackFrames } = await client.ask("stackTrace", { ...thread, levels: 1 });
	const where = { context: "watch", frameId: stackFrames[0].id };
	const { memoryReference } = await client.ask("evaluate", { expression: "destination", ...where });
	await client.ask("readMemory", { memoryReference: `iova:00:04.0:${memoryReference}`, count: 8 });
	await client.ask("readMemory", { memoryReference: `gpa:${memoryReference}`, count: 8 });

	client.note("The devices of the guest's domain, and the walk of an address of its memory, which ends in the host's");
	await client.ask("hyperscope/iommus");
	await client.ask("hyperscope/iommuWalk", { source: "00:01.1", address: "iova:0x100000", write: true });

	client.note("The stray DMA is stopped, recorded, and the machine stops at it");
	await client.ask("setDataBreakpoints", { breakpoints: [] });
	await client.move("continue", thread);
	await client.ask("exceptionInfo", thread);
	await client.ask("hyperscope/iommus");
	await client.ask("hyperscope/iommuWalk", { source: "00:04.0", address: "iova:0x1000000", write: true });
	await client.ask("hyperscope/machine", thread);
	client.dispose();
	assertGolden("passthrough", import.meta.url, withoutHostFrames(client.transcript));
});

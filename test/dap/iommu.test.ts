import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

test("golden session: a host with an IOMMU, device addresses, a data breakpoint on DMA", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope", vmm: "none" });
	client.transcript.length = 0;
	await client.ask("launch", {
		program: `${samples}/hello/hello.elf`,
		vmm: "none",
		memory: "16M",
		iommu: true,
		devices: ["dma-engine"],
		stopOnEntry: true,
	});
	await client.ask("configurationDone");
	await client.event("stopped");

	client.note("The unit, its devices, and the walk of a device address while translation is off");
	await client.ask("hyperscope/iommus");
	await client.ask("hyperscope/iommuWalk", { source: "00:04.0", address: "iova:0x100000", write: true });
	await client.request("hyperscope/iommuWalk", { source: "00:04.0", address: "iova:0x100000", unit: 1 });

	client.note("Device addresses are read as others are; with one bus master its name may be left out");
	await client.ask("readMemory", { memoryReference: "iova:00:04.0:0x10000c", count: 4 });
	await client.ask("readMemory", { memoryReference: "iova:0x10000c", count: 4 });
	await client.ask("readMemory", { memoryReference: "gpa:0x10000c", count: 4 });

	client.note("Breakpoints: on DMA into a range, on DMA faults");
	const info = await client.ask("dataBreakpointInfo", { name: "dma iova:00:04.0:0x2000", asAddress: true, bytes: 64 });
	await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "readWrite" }] });
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "dma-fault", condition: "$source == 0x20 && $address >= 0x1000" }],
	});
	await client.ask("hyperscope/machine", thread);
	client.dispose();
	assertGolden("iommu", import.meta.url, client.transcript);
});

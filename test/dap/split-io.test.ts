// A session with Domain 0 and a guest: breakpoints in the guest's front end, hypercalls, domains, DMA into a granted page.
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeHostServices } from "../../debug-adapter/host-services.ts";
import type { DomainsBody } from "../../debug-adapter/hypervisor-protocol.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const samples = join(root, "extension/samples");
const folder = join(root, ".cache", `dap-split-io-${process.pid}`);
const disk = join(folder, "disk.img");

before(() => {
	mkdirSync(folder, { recursive: true });
	writeFileSync(disk, new Uint8Array(1024 * 512).fill(0x41));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("a split session: a function breakpoint, hypercalls by name, domains, DMA into a granted page", async () => {
	// The kernel of Domain 0 is the host's, as in `hyperscope dap`.
	const host = { ...nodeHostServices, domain0: join(samples, "dom0/dom0.elf") };
	const client = new DapClient({ host });
	const thread = { threadId: 1 };
	await client.ask("initialize", { adapterID: "hyperscope" });
	await client.ask("launch", {
		program: join(samples, "xen32/xen32.elf"),
		vmm: "pv",
		io: "split",
		memory: "16M",
		disks: [disk],
		stopOnEntry: true,
	});
	const { breakpoints } = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "transfer" }] });
	assert.equal(breakpoints.length, 1);
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("continue", thread);
	await client.event("stopped");
	const { stackFrames } = await client.ask("stackTrace", thread);
	assert.deepEqual(
		stackFrames.slice(0, 2).map(({ name }: { name: string }) => name.split("(")[0]),
		["transfer", "block_check"],
	);

	const { domains }: DomainsBody = await client.ask("hyperscope/domains");
	assert.deepEqual(
		domains.map(({ id, name }) => [id, name]),
		[
			[0, "domain 0"],
			[1, "domain 1"],
		],
	);
	assert.ok(domains[1]!.eventChannels.some(({ kind }) => kind === "interdomain"));
	assert.ok(domains[1]!.grants.filter(({ domain }) => domain === 0).length >= 12, "the ring and eleven buffers");

	// The first transfer reads sector 0 into the first buffer: the disk's bus master writes it, not a processor.
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	const { result } = await client.ask("evaluate", { expression: "&buffer", frameId: stackFrames[0].id });
	const address = /0x[0-9a-f]+/i.exec(result)![0];
	const info = await client.ask("dataBreakpointInfo", { name: `dma ${address}`, asAddress: true, bytes: 16 });
	await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
	await client.ask("continue", thread);
	const { body: hit } = await client.event("stopped");
	assert.equal(hit.reason, "data breakpoint");
	assert.match(hit.text ?? "", /IDE/);
	await client.ask("setDataBreakpoints", { breakpoints: [] });

	await client.ask("setExceptionBreakpoints", { filters: ["hypercall-grant_table_op"] });
	await client.ask("continue", thread);
	const { body: call } = await client.event("stopped");
	assert.match(call.text ?? "", /grant_table_op/);
	client.dispose();
});

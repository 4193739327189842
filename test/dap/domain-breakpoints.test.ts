// Two domains with the same kernel: the same linear addresses, the same guest-physical ones. A breakpoint is one domain's.
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeHostServices } from "../../debug-adapter/host-services.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const kernel = join(root, "extension/samples/xen64/xen64.elf");
const folder = join(root, ".cache", `dap-domains-${process.pid}`);
const disk = join(folder, "disk.img");
/** vCPU threads; 2 is the physical processor. */
const [GUEST, DOMAIN0] = [1, 3];

before(() => {
	mkdirSync(folder, { recursive: true });
	writeFileSync(disk, new Uint8Array(64 * 512));
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function launch(symbolFiles: readonly object[] = []): Promise<DapClient> {
	const client = new DapClient({ host: { ...nodeHostServices, domain0: kernel } });
	await client.ask("initialize", { adapterID: "hyperscope" });
	const more = { memory: "16M", disks: [disk], stopOnEntry: true, symbolFiles };
	await client.ask("launch", { program: kernel, vmm: "pv", io: "split", ...more });
	return client;
}

/** The threads at which the machine stops until it has stopped `times` times. */
async function stops(client: DapClient, times: number): Promise<number[]> {
	const threads: number[] = [];
	for (let i = 0; i < times; i++) {
		await client.ask("continue", { threadId: GUEST });
		threads.push((await client.event("stopped")).body.threadId!);
	}
	return threads;
}

test("a function of the program is the guest's, of a file with a domain that domain's; a bare address is the focused thread's", async () => {
	const client = await launch([{ path: kernel, domain: 0 }]);
	const { breakpoints } = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] });
	assert.equal(breakpoints[0]!.verified, true);
	await client.ask("configurationDone");
	await client.event("stopped");
	// One breakpoint, two places: each file's in its own domain.
	assert.deepEqual((await stops(client, 2)).sort(), [GUEST, DOMAIN0]);
	client.dispose();

	const guestOnly = await launch();
	const [place] = (await guestOnly.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] }))
		.breakpoints;
	const address = place!.instructionReference!;
	await guestOnly.ask("configurationDone");
	await guestOnly.event("stopped");
	assert.deepEqual(await stops(guestOnly, 1), [GUEST]);
	guestOnly.dispose();

	for (const threadId of [GUEST, DOMAIN0])
		for (const reference of [address, `gpa:0x${(BigInt(address) & 0xff_ffffn).toString(16)}`]) {
			const one = await launch();
			await one.ask("configurationDone");
			await one.event("stopped");
			const { stackFrames } = await one.ask("stackTrace", { threadId });
			await one.ask("scopes", { frameId: stackFrames[0]!.id });
			const wanted = { breakpoints: [{ instructionReference: reference }] };
			await one.ask("setInstructionBreakpoints", wanted);
			// The whole list again, while another thread is looked at: it stays what it was.
			const other = await one.ask("stackTrace", { threadId: GUEST + DOMAIN0 - threadId });
			await one.ask("scopes", { frameId: other.stackFrames[0]!.id });
			await one.ask("setInstructionBreakpoints", wanted);
			assert.deepEqual(await stops(one, 1), [threadId], reference);
			one.dispose();
		}
});

test("a data breakpoint is the domain's whose frame it was made in", async () => {
	for (const threadId of [GUEST, DOMAIN0]) {
		const client = await launch();
		await client.ask("configurationDone");
		await client.event("stopped");
		const { stackFrames } = await client.ask("stackTrace", { threadId });
		const frameId = stackFrames[0]!.id;
		const info = await client.ask("dataBreakpointInfo", { name: "&pool_used", asAddress: true, bytes: 8, frameId });
		assert.match(info.dataId!, new RegExp(`/8@${threadId}$`));
		await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
		assert.deepEqual(await stops(client, 1), [threadId]);
		client.dispose();
	}
});

test("a symbol file of a domain that is not there is refused", async () => {
	await assert.rejects(launch([{ path: kernel, domain: 7 }]), /there is no domain 7: the domains are 1, 0\./);
});

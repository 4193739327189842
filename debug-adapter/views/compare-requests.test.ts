import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompareBody } from "../hypervisor-protocol.ts";
import { DapClient } from "../test-support/dap-client.ts";
import type { Compare } from "./compare-requests.ts";

const host = {
	readFile: async (path: string) => {
		if (path !== "/kernel.elf") throw new Error(`There is no file "${path}".`);
		return new Uint8Array([1, 2]);
	},
	now: () => 0,
	defer: (callback: () => void) => void setTimeout(callback, 0),
};

test("a comparison needs no launch, tells its progress, and can be cancelled", async () => {
	let waiting = false;
	const compare: Compare = async ({ image, memory, program, maxInstructions }, { progress, yield: giveWay }) => {
		progress(`Running ${image.name} under bt`);
		assert.deepEqual([image.bytes.length, memory, maxInstructions], [2, 32 << 20, 1000]);
		while (waiting) await giveWay();
		return { program, techniques: [], operations: [], costModel: [] };
	};
	const client = new DapClient({ host, compare });
	await client.ask("initialize", {});
	const values = { program: "/kernel.elf", memory: "32M", maxInstructions: 1000 };
	const body: CompareBody = await client.ask("hyperscope/compare", values);
	assert.equal(body.program, "/kernel.elf");
	assert.deepEqual((await client.event("hyperscope/compareProgress")).body, { text: "Running kernel.elf under bt" });
	waiting = true;
	const running = client.request("hyperscope/compare", values);
	client.sendRaw({ seq: 99, type: "request", command: "cancel", arguments: { requestId: 3 } });
	assert.equal((await running).message, "cancelled");
	assert.match(
		(await client.request("hyperscope/compare", { program: "/other.elf" })).message!,
		/There is no file "\/other.elf"/,
	);
	client.dispose();
});

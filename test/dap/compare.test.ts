import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { CompareBody } from "../../debug-adapter/protocol.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));

async function pvColumn(program: string): Promise<CompareBody["techniques"][number]> {
	const client = new DapClient();
	await client.ask("initialize", { adapterID: "hyperscope" });
	const body = (await client.ask("hyperscope/compare", {
		program: `${samples}/${program}`,
		memory: "64M",
		maxInstructions: 100_000,
	})) as CompareBody;
	return body.techniques.find(({ name }) => name === "pv")!;
}

test("hyperscope/compare runs the twin that lies beside an image under pv, and names it", async () => {
	const { image, refused, stop } = await pvColumn("nanobench/nanobench.elf");
	assert.deepEqual({ image, refused, stop }, { image: "nanobench-pv.elf", refused: undefined, stop: "budget" });
});

test("an image without a twin is refused under pv by its own name", async () => {
	const { image, refused } = await pvColumn("hello/hello.elf");
	assert.equal(image, undefined);
	assert.match(refused ?? "", /\.$/);
});

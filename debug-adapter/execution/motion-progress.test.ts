import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeHostServices } from "../host-services.ts";
import { DapClient } from "../test-support/dap-client.ts";

const program = fileURLToPath(new URL("../../extension/samples/kernel32/kernel32.elf", import.meta.url));
const thread = { threadId: 1 };

/** A machine that stands in a function, with a clock that goes 100 ms on when it is read, and pieces that the test lets run. */
async function stopped(supportsProgressReporting: boolean) {
	let time = 0;
	const pieces: (() => void)[] = [];
	const host = { ...nodeHostServices, now: () => (time += 100), defer: (piece: () => void) => void pieces.push(piece) };
	const client = new DapClient({ host });
	const count = (event: string) => client.transcript.filter((line) => line.startsWith(`<- event ${event} `)).length;
	/** Lets the machine run until an event comes once more. */
	const until = (event: string) => {
		for (const before = count(event); count(event) === before; ) {
			const piece = pieces.shift();
			assert.ok(piece, `the machine goes on to ${event}`);
			piece();
		}
	};
	await client.ask("initialize", { supportsProgressReporting });
	await client.ask("launch", { program, vmm: "none", memory: "16M" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "process_page_fault" }] });
	await client.ask("configurationDone");
	until("stopped");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	client.transcript.length = 0;
	return { client, until, count };
}

test("a long way back is told of while it lasts", async () => {
	const { client, until, count } = await stopped(true);
	await client.ask("reverseContinue", thread);
	until("stopped");
	assert.deepEqual([count("progressStart"), count("progressEnd")], [1, 1]);
	assert.ok(count("progressUpdate") > 1);
	assert.match(
		client.text(),
		/progressStart \{ "progressId": "motion-1", "title": "Going back to the stop before", "cancellable": true, "message": "at instruction [\d,]+" \}/,
	);
	const order = client.transcript.map((line) => line.split(" ")[2]);
	assert.ok(order.indexOf("progressEnd") < order.indexOf("stopped"));
	client.dispose();
});

test("cancelled, it stops where it is, and can be gone on from", async () => {
	const { client, until, count } = await stopped(true);
	await client.ask("reverseContinue", thread);
	until("progressStart");
	await client.ask("cancel", { progressId: "motion-9" });
	assert.equal(count("stopped"), 0, "another's id");
	await client.ask("cancel", { progressId: "motion-1" });
	assert.deepEqual([count("progressEnd"), count("stopped")], [1, 1]);
	assert.match(client.transcript.at(-1)!, /"reason": "pause"/);
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "process_page_fault" }] });
	await client.ask("continue", thread);
	until("stopped");
	const [frame] = (await client.ask("stackTrace", { ...thread, levels: 1 })).stackFrames;
	assert.equal(frame.name, "process_page_fault");
	client.dispose();
});

test("a client that shows no progress is told of none", async () => {
	const { client, until, count } = await stopped(false);
	await client.ask("reverseContinue", thread);
	until("stopped");
	assert.equal(count("progressStart"), 0);
	client.dispose();
});

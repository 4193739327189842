import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

test("golden session: the timeline of a kernel under binary translation", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	const { exceptionBreakpointFilters } = await client.ask("initialize", { adapterID: "hyperscope", vmm: "bt" });
	assert.ok(exceptionBreakpointFilters.every(({ filter }: { filter: string }) => !filter.startsWith("vm-exit")));
	client.transcript.length = 0;
	await client.ask("launch", {
		program: `${samples}/kernel32/kernel32.elf`,
		vmm: "bt",
		memory: "64M",
		stopOnEntry: true,
	});
	await client.ask("configurationDone");
	await client.event("stopped");

	client.note("To the first page fault of a user program that the guest itself has to handle");
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "true-page-fault", condition: "$cpl == 3" }],
	});
	await client.move("continue", thread);
	client.note("What led there, by reason");
	const { counts } = await client.ask("hyperscope/eventCounts");
	const reasons = (counts as { kind: string; reason: string }[]).map(({ kind, reason }) => `${kind} ${reason}`);
	for (const one of ["callout OUT", "translation first", "hidden-fault kernel", "true-fault user", "exception #DE"])
		assert.ok(reasons.includes(one), `${one} in ${reasons.join(", ")}`);
	client.note("The fault itself, the callouts before it, a page at a time");
	const { events } = await client.ask("hyperscope/events", { kinds: ["true-fault"], limit: 1 });
	const first = await client.ask("hyperscope/events", { kinds: ["callout"], reason: "OUT", limit: 2 });
	await client.ask("hyperscope/events", { kinds: ["callout"], reason: "OUT", limit: 2, before: first.next });
	client.note("From the event to its instruction");
	await client.ask("hyperscope/disassembleText", { ...thread, address: events[0].instruction, count: 1 });
	client.dispose();
	// How many of each there are belongs to the translator's own tests.
	const lines = client.transcript
		.map((line) => line.replaceAll(/"(instructionCount|sequence|total|count|next|before)": \d+/g, '"$1": N'))
		.filter((line) => !line.startsWith("<- hyperscope/eventCounts"));
	assertGolden("events", import.meta.url, lines);
});

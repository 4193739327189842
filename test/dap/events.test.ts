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

test("a sensitive instruction that runs wrongly under trap stops with what the guest got and what the hardware gives", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	const { exceptionBreakpointFilters } = await client.ask("initialize", { adapterID: "hyperscope", vmm: "trap" });
	const offered = (exceptionBreakpointFilters as { filter: string }[]).map(({ filter }) => filter);
	assert.ok(offered.includes("misbehaviour") && offered.includes("callout") && !offered.includes("translate"));
	await client.ask("launch", {
		program: `${samples}/kernel32/kernel32.elf`,
		vmm: "trap",
		append: "sensitive",
		memory: "64M",
		stopOnEntry: true,
	});
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("setExceptionBreakpoints", { filters: ["misbehaviour"] });
	const seen: string[] = [];
	for (const symbol of ["", "descriptor_tables"]) {
		const stopped = await client.move("continue", thread);
		assert.equal(stopped.reason, "exception");
		const { description } = await client.ask("exceptionInfo", thread);
		const [frame] = (await client.ask("stackTrace", { ...thread, levels: 1 })).stackFrames;
		if (symbol) assert.equal(frame.name, symbol);
		seen.push(description);
	}
	assert.match(
		seen[0]!,
		/^POPFD at 0x\w+ did not trap .* got IF 0, IOPL 0; the hardware would have given IF 1, IOPL 0\.$/,
	);
	assert.match(seen[1]!, /^SGDT at 0x\w+ did not trap .* got base 0xffc10000, limit 0xffff; /);
	const { counts } = await client.ask("hyperscope/eventCounts", {});
	const kinds = (counts as { kind: string; reason: string }[]).map(({ kind, reason }) => `${kind} ${reason}`);
	for (const one of ["misbehaviour SGDT", "misbehaviour POPFD", "callout OUT"]) assert.ok(kinds.includes(one), one);
	client.dispose();
});

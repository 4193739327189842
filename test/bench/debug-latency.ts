// How long an editor waits: a step, and everything that the views ask for at a stop, on the sample kernel under binary translation.

import { join } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { createSession } from "../../debug-adapter/create-session.ts";
import { nodeHostServices } from "../../debug-adapter/host-services.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { AdapterClient } from "../../extension/start/adapter-client.ts";
import { root } from "../tools/command-line.ts";

const STEPS = 60;

function median(values: number[]): number {
	return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** Milliseconds, medians of STEPS line steps. */
export async function measureLatency(): Promise<{ step: number; views: number }> {
	const client = new AdapterClient(createSession({ host: nodeHostServices, createMachine }));
	const folder = join(root, "extension/samples/kernel32");
	await client.request("initialize", { adapterID: "hyperscope" });
	const initialized = client.event("initialized");
	await client.request("launch", { program: join(folder, "kernel32.elf"), vmm: "bt", mmu: "shadow", memory: "64M" });
	await initialized;
	await client.request("setFunctionBreakpoints", { breakpoints: [{ name: "add_up" }] });
	const first = client.event("stopped");
	await client.request("configurationDone");
	const { threadId } = (await first).body as { threadId: number };
	const steps: number[] = [];
	const views: number[] = [];
	for (let count = 0; count < STEPS; count++) {
		const stopped = client.event("stopped");
		const start = performance.now();
		await client.request("next", { threadId });
		await stopped;
		const middle = performance.now();
		const stack: DebugProtocol.StackTraceResponse["body"] = await client.request("stackTrace", {
			threadId,
			levels: 20,
		});
		const frame = stack.stackFrames[0]!;
		const { scopes }: DebugProtocol.ScopesResponse["body"] = await client.request("scopes", { frameId: frame.id });
		for (const scope of scopes.slice(0, 2))
			await client.request("variables", { variablesReference: scope.variablesReference });
		await client.custom("hyperscope/registers", { threadId });
		await client.custom("hyperscope/pageWalk", { threadId, address: frame.instructionPointerReference! });
		await client.custom("hyperscope/fragment", { address: frame.instructionPointerReference! });
		await client.request("disassemble", {
			memoryReference: frame.instructionPointerReference,
			instructionOffset: -50,
			instructionCount: 100,
		});
		steps.push(middle - start);
		views.push(performance.now() - middle);
	}
	client.dispose();
	return { step: median(steps), views: median(views) };
}

// The main job in the terminal: the sample kernel under binary translation to its breakpoint, then what an editor would
// show there. It goes through the debug adapter, as an editor does.
import { join } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { createSession } from "../../debug-adapter/create-session.ts";
import { nodeHostServices } from "../../debug-adapter/host-services.ts";
import type { LaunchArguments } from "../../debug-adapter/protocol.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { AdapterClient } from "./adapter-client.ts";
import { fragmentLines, fragmentListLines, pageWalkLines, registerLines } from "./report.ts";

/** Fragments of the list that are printed. */
const lastFragments = 8;

export interface MainJob {
	readonly program: string;
	/** Function to stop at. */
	readonly breakpoint: string;
	readonly vmm: LaunchArguments["vmm"];
}

/** The sample and the place in it. */
export function sampleJob(root: string): MainJob {
	return { program: join(root, "extension/samples/kernel32/kernel32.elf"), breakpoint: "add_up", vmm: "bt" };
}

interface Stopped {
	readonly threadId: number;
	readonly place: string;
}

/** Starts the machine and waits for the breakpoint. @throws {Error} with one sentence when it is not reached */
async function runToBreakpoint(client: AdapterClient, job: MainJob): Promise<Stopped> {
	await client.request("initialize", {
		adapterID: "hyperscope",
		pathFormat: "path",
		linesStartAt1: true,
		columnsStartAt1: true,
	});
	const initialized = client.event("initialized");
	const launch: LaunchArguments = { program: job.program, vmm: job.vmm, serial: "output" };
	const launched = client.request("launch", launch);
	// A refused launch sends no `initialized`.
	await Promise.race([initialized, launched]);
	await client.request("setFunctionBreakpoints", { breakpoints: [{ name: job.breakpoint }] });
	const stop = client.event("stopped", "terminated");
	await Promise.all([client.request("configurationDone"), launched]);
	const { event, body } = await stop;
	if (event !== "stopped") throw new Error(`The guest ended before it came to ${job.breakpoint}.`);
	const { threadId } = body as DebugProtocol.StoppedEvent["body"] & { threadId: number };
	const trace: DebugProtocol.StackTraceResponse["body"] = await client.request("stackTrace", { threadId });
	const [frame] = trace.stackFrames;
	return { threadId, place: `${frame?.name}, ${frame?.source?.name ?? "no source"}:${frame?.line ?? 0}` };
}

/**
 * Runs the job and prints what is seen at the breakpoint.
 * @throws {Error} with one sentence
 */
export async function runMainJob(job: MainJob, print: (line: string) => void): Promise<void> {
	const client = new AdapterClient(createSession({ host: nodeHostServices, createMachine }));
	const section = (title: string, lines: readonly string[]) => {
		print("");
		print(`-- ${title}`);
		for (const line of lines) print(line);
	};
	let line = "";
	client.onEvent(({ event, body }) => {
		if (event !== "output" || body.category !== "stdout") return;
		const lines = (line + body.output).split(/\r?\n/);
		line = lines.pop()!;
		for (const complete of lines) print(`guest: ${complete}`);
	});
	try {
		const started = performance.now();
		const { threadId, place } = await runToBreakpoint(client, job);
		const machine = await client.custom("hyperscope/machine");
		const seconds = ((performance.now() - started) / 1000).toFixed(2);
		print("");
		print(`Stopped at ${place} after ${machine.instructionCount.toLocaleString("en-US")} instructions, ${seconds} s.`);
		for (const thread of machine.threads) {
			const registers = await client.custom("hyperscope/registers", { threadId: thread.threadId });
			section(`registers, ${thread.name}`, registerLines(registers, ["general", "segments", "control"]));
		}
		section(
			"page walk of the instruction pointer",
			pageWalkLines(await client.custom("hyperscope/pageWalk", { threadId, address: "rip" })),
		);
		if (!machine.hasTranslationCache) return;
		section(
			"fragments",
			fragmentListLines(await client.custom("hyperscope/fragments", { validOnly: true, count: 4096 }), lastFragments),
		);
		section("the fragment at the breakpoint", await currentFragment(client, threadId));
	} finally {
		client.dispose();
	}
}

/** The fragment at the instruction pointer; one step translates it when it was never run. */
async function currentFragment(client: AdapterClient, threadId: number): Promise<string[]> {
	const read = () => client.custom("hyperscope/fragment", { address: "rip", threadId });
	try {
		return fragmentLines(await read());
	} catch {
		const { lines } = await client.custom("hyperscope/disassembleText", { threadId, address: "rip", count: 1 });
		const stepped = client.event("stopped", "terminated");
		await client.request("stepIn", { threadId, granularity: "instruction" });
		if ((await stepped).event !== "stopped") return ["The guest has ended."];
		return fragmentLines(await client.custom("hyperscope/fragment", { address: lines[0]!.address, threadId }));
	}
}

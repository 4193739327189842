// Tests inside the extension host, through the `vscode` API. The same file runs in the served workbench (in-host.test.ts)
// and in a desktop VS Code (`npm run test:desktop`). The workspace is a copy of the sample kernel32.
import { strict as assert } from "node:assert";
import * as vscode from "vscode";
import type { CustomRequests } from "../../../debug-adapter/protocol.ts";

interface Message {
	readonly type: string;
	readonly event?: string;
	readonly body?: { readonly threadId: number; readonly reason?: string };
}

/** Waits for the next event of the adapter with one of the names. */
function nextEvent(...names: string[]): Promise<Message> {
	return new Promise((resolve) => {
		const tracker = vscode.debug.registerDebugAdapterTrackerFactory("hyperscope", {
			createDebugAdapterTracker: () => ({
				onDidSendMessage: (message: Message) => {
					if (message.type !== "event" || !names.includes(message.event ?? "")) return;
					tracker.dispose();
					resolve(message);
				},
			}),
		});
	});
}

const folder = () => vscode.workspace.workspaceFolders![0]!;

function configuration(words: object): vscode.DebugConfiguration {
	const program = vscode.Uri.joinPath(folder().uri, "kernel32.elf").fsPath;
	return { type: "hyperscope", request: "launch", name: "in host", program, vmm: "bt", ...words };
}

/** Starts the machine, waits for its stop, gives both to the test and ends the session. */
async function stoppedSession(
	words: object,
	run: (session: vscode.DebugSession, threadId: number) => Promise<void>,
): Promise<void> {
	const stopped = nextEvent("stopped", "terminated");
	assert.equal(await vscode.debug.startDebugging(folder(), configuration(words)), true);
	const { event, body } = await stopped;
	assert.equal(event, "stopped");
	const session = vscode.debug.activeDebugSession!;
	try {
		await run(session, body!.threadId);
	} finally {
		await vscode.debug.stopDebugging(session);
	}
}

async function request<Command extends keyof CustomRequests>(
	session: vscode.DebugSession,
	command: Command,
	values?: CustomRequests[Command]["arguments"],
): Promise<CustomRequests[Command]["body"]> {
	return session.customRequest(command, values);
}

const tests: Record<string, () => Promise<void>> = {
	"every command of the manifest is there": async () => {
		const extension = vscode.extensions.getExtension("hyperscope.hyperscope")!;
		await extension.activate();
		const known = new Set(await vscode.commands.getCommands(true));
		const { commands } = extension.packageJSON.contributes as { commands: { command: string }[] };
		assert.deepEqual(
			commands.map(({ command }) => command).filter((command) => !known.has(command)),
			[],
		);
	},

	"a missing image starts no session": async () => {
		const started = await vscode.debug.startDebugging(folder(), configuration({ program: "/none.elf" }));
		assert.equal(started, false);
	},

	"stop on entry: registers are read and written, memory is read": async () => {
		await stoppedSession({ stopOnEntry: true }, async (session, threadId) => {
			const before = await request(session, "hyperscope/registers", { threadId });
			const eax = before.groups.flatMap(({ registers }) => registers).find(({ name }) => name === "eax");
			// Multiboot specification §3.2: EAX holds the magic number.
			assert.equal(eax?.value, "0x2badb002");
			const written = await request(session, "hyperscope/setRegister", { threadId, name: "ecx", value: "0x1234" });
			assert.equal(written.value, "0x1234");
			const memory = await session.customRequest("readMemory", {
				memoryReference: "gpa:0x100000",
				offset: 0,
				count: 16,
			});
			assert.equal(Buffer.from(memory.data, "base64").length, 16);
		});
	},

	"an image without symbols: its first stop opens the disassembly": async () => {
		const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder().uri, "kernel32.elf"));
		// No section headers, so no symbols: e_shoff, and e_shnum with e_shstrndx (System V ABI, "ELF Header").
		bytes.fill(0, 32, 36);
		bytes.fill(0, 48, 52);
		const bare = vscode.Uri.joinPath(folder().uri, "bare.elf");
		await vscode.workspace.fs.writeFile(bare, bytes);
		await stoppedSession({ program: bare.fsPath, stopOnEntry: true }, async () => {
			const shown = () => vscode.window.tabGroups.all.some(({ activeTab }) => activeTab?.label === "Disassembly");
			for (let wait = 0; wait < 200 && !shown(); wait++) await new Promise((resolve) => setTimeout(resolve, 50));
			assert.equal(shown(), true);
		});
	},

	"memory is read and written as the hex editor does it": async () => {
		await stoppedSession({ stopOnEntry: true }, async (session) => {
			const uri = (from: number, to: number) =>
				vscode.Uri.from({
					scheme: "vscode-debug-memory",
					authority: session.id,
					path: `/${encodeURIComponent("gpa:0x300000")}/memory.bin`,
					query: `range=${from}:${to}`,
				});
			await vscode.workspace.fs.writeFile(uri(4, 6), Uint8Array.of(0x12, 0x34));
			const read = await vscode.workspace.fs.readFile(uri(0, 8));
			assert.deepEqual([...read], [0, 0, 0, 0, 0x12, 0x34, 0, 0]);
		});
	},

	"a breakpoint in the kernel holds under binary translation": async () => {
		const breakpoint = new vscode.FunctionBreakpoint("add_up");
		vscode.debug.addBreakpoints([breakpoint]);
		try {
			await stoppedSession({}, async (session, threadId) => {
				const { stackFrames } = await session.customRequest("stackTrace", { threadId });
				assert.equal(stackFrames[0].name, "add_up");
				const walk = await request(session, "hyperscope/pageWalk", { threadId, address: "rip" });
				assert.deepEqual(
					walk.walks.map(({ table }) => table),
					["guest", "shadow"],
				);
				const { total } = await request(session, "hyperscope/fragments", {});
				assert.ok(total > 100);
			});
		} finally {
			vscode.debug.removeBreakpoints([breakpoint]);
		}
	},

	"the serial line is a terminal": async () => {
		const opened = new Promise<vscode.Terminal>((resolve) => {
			const listener = vscode.window.onDidOpenTerminal((terminal) => {
				if (!terminal.name.startsWith("Serial")) return;
				listener.dispose();
				resolve(terminal);
			});
		});
		const ended = nextEvent("terminated");
		await vscode.debug.startDebugging(folder(), configuration({ name: "serial", serial: "terminal" }));
		assert.equal((await opened).name, "Serial: serial");
		await ended;
	},
};

/** VS Code calls this; a rejected promise is a failure. */
export async function run(): Promise<void> {
	const failed: string[] = [];
	for (const [name, body] of Object.entries(tests)) {
		try {
			await body();
			console.log(`ok ${name}`);
		} catch (error) {
			failed.push(name);
			console.log(`not ok ${name}: ${error instanceof Error ? error.stack : error}`);
		}
	}
	if (failed.length > 0)
		throw new Error(`${failed.length} of ${Object.keys(tests).length} failed: ${failed.join("; ")}`);
}

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { frameMessage, MessageReader } from "../../debug-adapter/message-framing.ts";
import { parseDapArguments } from "./dap.ts";

test("the arguments of dap", () => {
	assert.equal(parseDapArguments([]), undefined);
	assert.equal(parseDapArguments(["--port", "4711"]), 4711);
	for (const words of [["--port"], ["--port", "70000"], ["--speed", "9"], ["--port", "1", "more"]])
		assert.throws(() => parseDapArguments(words), /--port/);
});

test("a session on standard input and output ends the process with the disconnect", { timeout: 60_000 }, async () => {
	const program = fileURLToPath(new URL("./hyperscope.ts", import.meta.url));
	const child = spawn(process.execPath, ["--import", "tsx", program, "dap"], { stdio: ["pipe", "pipe", "inherit"] });
	const commands: string[] = [];
	const reader = new MessageReader(
		(message) => {
			const { command } = message as { command?: string };
			if (command) commands.push(command);
		},
		(sentence) => assert.fail(sentence),
	);
	child.stdout.on("data", (bytes) => reader.push(bytes));
	child.stdin.write(frameMessage({ seq: 1, type: "request", command: "initialize", arguments: {} }));
	child.stdin.write(frameMessage({ seq: 2, type: "request", command: "disconnect" }));
	const status = await new Promise((resolve) => child.on("exit", resolve));
	assert.equal(status, 0);
	assert.deepEqual(commands, ["initialize", "disconnect"]);
});

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { nodeHostServices } from "./host-services.ts";
import { frameMessage, MessageReader } from "./message-framing.ts";
import { serveLoopback } from "./server.ts";
import { ScriptedMachine } from "./test-support/scripted-machine.ts";

interface Message {
	readonly type: string;
	readonly command?: string;
	readonly event?: string;
	readonly success?: boolean;
	readonly body?: { readonly output?: string };
}

/** Sends and waits for the first message that fits. */
class Client {
	private readonly messages: Message[] = [];
	private wake: () => void = () => {};
	private readonly reader = new MessageReader(
		(message) => {
			this.messages.push(message as Message);
			this.wake();
		},
		(sentence) => assert.fail(sentence),
	);

	constructor(readonly socket: Socket) {
		socket.on("data", (bytes) => this.reader.push(bytes));
	}

	async expect(fits: (message: Message) => boolean): Promise<Message> {
		for (;;) {
			const found = this.messages.find(fits);
			if (found) return found;
			await new Promise<void>((resolve) => {
				this.wake = resolve;
			});
		}
	}
}

test("a session over TCP on the loopback address, through malformed input, to the disconnect", {
	timeout: 20_000,
}, async () => {
	const server = await serveLoopback(0, { host: nodeHostServices, createMachine: () => new ScriptedMachine() });
	const socket = connect(server.port, "127.0.0.1");
	const client = new Client(socket);
	try {
		socket.write("Content-Length: rubbish\r\n\r\n");
		socket.write(frameMessage({ seq: 1, type: "request", command: "initialize", arguments: {} }));
		assert.equal((await client.expect((one) => one.command === "initialize")).success, true);
		const said = await client.expect((one) => one.event === "output");
		assert.match(said.body!.output!, /^Malformed header/);
		socket.write("Content-Length: 4\r\n\r\n{{{{");
		await client.expect((one) => one.event === "output" && /not JSON/.test(one.body!.output!));
		socket.write(frameMessage({ seq: 2, type: "request", command: "threads" }));
		assert.equal((await client.expect((one) => one.command === "threads")).success, true);
		const closed = new Promise((resolve) => socket.on("close", resolve));
		socket.write(frameMessage({ seq: 3, type: "request", command: "disconnect" }));
		await client.expect((one) => one.command === "disconnect");
		await closed;
	} finally {
		socket.destroy();
		server.close();
	}
});

test("a port that is taken is refused", async () => {
	const services = { host: nodeHostServices, createMachine: () => new ScriptedMachine() };
	const server = await serveLoopback(0, services);
	await assert.rejects(serveLoopback(server.port, services), /EADDRINUSE/);
	server.close();
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostServices } from "../../debug-adapter/host-services.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { serveAdapter } from "./serve.ts";

/** An adapter that gives its host away and answers each message with itself. */
function serveEcho() {
	const sent: FromWorker[] = [];
	let receive!: (message: ToWorker) => void;
	let host!: HostServices;
	serveAdapter(
		{ post: (message) => sent.push(message), onMessage: (listener) => (receive = listener) },
		{ now: () => 0, defer: (callback) => callback() },
		(services) => {
			host = services;
			let answer: (message: never) => void = () => {};
			return {
				handleMessage: (message) => answer(message as never),
				onDidSendMessage: (listener) => (answer = listener as never),
			};
		},
	);
	return { sent, receive, host };
}

test("messages of the protocol pass both ways", () => {
	const { sent, receive } = serveEcho();
	const message = { seq: 1, type: "request", command: "initialize" };
	receive({ kind: "protocol", message });
	assert.deepEqual(sent, [{ kind: "protocol", message }]);
});

test("files are asked for by number, so that answers may come in any order", async () => {
	const { sent, receive, host } = serveEcho();
	const first = host.readFile("/a");
	const second = host.readFile("/b");
	assert.deepEqual(
		sent.map((message) => message.kind === "readFile" && [message.request, message.path]),
		[
			[1, "/a"],
			[2, "/b"],
		],
	);
	receive({ kind: "fileFailed", request: 2, sentence: 'There is no file "/b".' });
	receive({ kind: "file", request: 1, bytes: new Uint8Array([1]) });
	assert.deepEqual(await first, new Uint8Array([1]));
	await assert.rejects(second, /There is no file "\/b"/);
});

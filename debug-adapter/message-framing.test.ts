import assert from "node:assert/strict";
import { test } from "node:test";
import { frameMessage, MessageReader } from "./message-framing.ts";

function readAll(pieces: readonly (string | Uint8Array)[]): { messages: unknown[]; sentences: string[] } {
	const messages: unknown[] = [];
	const sentences: string[] = [];
	const reader = new MessageReader(
		(message) => messages.push(message),
		(sentence) => sentences.push(sentence),
	);
	for (const piece of pieces) reader.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
	return { messages, sentences };
}

test("messages arrive whole, however the stream is cut", () => {
	const bytes = [...frameMessage({ text: "größer" }), ...frameMessage({ seq: 2 })];
	for (const size of [1, 3, 7, 1000]) {
		const pieces: Uint8Array[] = [];
		for (let at = 0; at < bytes.length; at += size) pieces.push(new Uint8Array(bytes.slice(at, at + size)));
		assert.deepEqual(readAll(pieces), { messages: [{ text: "größer" }, { seq: 2 }], sentences: [] });
	}
});

test("bad JSON costs one sentence and that message only", () => {
	const { messages, sentences } = readAll(["Content-Length: 5\r\n\r\n{oops", frameMessage({ seq: 1 })]);
	assert.deepEqual(messages, [{ seq: 1 }]);
	assert.deepEqual(sentences, ["Malformed message: its 5 bytes are not JSON."]);
});

test("a bad header costs one sentence; the next header is found", () => {
	const { messages, sentences } = readAll([
		'Content-Length: -4\r\n\r\n{"a":1}rubbish',
		frameMessage({ seq: 1 }),
		"Content-Length: 99999999999\r\n\r\n",
		frameMessage({ seq: 2 }),
		"x".repeat(5000),
		frameMessage({ seq: 3 }),
	]);
	assert.deepEqual(messages, [{ seq: 1 }, { seq: 2 }, { seq: 3 }]);
	assert.equal(sentences.length, 3);
});

test("other header fields are ignored", () => {
	assert.deepEqual(readAll(["Content-Type: x\r\nContent-Length: 2\r\n\r\n{}"]).messages, [{}]);
});

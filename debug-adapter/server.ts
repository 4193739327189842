import type { DebugProtocol } from "@vscode/debugprotocol";
import { createSession, type SessionServices } from "./create-session.ts";
import type { ByteStream } from "./host-services.ts";
import { type LoopbackServer, listenOnLoopback } from "./host-services.ts";
import { frameMessage, MessageReader } from "./message-framing.ts";

/**
 * A session over a stream. The promise is fulfilled when the stream has ended or the client has disconnected; the
 * machine is gone then.
 */
export function serveStream(stream: ByteStream, services: SessionServices): Promise<void> {
	return new Promise((resolve) => {
		const session = createSession(services);
		const reader = new MessageReader(
			(message) => session.handleMessage(message as DebugProtocol.ProtocolMessage),
			(sentence) => session.reportMalformed(sentence),
		);
		session.onDidSendMessage((message) => stream.write(frameMessage(message)));
		session.onDisconnected(() => stream.end());
		stream.onData((bytes) => reader.push(bytes));
		stream.onEnd(() => {
			session.dispose();
			resolve();
		});
	});
}

/** A session for each connection to the port on 127.0.0.1. */
export function serveLoopback(port: number, services: SessionServices): Promise<LoopbackServer> {
	return listenOnLoopback(port, (stream) => void serveStream(stream, services));
}

// Inside the worker: one debug adapter with its machine, whose messages go to the extension and come from there.
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { HostServices } from "../../debug-adapter/host-services.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** The worker's end of the line to the extension. */
export interface WorkerPort {
	post(message: FromWorker): void;
	onMessage(listener: (message: ToWorker) => void): void;
}

/** A debug adapter as `createSession` makes it. */
interface Adapter {
	handleMessage(message: DebugProtocol.ProtocolMessage): void;
	onDidSendMessage(listener: (message: object) => void): unknown;
}

/**
 * Connects an adapter to the port.
 * @param host what the kind of worker has of itself; files are read through the extension
 */
export function serveAdapter(
	port: WorkerPort,
	host: Omit<HostServices, "readFile">,
	createAdapter: (host: HostServices) => Adapter,
): void {
	const files = new Map<number, { resolve(bytes: Uint8Array): void; reject(error: Error): void }>();
	let requests = 0;
	const adapter = createAdapter({
		...host,
		readFile: (path) =>
			new Promise((resolve, reject) => {
				const request = ++requests;
				files.set(request, { resolve, reject });
				port.post({ kind: "readFile", request, path });
			}),
	});
	adapter.onDidSendMessage((message) => port.post({ kind: "protocol", message }));
	port.onMessage((message) => {
		if (message.kind === "protocol") return adapter.handleMessage(message.message as DebugProtocol.ProtocolMessage);
		const waiting = files.get(message.request);
		files.delete(message.request);
		if (message.kind === "file") waiting?.resolve(message.bytes);
		else waiting?.reject(new Error(message.sentence));
	});
}

// Drives a debug adapter in this process, as an editor does over a stream: requests with answers, events awaited.
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { CustomRequests } from "../../debug-adapter/protocol.ts";

/** A debug adapter in this process. */
export interface InProcessAdapter {
	handleMessage(message: DebugProtocol.ProtocolMessage): void;
	onDidSendMessage(listener: (message: object) => void): unknown;
	dispose(): void;
}

type Listener = (event: DebugProtocol.Event) => void;

export class AdapterClient {
	readonly #adapter: InProcessAdapter;
	readonly #waiting = new Map<number, { resolve(body: unknown): void; reject(error: Error): void }>();
	readonly #listeners = new Set<Listener>();
	#sequence = 0;

	constructor(adapter: InProcessAdapter) {
		this.#adapter = adapter;
		adapter.onDidSendMessage((message) => this.#receive(message as DebugProtocol.ProtocolMessage));
	}

	/** Rejects with the adapter's sentence when it refuses. */
	request(command: string, values: object = {}): Promise<never> {
		const seq = ++this.#sequence;
		return new Promise((resolve, reject) => {
			this.#waiting.set(seq, { resolve: resolve as (body: unknown) => void, reject });
			const request: DebugProtocol.Request = { seq, type: "request", command, arguments: values };
			this.#adapter.handleMessage(request);
		});
	}

	/** One of the requests of debug-adapter/protocol.ts. */
	custom<Command extends keyof CustomRequests>(
		command: Command,
		values?: CustomRequests[Command]["arguments"],
	): Promise<CustomRequests[Command]["body"]> {
		return this.request(command, values);
	}

	/** Calls back at each event until the result is called. */
	onEvent(listener: Listener): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}

	/** The next event with one of the names. Ask before sending what causes it. */
	event(...names: string[]): Promise<DebugProtocol.Event> {
		return new Promise((resolve) => {
			const forget = this.onEvent((event) => {
				if (!names.includes(event.event)) return;
				forget();
				resolve(event);
			});
		});
	}

	dispose(): void {
		this.#adapter.dispose();
	}

	#receive(message: DebugProtocol.ProtocolMessage): void {
		if (message.type === "event") {
			for (const listener of [...this.#listeners]) listener(message as DebugProtocol.Event);
			return;
		}
		const response = message as DebugProtocol.Response;
		const waiting = this.#waiting.get(response.request_seq);
		this.#waiting.delete(response.request_seq);
		if (response.success) waiting?.resolve(response.body);
		else waiting?.reject(new Error(refusal(response)));
	}
}

/** The sentence of a refusal, its variables put in. */
function refusal(response: DebugProtocol.Response): string {
	const error: DebugProtocol.Message | undefined = response.body?.error;
	if (!error) return response.message ?? `The request "${response.command}" was refused.`;
	return error.format.replace(/\{(\w+)\}/g, (whole, name: string) => error.variables?.[name] ?? whole);
}

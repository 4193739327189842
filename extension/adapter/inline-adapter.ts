// The debug adapter as VS Code sees it: an object in the extension host whose messages go to and from a worker.
import type { DebugProtocol } from "@vscode/debugprotocol";
import * as vscode from "vscode";
import type { EmulatorWorker, Host } from "../host.ts";
import type { FromWorker } from "../worker/messages.ts";
import { readGuestFile } from "./guest-files.ts";

export class InlineAdapter implements vscode.DebugAdapter {
	readonly #sent = new vscode.EventEmitter<vscode.DebugProtocolMessage>();
	readonly onDidSendMessage = this.#sent.event;
	readonly #worker: EmulatorWorker;
	#ended = false;

	constructor(worker: EmulatorWorker) {
		this.#worker = worker;
		worker.onMessage((message) => this.#receive(message));
		worker.onFailure((sentence) => this.#fail(sentence));
	}

	handleMessage(message: vscode.DebugProtocolMessage): void {
		if (!this.#ended) this.#worker.post({ kind: "protocol", message });
	}

	dispose(): void {
		this.#ended = true;
		this.#worker.terminate();
		this.#sent.dispose();
	}

	#receive(message: FromWorker): void {
		if (this.#ended) return;
		if (message.kind === "protocol") this.#sent.fire(message.message as vscode.DebugProtocolMessage);
		else void this.#answerFile(message.request, message.path);
	}

	async #answerFile(request: number, path: string): Promise<void> {
		try {
			const bytes = await readGuestFile(path);
			if (!this.#ended) this.#worker.post({ kind: "file", request, bytes });
		} catch (error) {
			const sentence = error instanceof Error ? error.message : String(error);
			if (!this.#ended) this.#worker.post({ kind: "fileFailed", request, sentence });
		}
	}

	/** The worker died: the session ends with one sentence instead of hanging. */
	#fail(sentence: string): void {
		if (this.#ended) return;
		this.#ended = true;
		const event = (name: string, body?: unknown): DebugProtocol.Event => ({ seq: 0, type: "event", event: name, body });
		this.#sent.fire(event("output", { category: "stderr", output: `The emulator stopped working: ${sentence}\n` }));
		this.#sent.fire(event("terminated"));
	}
}

/** Makes one worker for each debug session. */
export class AdapterFactory implements vscode.DebugAdapterDescriptorFactory {
	readonly #host: Host;
	readonly #extensionUri: vscode.Uri;

	constructor(host: Host, extensionUri: vscode.Uri) {
		this.#host = host;
		this.#extensionUri = extensionUri;
	}

	async createDebugAdapterDescriptor(): Promise<vscode.DebugAdapterDescriptor> {
		return new vscode.DebugAdapterInlineImplementation(
			new InlineAdapter(await this.#host.startWorker(this.#extensionUri)),
		);
	}
}

// The debug adapter as VS Code sees it: an object in the extension host whose messages go to and from a worker.
import type { DebugProtocol } from "@vscode/debugprotocol";
import * as vscode from "vscode";
import type { Technique } from "../../debug-adapter/protocol.ts";
import type { EmulatorWorker, Host } from "../host.ts";
import type { FromWorker } from "../worker/messages.ts";
import { readGuestFile } from "./guest-files.ts";

export class InlineAdapter implements vscode.DebugAdapter {
	readonly #sent = new vscode.EventEmitter<vscode.DebugProtocolMessage>();
	readonly onDidSendMessage = this.#sent.event;
	readonly #worker: EmulatorWorker;
	readonly #technique: string | undefined;
	#ended = false;

	/** @param technique what the launch configuration asks for: the filters offered are those that can happen under it */
	constructor(worker: EmulatorWorker, technique?: string) {
		this.#worker = worker;
		this.#technique = technique;
		worker.onMessage((message) => this.#receive(message));
		worker.onFailure((sentence) => this.#fail(sentence));
	}

	handleMessage(message: vscode.DebugProtocolMessage): void {
		if (!this.#ended) this.#worker.post({ kind: "protocol", message: withTechnique(message, this.#technique) });
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

const techniques: readonly string[] = ["none", "trap", "bt", "pv", "hvm"] satisfies Technique[];

/** `initialize` says which technique is going to be launched; every other message passes as it is. */
function withTechnique(message: vscode.DebugProtocolMessage, technique: string | undefined): unknown {
	const request = message as DebugProtocol.Request;
	if (request.type !== "request" || request.command !== "initialize") return message;
	if (technique === undefined || !techniques.includes(technique)) return message;
	return { ...request, arguments: { ...request.arguments, vmm: technique } };
}

/** Makes one worker for each debug session. */
export class AdapterFactory implements vscode.DebugAdapterDescriptorFactory {
	readonly #host: Host;
	readonly #extensionUri: vscode.Uri;

	constructor(host: Host, extensionUri: vscode.Uri) {
		this.#host = host;
		this.#extensionUri = extensionUri;
	}

	async createDebugAdapterDescriptor(session: vscode.DebugSession): Promise<vscode.DebugAdapterDescriptor> {
		const technique: unknown = session.configuration.vmm ?? "bt";
		return new vscode.DebugAdapterInlineImplementation(
			await this.createAdapter(typeof technique === "string" ? technique : undefined),
		);
	}

	/** An adapter of its own, with its worker; the caller disposes of it. */
	async createAdapter(technique?: string): Promise<InlineAdapter> {
		return new InlineAdapter(await this.#host.startWorker(this.#extensionUri), technique);
	}
}

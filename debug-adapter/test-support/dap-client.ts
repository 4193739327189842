// A DAP client in this process: drives a session through its messages and writes the conversation down.
import type { DebugProtocol } from "@vscode/debugprotocol";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { createSession, type HyperscopeSession } from "../create-session.ts";
import { type HostServices, nodeHostServices } from "../host-services.ts";
import type { CreateMachine } from "../launch/launch-requests.ts";

export interface ClientOptions {
	readonly host?: HostServices;
	readonly createMachine?: CreateMachine;
	/** Texts that depend on where the test runs, and what stands for them in the conversation. */
	readonly scrub?: readonly (readonly [string, string])[];
}

/** Longest wait for a message that does not come, in milliseconds. */
const PATIENCE = 60_000;

type Message = DebugProtocol.Response | DebugProtocol.Event;

export class DapClient {
	readonly session: HyperscopeSession;
	/** The conversation so far, one message a line. */
	readonly transcript: string[] = [];
	private readonly received: Message[] = [];
	private readonly waiting: (() => void)[] = [];
	private sequence = 1;
	private readonly scrub: readonly (readonly [string, string])[];

	constructor(options: ClientOptions = {}) {
		this.scrub = options.scrub ?? [];
		this.session = createSession({
			host: options.host ?? nodeHostServices,
			createMachine: options.createMachine ?? createMachine,
		});
		this.session.onDidSendMessage((message) => {
			const received = structuredClone(message) as unknown as Message;
			this.received.push(received);
			this.record(received);
			for (const wake of this.waiting.splice(0)) wake();
		});
	}

	private write(line: string): void {
		for (const [category, output] of this.output)
			this.transcript.push(`<- output ${category} ${JSON.stringify(output)}`);
		this.output.clear();
		// Instruction counts belong to the machine's own tests: a device that takes one more step changes them all.
		let text = line.replaceAll(/("state": "\w+", "instructionCount": )[1-9]\d*/g, "$1N");
		for (const [from, to] of this.scrub) text = text.replaceAll(from, to);
		this.transcript.push(text);
	}

	/** Output that came since the last other message: how it is cut into events depends on the host's clock. */
	private output = new Map<string, string>();

	private gather(event: string, body: { category?: string; output?: string }): boolean {
		if (event === "hyperscope/serialOutput") return true;
		if (event !== "output") return false;
		const category = body.category ?? "console";
		this.output.set(category, (this.output.get(category) ?? "") + (body.output ?? ""));
		return true;
	}

	private record(message: Message): void {
		if (message.type === "event") {
			const { event, body } = message as DebugProtocol.Event;
			if (this.gather(event, body)) return;
			this.write(`<- event ${event}${body === undefined ? "" : ` ${show(body)}`}`);
			return;
		}
		const { command, success, message: sentence, body } = message as DebugProtocol.Response;
		if (!success) this.write(`<- ${command} refused: ${sentence}`);
		else this.write(`<- ${command}${body === undefined ? "" : ` ${show(body)}`}`);
	}

	/** The conversation as one text. */
	text(): string {
		return this.transcript.join("\n");
	}

	/** A line of explanation in the conversation. */
	note(text: string): void {
		this.transcript.push("", `# ${text}`);
	}

	private async until<Found>(find: () => Found | undefined, what: string): Promise<Found> {
		const end = Date.now() + PATIENCE;
		for (;;) {
			const found = find();
			if (found !== undefined) return found;
			const left = end - Date.now();
			if (left <= 0) throw new Error(`Nothing came: ${what}.\n${this.transcript.slice(-20).join("\n")}`);
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, left);
				this.waiting.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
	}

	/** Sends a message as it is, for malformed ones. */
	sendRaw(message: unknown): void {
		this.write(`-> ${JSON.stringify(message)}`);
		this.session.handleMessage(message as DebugProtocol.ProtocolMessage);
	}

	/** Sends a request and gives its response, whether it succeeded or not. */
	async request(command: string, args?: unknown): Promise<DebugProtocol.Response> {
		const seq = this.sequence++;
		this.write(`-> ${command}${args === undefined ? "" : ` ${show(args)}`}`);
		this.session.handleMessage({
			seq,
			type: "request",
			command,
			...(args === undefined ? {} : { arguments: args }),
		} as DebugProtocol.Request);
		return this.until(
			() =>
				this.received.find(
					(message): message is DebugProtocol.Response =>
						message.type === "response" && (message as DebugProtocol.Response).request_seq === seq,
				),
			`the response to ${command}`,
		);
	}

	/** The body of a response. Throws when the request is refused. */
	// biome-ignore lint/suspicious/noExplicitAny: the shapes are those of the protocol, and a test looks at them.
	async ask(command: string, args?: unknown): Promise<any> {
		const response = await this.request(command, args);
		if (!response.success)
			throw new Error(`${command} was refused: ${response.message}\n${this.transcript.slice(-20).join("\n")}`);
		return response.body;
	}

	private seen = 0;

	/** Waits for the next event of the name; events before the one found last are not looked at again. */
	async event(name: string): Promise<DebugProtocol.Event> {
		return this.until(() => {
			const index = this.received.findIndex(
				(message, at) => at >= this.seen && message.type === "event" && (message as DebugProtocol.Event).event === name,
			);
			if (index < 0) return undefined;
			this.seen = index + 1;
			return this.received[index] as DebugProtocol.Event;
		}, `the event ${name}`);
	}

	/** Sends a request that lets the machine move and waits for it to stop; gives the body of `stopped`. */
	async move(command: string, args: unknown): Promise<DebugProtocol.StoppedEvent["body"]> {
		await this.ask(command, args);
		return (await this.event("stopped")).body as DebugProtocol.StoppedEvent["body"];
	}

	dispose(): void {
		this.session.dispose();
	}
}

/** JSON with a space after commas and colons, as people read it. */
function show(value: unknown): string {
	return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");
}

// Knows the debug sessions of type "hyperscope" and which of them, and which of its threads, the views show.
import * as vscode from "vscode";
import type { CustomEvents, CustomRequests, MachineInfo } from "../../debug-adapter/protocol.ts";

export const debugType = "hyperscope";

/** "starting" lasts until the first `stopped`, `continued` or `hyperscope/state`. */
export type SessionPhase = "starting" | "running" | "stopped" | "ended";

/** One debug session and what its messages have told. */
export class WatchedSession {
	readonly session: vscode.DebugSession;
	phase: SessionPhase = "starting";
	/** Thread of the last stop, until the user selects another. */
	threadId: number | undefined;
	/** Read at the first stop. */
	machine: MachineInfo | undefined;

	constructor(session: vscode.DebugSession) {
		this.session = session;
	}

	/** @throws {Error} with the adapter's sentence when it refuses. */
	async request<Command extends keyof CustomRequests>(
		command: Command,
		values?: CustomRequests[Command]["arguments"],
	): Promise<CustomRequests[Command]["body"]> {
		return await this.session.customRequest(command, values);
	}
}

interface ProtocolEvent {
	readonly type: string;
	readonly event?: string;
	readonly body?: unknown;
}

/** A step is over sooner than this: its views go from one stop to the next without going blank between. Milliseconds. */
const runningDelay = 200;

export class SessionWatcher implements vscode.DebugAdapterTrackerFactory, vscode.Disposable {
	readonly #sessions = new Map<string, WatchedSession>();
	readonly #changed = new vscode.EventEmitter<void>();
	readonly #serialOutput = new vscode.EventEmitter<{ session: WatchedSession; bytes: Uint8Array }>();
	readonly #ended = new vscode.EventEmitter<WatchedSession>();
	readonly #disposables: vscode.Disposable[] = [];
	#revision = 0;
	#announced: string | undefined;
	#running: ReturnType<typeof setTimeout> | undefined;

	/** Another session, thread or phase, or the same with other content: what a view shows is stale. */
	readonly onDidChange = this.#changed.event;
	readonly onSerialOutput = this.#serialOutput.event;
	readonly onDidEnd = this.#ended.event;

	constructor() {
		this.#disposables.push(
			vscode.debug.registerDebugAdapterTrackerFactory(debugType, this),
			vscode.debug.onDidChangeActiveDebugSession(() => this.#touch()),
			vscode.debug.onDidTerminateDebugSession((session) => this.#end(session)),
			vscode.debug.onDidChangeActiveStackItem((item) => this.#select(item)),
		);
	}

	dispose(): void {
		clearTimeout(this.#running);
		for (const disposable of this.#disposables) disposable.dispose();
	}

	/** One more with each change. */
	get revision(): number {
		return this.#revision;
	}

	/** The session that the views show: the editor's active one, or else the youngest of ours. */
	get current(): WatchedSession | undefined {
		const active = vscode.debug.activeDebugSession;
		return (active && this.#sessions.get(active.id)) ?? [...this.#sessions.values()].at(-1);
	}

	/** The session with the thread to show, when its machine stands still. */
	get stopped(): { session: WatchedSession; threadId: number } | undefined {
		const session = this.current;
		if (session?.phase !== "stopped" || session.threadId === undefined) return undefined;
		return { session, threadId: session.threadId };
	}

	createDebugAdapterTracker(session: vscode.DebugSession): vscode.DebugAdapterTracker {
		const watched = new WatchedSession(session);
		this.#sessions.set(session.id, watched);
		this.#touch();
		return {
			// All events are taken here, the custom ones too: this is the only place where they come in order.
			onDidSendMessage: (message: ProtocolEvent) => {
				if (message.type === "event") this.#protocolEvent(watched, message);
			},
			onWillStopSession: () => this.#end(session),
		};
	}

	/** Tells every view that something it shows was changed by another. */
	touch(): void {
		this.#touch();
	}

	#protocolEvent(watched: WatchedSession, { event, body }: ProtocolEvent): void {
		switch (event) {
			case "stopped":
				watched.phase = "stopped";
				watched.threadId = (body as { threadId?: number }).threadId ?? watched.threadId ?? 1;
				void this.#readMachine(watched);
				break;
			case "continued":
				this.#enter(watched, "running");
				return;
			case "terminated":
				this.#enter(watched, "ended");
				return;
			case "hyperscope/state": {
				const { state } = body as CustomEvents["hyperscope/state"];
				// "stopped" is taken from DAP's own event, which names the thread.
				if (state !== "stopped") this.#enter(watched, state);
				return;
			}
			case "hyperscope/serialOutput": {
				const { data } = body as CustomEvents["hyperscope/serialOutput"];
				const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
				this.#serialOutput.fire({ session: watched, bytes });
				return;
			}
			case "memory":
			case "invalidated":
				break;
			default:
				return;
		}
		this.#touch();
	}

	#enter(watched: WatchedSession, phase: "running" | "ended"): void {
		if (watched.phase === phase) return;
		const wasStopped = watched.phase === "stopped";
		watched.phase = phase;
		if (phase === "running" && wasStopped) this.#running ??= setTimeout(() => this.#touch(), runningDelay);
		else this.#touch();
	}

	#select(item: vscode.DebugThread | vscode.DebugStackFrame | undefined): void {
		const watched = item && this.#sessions.get(item.session.id);
		if (!watched || watched.threadId === item.threadId) return;
		watched.threadId = item.threadId;
		this.#touch();
	}

	async #readMachine(watched: WatchedSession): Promise<void> {
		try {
			watched.machine = await watched.request("hyperscope/machine");
		} catch {
			return; // The session ended meanwhile: there is nothing to show.
		}
		this.#touch();
	}

	#end(session: vscode.DebugSession): void {
		const watched = this.#sessions.get(session.id);
		if (!watched) return;
		this.#sessions.delete(session.id);
		watched.phase = "ended";
		this.#ended.fire(watched);
		this.#touch();
	}

	#touch(): void {
		clearTimeout(this.#running);
		this.#running = undefined;
		this.#revision++;
		const phase = this.current?.phase ?? "none";
		const cache = this.current?.machine?.hasTranslationCache ?? false;
		const technique = this.current?.machine?.technique ?? "";
		const shows = Object.entries(this.current?.machine?.shows ?? {})
			.flatMap(([name, has]) => (has ? [name] : []))
			.join(" ");
		const announced = `${phase} ${cache} ${technique} ${shows}`;
		if (announced !== this.#announced) {
			this.#announced = announced;
			void vscode.commands.executeCommand("setContext", "hyperscope.phase", phase);
			void vscode.commands.executeCommand("setContext", "hyperscope.hasTranslationCache", cache);
			void vscode.commands.executeCommand("setContext", "hyperscope.technique", technique);
			void vscode.commands.executeCommand("setContext", "hyperscope.shows", shows);
		}
		this.#changed.fire();
	}
}

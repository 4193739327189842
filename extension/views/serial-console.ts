// The guest's serial line COM1 as a terminal: what the guest sends is shown, what is typed is sent.
import * as vscode from "vscode";
import type { LaunchArguments } from "../../debug-adapter/protocol.ts";
import type { SessionWatcher, WatchedSession } from "../session/session-watcher.ts";
import { withCarriageReturns } from "./line-feeds.ts";

/** Characters that are kept until the terminal is open. */
const pendingLimit = 1 << 20;

class SerialTerminal implements vscode.Pseudoterminal {
	readonly #write = new vscode.EventEmitter<string>();
	readonly onDidWrite = this.#write.event;
	readonly #decoder = new TextDecoder();
	readonly #session: WatchedSession;
	#pending: string | undefined = "";
	#last = "";

	constructor(session: WatchedSession) {
		this.#session = session;
	}

	open(): void {
		const pending = this.#pending ?? "";
		this.#pending = undefined;
		if (pending) this.#write.fire(pending);
	}

	close(): void {}

	handleInput(text: string): void {
		if (this.#session.phase === "ended") return;
		this.#session
			.request("hyperscope/serialInput", { text })
			.catch((error: Error) => this.show(`\r\n${error.message}\r\n`));
	}

	receive(bytes: Uint8Array): void {
		const text = this.#decoder.decode(bytes, { stream: true });
		if (text === "") return;
		this.show(withCarriageReturns(text, this.#last));
		this.#last = text.at(-1)!;
	}

	show(text: string): void {
		if (this.#pending === undefined) this.#write.fire(text);
		else this.#pending = (this.#pending + text).slice(-pendingLimit);
	}
}

/** One terminal for each session; that of an ended session stays to be read until the next one starts. */
export class SerialConsoles implements vscode.Disposable {
	readonly #open = new Map<string, { terminal: vscode.Terminal; serial: SerialTerminal; ended: boolean }>();
	readonly #disposables: vscode.Disposable[];

	constructor(watcher: SessionWatcher) {
		this.#disposables = [
			watcher.onSerialOutput(({ session, bytes }) => this.#of(session).serial.receive(bytes)),
			watcher.onDidEnd((session) => {
				const console = this.#open.get(session.session.id);
				if (!console) return;
				console.ended = true;
				console.serial.show(`\r\n\x1b[2m${vscode.l10n.t("The machine has ended.")}\x1b[0m\r\n`);
			}),
			vscode.window.onDidCloseTerminal((closed) => {
				for (const [id, { terminal }] of this.#open) if (terminal === closed) this.#open.delete(id);
			}),
		];
	}

	/** Brings the terminal of a session to the front. */
	show(session: WatchedSession): void {
		this.#of(session).terminal.show();
	}

	dispose(): void {
		for (const disposable of this.#disposables) disposable.dispose();
		for (const { terminal } of this.#open.values()) terminal.dispose();
	}

	#of(session: WatchedSession): { terminal: vscode.Terminal; serial: SerialTerminal } {
		const known = this.#open.get(session.session.id);
		if (known) return known;
		for (const { terminal, ended } of this.#open.values()) if (ended) terminal.dispose();
		const serial = new SerialTerminal(session);
		const terminal = vscode.window.createTerminal({
			name: vscode.l10n.t("Serial: {0}", session.session.name),
			pty: serial,
			iconPath: new vscode.ThemeIcon("plug"),
			isTransient: true,
		});
		const made = { terminal, serial, ended: false };
		this.#open.set(session.session.id, made);
		if ((session.session.configuration as LaunchArguments).serial === "terminal") terminal.show(true);
		return made;
	}
}

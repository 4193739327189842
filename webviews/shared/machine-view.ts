// The life of a view that reads the machine when it stands still: empty states, one reading for each stop and thread.
import type { ViewState } from "../messages.ts";
import { fill } from "./element.ts";
import { emptyState, message } from "./empty-state.ts";
import type { HostConnection } from "./host.ts";

export interface MachineView {
	/** "its VM events": completes "to see …". */
	readonly subject: string;
	readonly content: HTMLElement;
	/** Why this machine has nothing to show, and what to do; undefined when it has. */
	lacks(state: ViewState): string | undefined;
	/** Reads anew. */
	refresh(state: ViewState): void;
	/** The editor asks to show something: an address. */
	show?(address: string): void;
}

/** What most views know before the first message. */
export const initialState: ViewState = { phase: "none", hasTranslationCache: false, revision: 0, breakpoints: [] };

/** Connects a view to its host; it is read at each stop, and after each change from outside. */
export function runView(host: HostConnection, view: MachineView): void {
	const root = document.getElementById("root")!;
	let read = "";
	host.start(
		(state) => {
			const lacking = state.technique === undefined ? undefined : view.lacks(state);
			const empty = emptyState(state, host, view.subject) ?? (lacking === undefined ? undefined : message(lacking));
			if (empty) {
				read = "";
				fill(root, empty);
				return;
			}
			if (!view.content.isConnected) fill(root, view.content);
			if (!state.thread || state.technique === undefined) return;
			const now = `${state.revision} ${state.thread.id}`;
			if (now === read) return;
			read = now;
			view.refresh(state);
		},
		(address) => view.show?.(address),
	);
}

/** A line that says what a view has read, or why not. */
export function errorText(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

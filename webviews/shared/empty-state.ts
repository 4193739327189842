// What a view says when it has nothing to show: why, and what to do.
import type { ViewState } from "../messages.ts";
import { button, element } from "./element.ts";
import type { HostConnection } from "./host.ts";

/** The message for a session that has nothing to show; undefined when the machine stands still and can be looked at. */
export function emptyState(state: ViewState, host: HostConnection, subject: string): HTMLElement | undefined {
	switch (state.phase) {
		case "stopped":
			return undefined;
		case "running":
		case "starting":
			return message(
				`The guest is running. Pause it, or let it reach a breakpoint, to see ${subject}.`,
				button("Pause", () => host.act({ action: "pause" })),
			);
		case "ended":
			return message(
				`The machine has ended. Start it again to see ${subject}.`,
				button("Start Debugging", () => host.act({ action: "startDebugging" })),
			);
		default:
			return message(
				`No machine is running. Start one to see ${subject}.`,
				button("Start Debugging", () => host.act({ action: "startDebugging" })),
				button("Open a Sample Kernel", () => host.act({ action: "openSample" })),
			);
	}
}

export function message(text: string, ...actions: HTMLElement[]): HTMLElement {
	return element(
		"div",
		{ class: "empty", attributes: { role: "status" } },
		element("p", {}, text),
		element("div", { class: "empty-actions" }, ...actions),
	);
}

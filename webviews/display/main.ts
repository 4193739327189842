// The guest's screen. It is read again and again while the guest runs, and once at each stop.
import type { DisplayBody } from "../../debug-adapter/protocol.ts";
import type { ViewState } from "../messages.ts";
import { element, fill } from "../shared/element.ts";
import { emptyState } from "../shared/empty-state.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText } from "../shared/machine-view.ts";
import "../shared/style.css";
import "./display.css";

/** Between two readings while the guest runs, in milliseconds. */
const interval = 250;

const host = new HostConnection();
const root = document.getElementById("root")!;
const status = element("p", { class: "status", attributes: { role: "status" } });
const screen = element("pre", {
	class: "screen mono",
	attributes: { tabindex: "0", role: "region", "aria-label": "The guest's screen" },
});
const content = element("main", { class: "content" }, status, element("div", { class: "scroll" }, screen));
let phase: ViewState["phase"] = "none";
let timer: ReturnType<typeof setTimeout> | undefined;
let drawn = "";

/** The cursor has the colour of the character that it is on. */
function foregroundAt(runs: DisplayBody["rows"][number], column: number): string {
	let end = 0;
	return runs.find(({ text }) => column < (end += text.length))?.foreground ?? "";
}

function draw(body: DisplayBody): void {
	const { columns, rows, cursor, graphicsMode } = body;
	status.textContent = graphicsMode
		? "The guest has set a graphics mode, which is not shown; boot it with a text console."
		: `${columns} by ${rows.length} characters${phase === "running" ? ", as the guest runs" : ""}`;
	// What a person has selected stays selected while nothing changes.
	const now = JSON.stringify(body);
	if (now === drawn) return;
	drawn = now;
	const mark = element("span", { class: "cursor", attributes: { "aria-hidden": "true" } });
	if (cursor) {
		mark.style.left = `${cursor.column}ch`;
		mark.style.top = `${cursor.row * 1.25}em`;
		mark.style.height = "1.25em";
		mark.style.borderColor = foregroundAt(rows[cursor.row] ?? [], cursor.column);
	}
	fill(
		screen,
		...rows.map((runs) =>
			element(
				"div",
				{},
				...runs.map(({ text, foreground, background }) => {
					const run = element("span", {}, text);
					run.style.color = foreground;
					run.style.background = background;
					return run;
				}),
			),
		),
		cursor !== undefined && mark,
	);
}

async function read(): Promise<void> {
	clearTimeout(timer);
	try {
		draw(await host.request("hyperscope/display", undefined));
	} catch (error) {
		status.textContent = errorText(error);
		drawn = "";
		fill(screen);
	}
	clearTimeout(timer);
	if (phase === "running") timer = setTimeout(() => void read(), interval);
}

host.start(
	(state) => {
		phase = state.phase;
		// Other than the rest of the machine, the screen can be seen while the guest runs.
		const empty = phase === "running" ? undefined : emptyState(state, host, "its guest's screen");
		if (empty) {
			clearTimeout(timer);
			fill(root, empty);
			return;
		}
		if (!content.isConnected) fill(root, content);
		void read();
	},
	() => {},
);

// The guest's screen as text, read from the display's own memory and registers without a side effect, also while it runs.
import { codePage437 } from "../../emulator/devices/code-page-437.ts";
import type { TextScreen } from "../../emulator/devices/vga-text.ts";
import type { Debuggee } from "../debuggee.ts";
import type { DisplayBody, DisplayRun } from "../protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";

const color = (value: number) => `#${value.toString(16).padStart(6, "0")}`;

/** One row as runs of equal colours. */
export function rowOf(screen: TextScreen, row: number): DisplayRun[] {
	const runs: { text: string; attribute: number }[] = [];
	for (let column = 0; column < screen.columns; column++) {
		const at = row * screen.columns + column;
		const attribute = screen.attributes[at]!;
		const text = codePage437[screen.characters[at]!]!;
		const last = runs.at(-1);
		if (last?.attribute === attribute) last.text += text;
		else runs.push({ text, attribute });
	}
	// IBM VGA, attribute byte: foreground in bits 0 to 3, background in bits 4 to 6; bit 7 blinks, which is not shown.
	return runs.map(({ text, attribute }) => ({
		text,
		foreground: color(screen.colors[attribute & 15]!),
		background: color(screen.colors[(attribute >> 4) & 7]!),
	}));
}

export function displayViewRequests(debuggee: Debuggee): RequestHandlers {
	return {
		"hyperscope/display": (): DisplayBody => {
			const { display } = debuggee.machine;
			if (!display) throw new RequestError("This machine has no display.");
			const screen = display.screen();
			return {
				columns: screen.columns,
				rows: Array.from({ length: screen.rows }, (_, row) => rowOf(screen, row)),
				...(screen.cursor ? { cursor: screen.cursor } : {}),
				graphicsMode: display.graphicsMode,
			};
		},
	};
}

// One fragment: guest code beside the code that runs in its place, what each instruction became, and where it goes on.
import type {
	FragmentBody,
	FragmentExitInfo,
	FragmentLineInfo,
	TranslatedInstruction,
} from "../../debug-adapter/protocol.ts";
import { breakpointName } from "../../debug-adapter/protocol.ts";
import type { ViewState } from "../messages.ts";
import { addressContext, element, link } from "../shared/element.ts";
import type { HostConnection } from "../shared/host.ts";

/** What the tags of the papers mean, for the tooltip. */
const tagMeanings: Readonly<Record<string, string>> = {
	IDENT: "Runs unchanged",
	PCREL: "Its address is relative to the instruction pointer, so it was rewritten",
	JCC: "Conditional jump: both ways are exits",
	JMP: "Direct jump",
	CALL: "Direct call: pushes the guest's return address",
	RET: "Return: its target is looked up at run time",
	INDIRECT: "Indirect jump or call: its target is looked up at run time",
	PRIV: "Privileged or sensitive: works on the virtual processor",
	CALLOUT: "Leaves the translation cache for the VMM",
	SIMULATE: "Simulated by the VMM, as it trapped too often",
};

const exitStates: Readonly<Record<FragmentExitInfo["state"], string>> = {
	continuation: "continuation, not yet run",
	chained: "chained",
	linked: "linked",
	elided: "falls through",
	lookup: "looked up at run time",
};

export interface FragmentViewActions {
	showFragment(id: number): void;
}

export function fragmentView(
	fragment: FragmentBody,
	state: ViewState,
	host: HostConnection,
	actions: FragmentViewActions,
): HTMLElement {
	const name = fragment.symbol ?? fragment.guestStart;
	return element(
		"section",
		{
			class: "fragment",
			attributes: { "aria-label": `Fragment ${fragment.id}`, "data-fragment": String(fragment.id) },
		},
		element("h2", {}, `Fragment ${fragment.id}: ${name}`),
		element(
			"p",
			{ class: "dim" },
			`Guest ${fragment.guestStart} – ${fragment.guestEnd}, translated to ${fragment.translatedStart} – ${fragment.translatedEnd}; `,
			`${fragment.entries} ${fragment.entries === 1 ? "entry" : "entries"} by dispatch, generation ${fragment.generation}${fragment.valid ? "" : ", invalidated"}`,
		),
		codeTable(fragment, state, host),
		exitList(fragment, actions),
	);
}

function codeTable(fragment: FragmentBody, state: ViewState, host: HostConnection): HTMLElement {
	const body = element("tbody");
	for (const line of fragment.lines) for (const row of lineRows(line, state, host)) body.append(row);
	const heading = (...titles: string[]) =>
		element("tr", {}, ...titles.map((title) => element("th", { attributes: { scope: "col" } }, title)));
	return element(
		"table",
		{ class: "code" },
		element("thead", {}, heading("", "Guest", "Guest instruction", "Tag", "", "Translated", "Translated instruction")),
		body,
	);
}

/** The guest instruction with the first of its translated ones, the others below. */
function lineRows(line: FragmentLineInfo, state: ViewState, host: HostConnection): HTMLElement[] {
	const translated: (TranslatedInstruction | undefined)[] =
		line.translated.length > 0 ? [...line.translated] : [undefined];
	return translated.map((instruction, index) => {
		const first = index === 0;
		const guestHere = first && line.current?.some(({ address }) => address === line.guest);
		const translatedHere = instruction && line.current?.some(({ address }) => address === instruction.address);
		return element(
			"tr",
			{
				class: `${first ? "first" : ""} ${guestHere || translatedHere ? "current" : ""}`,
				attributes: guestHere || translatedHere ? { "aria-current": "true" } : {},
			},
			element(
				"td",
				{ class: "margin" },
				first ? breakpointButton(line.guest, guestHere ? "vCPU" : "", state, host) : "",
			),
			first ? addressCell(line.guest) : element("td"),
			element("td", { class: "text" }, first ? guestText(line, host) : ""),
			element("td", {}, first ? tag(line.tag) : ""),
			element(
				"td",
				{ class: "margin" },
				instruction ? breakpointButton(instruction.address, translatedHere ? "pCPU" : "", state, host) : "",
			),
			instruction ? addressCell(instruction.address) : element("td"),
			element(
				"td",
				{ class: "text" },
				instruction ? element("span", { title: instruction.bytes }, instruction.text) : "",
			),
		);
	});
}

function addressCell(address: string): HTMLElement {
	return element("td", { class: "dim", attributes: addressContext(address) }, address);
}

function tag(name: string): HTMLElement {
	return element("span", { class: name === "IDENT" ? "tag" : "tag strong", title: tagMeanings[name] ?? name }, name);
}

function guestText(line: FragmentLineInfo, host: HostConnection): HTMLElement {
	const { source } = line;
	if (!source) return element("span", { title: line.guestBytes }, line.guestText);
	const title = `${line.guestBytes}\n${source.path}:${source.line}`;
	return link(line.guestText, title, () => host.act({ action: "openSource", path: source.path, line: source.line }));
}

/** The margin of a line: sets or takes away a breakpoint, shows it, and marks where a processor stands. */
function breakpointButton(address: string, processor: string, state: ViewState, host: HostConnection): HTMLElement {
	const set = state.breakpoints.includes(breakpointName(address));
	const what = set ? `Remove the breakpoint at ${address}` : `Break at ${address}`;
	return element(
		"button",
		{
			class: `breakpoint ${set ? "set" : ""}`,
			title: processor ? `The ${processor} stands here. ${what}` : what,
			attributes: {
				type: "button",
				"aria-pressed": String(set),
				"aria-label": processor ? `${processor} is here. ${what}` : what,
				"data-address": address,
			},
			onClick: () => host.act({ action: "toggleBreakpoint", address }),
		},
		element("span", { class: "dot", attributes: { "aria-hidden": "true" } }, "●"),
		element("span", { class: "arrow", attributes: { "aria-hidden": "true" } }, processor ? "▶" : ""),
	);
}

function exitList(fragment: FragmentBody, actions: FragmentViewActions): HTMLElement {
	return element(
		"ul",
		{ class: "exits", attributes: { "aria-label": "Exits" } },
		...fragment.exits.map((exit) => {
			const target = exit.symbol ?? exit.guestTarget ?? "any address";
			return element(
				"li",
				{ attributes: { "data-state": exit.state } },
				`[${exit.kind}] → `,
				element("span", { class: "mono" }, target),
				": ",
				exitStates[exit.state],
				exit.fragment !== undefined && ", ",
				exit.fragment !== undefined &&
					link(`fragment ${exit.fragment}`, "Follow the link", () => actions.showFragment(exit.fragment!)),
			);
		}),
	);
}

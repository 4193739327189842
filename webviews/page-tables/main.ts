// The page-table view: a walk of one address through every table, and the mappings of one table.
import type { ViewState } from "../messages.ts";
import { button, element, fill, input, select } from "../shared/element.ts";
import { emptyState } from "../shared/empty-state.ts";
import { HostConnection } from "../shared/host.ts";
import "../shared/style.css";
import { allMappings } from "./mapping-filter.ts";
import { MappingList, type MappingListChoices } from "./mapping-list.ts";
import "./page-tables.css";
import { nestedWalkTable } from "./nested-walk-view.ts";
import { walkColumns } from "./walk-view.ts";

interface Choices extends MappingListChoices {
	/** The address last walked, as it was typed; empty for the instruction pointer. */
	readonly address: string;
	readonly access: keyof typeof accesses;
}

const accesses = {
	read: { text: "read, current privilege", values: undefined },
	write: { text: "write, current privilege", values: { write: true } },
	execute: { text: "execute, current privilege", values: { execute: true } },
	userRead: { text: "user read", values: { user: true } },
	userWrite: { text: "user write", values: { user: true, write: true } },
	userExecute: { text: "user execute", values: { user: true, execute: true } },
} as const;

/** What is walked when nothing was typed: where the thread stands. Every processor answers to this name of the register. */
const instructionPointer = "rip";

const host = new HostConnection();
let choices: Choices = host.saved<Choices>({ address: "", access: "read", table: "guest", mappings: allMappings });
let state: ViewState = { phase: "none", hasTranslationCache: false, revision: 0, breakpoints: [] };
/** What is on the screen: it is read anew only when this differs. */
let shown = "";
let walking = 0;

function choose(part: Partial<Choices>): void {
	choices = { ...choices, ...part };
	host.save(choices);
}

const address = input("Address to walk", "address, symbol, register or expression", choices.address, () => walkTyped());
const access = select(
	"Access",
	Object.entries(accesses).map(([value, { text }]) => ({ value, text })),
	choices.access,
	(value) => {
		choose({ access: value as Choices["access"] });
		void walk();
	},
);
const walkPlace = element("div", { class: "walk-place" });
const mappings = new MappingList(host, choices, choose, (start) => {
	address.value = start;
	walkTyped();
});
const content = element(
	"main",
	{ class: "content" },
	element(
		"div",
		{ class: "bar" },
		address,
		access,
		button("Walk", () => walkTyped()),
		button(
			"Fragment",
			() => host.act({ action: "showFragment", address: address.value.trim() || instructionPointer }),
			"Show the fragment that holds this address",
			"secondary",
		),
		button(
			"Disassemble",
			() => host.act({ action: "disassemble", address: address.value.trim() || instructionPointer }),
			"Show the code at this address",
			"secondary",
		),
	),
	walkPlace,
	mappings.element,
);
const root = document.getElementById("root")!;

function walkTyped(): void {
	choose({ address: address.value.trim() });
	void walk();
}

async function walk(): Promise<void> {
	const thread = state.thread;
	if (!thread) return;
	const asked = ++walking;
	try {
		const values = {
			threadId: thread.id,
			address: choices.address || instructionPointer,
			access: accesses[choices.access].values,
		};
		const body = await host.request("hyperscope/pageWalk", values);
		const nested = state.shows?.vmx ? (await host.request("hyperscope/nestedWalk", values)).walk : undefined;
		if (asked === walking) fill(walkPlace, walkColumns(body), nested && nestedWalkTable(nested));
	} catch (error) {
		if (asked === walking)
			fill(walkPlace, element("p", { class: "error", attributes: { role: "alert" } }, (error as Error).message));
	}
}

function show(next: ViewState): void {
	state = next;
	const empty = emptyState(state, host, "its page tables");
	if (empty) {
		shown = state.phase;
		fill(root, empty);
		return;
	}
	if (!content.isConnected) fill(root, content);
	if (!state.thread) return;
	const now = `${state.revision} ${state.thread.id}`;
	if (now === shown) return;
	shown = now;
	void walk();
	void mappings.refresh(state.thread.id);
}

host.start(show, (asked) => {
	address.value = asked;
	walkTyped();
});

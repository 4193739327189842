// The VM-event timeline: what took the machine out of the guest's own code, counted by reason.
import type { EventCountsBody, EventInfo, EventKind } from "../../debug-adapter/protocol.ts";
import { button, element, fill, select } from "../shared/element.ts";
import { type EventChoice, EventList } from "../shared/event-list.ts";
import { fieldList, fieldsText, kindTitle, placeText } from "../shared/event-text.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, runView } from "../shared/machine-view.ts";
import "../shared/style.css";
import { CountList, countRows, countRowText } from "./count-list.ts";
import "./timeline.css";

const host = new HostConnection();
let choice: EventChoice = host.saved<{ choice: EventChoice }>({ choice: {} }).choice;

const status = element("p", { class: "status", attributes: { role: "status" } });
const detail = element("section", { class: "detail", attributes: { "aria-label": "The chosen event", tabindex: "0" } });
const kinds = select("Kind of event", [], "", (kind) => choose(kind ? { kinds: [kind as EventKind] } : {}));
const counts = new CountList((chosen) => choose(chosen));
let counted: EventCountsBody | undefined;

function choose(chosen: EventChoice): void {
	choice = chosen;
	host.save({ choice });
	drawCounts();
	void events.refresh(choice);
}

function drawCounts(): void {
	if (!counted) return;
	counts.show(counted, choice);
	const option = (value: string, text: string) => element("option", { attributes: { value } }, text);
	fill(
		kinds,
		...countRows(counted)
			.filter(({ reason }) => reason === undefined)
			.map((row) => option(row.kind ?? "", `${countRowText(row)} (${row.count.toLocaleString("en-US")})`)),
	);
	kinds.value = choice.kinds?.[0] ?? "";
}

const events = new EventList(host, {
	label: "VM events, newest first",
	columns: [
		{ title: "#", class: "column-number" },
		{ title: "Instructions", class: "column-time" },
		{ title: "Event", class: "column-kind" },
		{ title: "Reason", class: "column-reason" },
		{ title: "Instruction", class: "column-place" },
		{ title: "Detail", class: "column-detail" },
	],
	render: (event) => [
		String(event.sequence),
		event.instructionCount.toLocaleString("en-US"),
		kindTitle(event.kind),
		event.reason,
		placeText(event),
		fieldsText(event.detail),
	],
	onSelect: showDetail,
	onOpen: jump,
	expected: ({ kinds: [kind] = [], reason }) =>
		counted && countRows(counted).find((row) => row.kind === kind && row.reason === reason)?.count,
	onStatus: (text) => {
		status.textContent = text;
	},
});

function jump({ instruction }: EventInfo): void {
	if (instruction !== undefined) host.act({ action: "showInstruction", address: instruction });
}

function showDetail(event: EventInfo): void {
	const { instruction } = event;
	fill(
		detail,
		element("h2", {}, `${kindTitle(event.kind)}: ${event.reason}`),
		instruction !== undefined &&
			element(
				"div",
				{ class: "bar" },
				element("span", { class: "mono" }, event.symbol ? `${instruction} ${event.symbol}` : instruction),
				button("Go to Instruction", () => jump(event), "Its source line, or the disassembly (Enter in the list)"),
				button("Disassemble", () => host.act({ action: "disassemble", address: instruction })),
				button("Walk", () => host.act({ action: "walkAddress", address: instruction }), "Through the page tables"),
				button("Break Here", () => host.act({ action: "toggleBreakpoint", address: instruction })),
			),
		event.detail.length > 0 && fieldList(event.detail),
	);
}

async function refresh(): Promise<void> {
	try {
		counted = await host.request("hyperscope/eventCounts", undefined);
		drawCounts();
	} catch (error) {
		status.textContent = errorText(error);
	}
	await events.refresh(choice);
}

runView(host, {
	subject: "what happened to its guest",
	content: element(
		"main",
		{ class: "content" },
		element("div", { class: "bar" }, kinds, status),
		element(
			"div",
			{ class: "columns" },
			element("section", { class: "side", attributes: { "aria-label": "Counts" } }, counts.element),
			element("section", { class: "main", attributes: { "aria-label": "Events" } }, events.element, detail),
		),
	),
	lacks: ({ shows, technique }) =>
		shows?.events === false ? `The technique "${technique}" does not record events: choose another "vmm".` : undefined,
	refresh: () => void refresh(),
});

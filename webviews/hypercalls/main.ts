// The hypercall log: what a paravirtualized guest asked of the VMM, arguments decoded.
import type { EventField, EventInfo } from "../../debug-adapter/protocol.ts";
import { button, element, fill, select } from "../shared/element.ts";
import { EventList } from "../shared/event-list.ts";
import { fieldList, fieldsText, placeText } from "../shared/event-text.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, runView } from "../shared/machine-view.ts";
import "../shared/style.css";
import "./hypercalls.css";

const host = new HostConnection();
let name = host.saved<{ name: string }>({ name: "" }).name;

/** Fields that have columns of their own. */
const own = ["domain", "result"];
const field = (event: EventInfo, wanted: string): string =>
	event.detail.find((one) => one.name === wanted)?.value ?? "";
const others = (event: EventInfo): EventField[] => event.detail.filter((one) => !own.includes(one.name));

const status = element("p", { class: "status", attributes: { role: "status" } });
const detail = element("section", {
	class: "detail",
	attributes: { "aria-label": "The chosen hypercall", tabindex: "0" },
});
const names = select("Hypercall", [], "", (chosen) => {
	name = chosen;
	host.save({ name });
	void read();
});
const calls = new EventList(host, {
	label: "Hypercalls, newest first",
	columns: [
		{ title: "#", class: "column-number" },
		{ title: "Instructions", class: "column-time" },
		{ title: "Domain", class: "column-domain" },
		{ title: "Hypercall", class: "column-name" },
		{ title: "Arguments", class: "column-detail" },
		{ title: "Result", class: "column-result" },
		{ title: "Caller", class: "column-place" },
	],
	render: (event) => [
		String(event.sequence),
		event.instructionCount.toLocaleString("en-US"),
		field(event, "domain"),
		event.reason,
		fieldsText(others(event)),
		field(event, "result"),
		placeText(event),
	],
	onSelect: showDetail,
	onOpen: jump,
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
		element("h2", {}, event.reason),
		instruction !== undefined &&
			element(
				"div",
				{ class: "bar" },
				element("span", { class: "mono" }, event.symbol ? `${instruction} ${event.symbol}` : instruction),
				button("Go to Caller", () => jump(event), "Its source line, or the disassembly (Enter in the list)"),
				button("Break Here", () => host.act({ action: "toggleBreakpoint", address: instruction })),
			),
		fieldList(event.detail),
	);
}

async function read(): Promise<void> {
	await calls.refresh({ kinds: ["hypercall"], ...(name ? { reason: name } : {}) });
}

async function refresh(): Promise<void> {
	try {
		const { counts } = await host.request("hyperscope/eventCounts", undefined);
		const known = counts.filter(({ kind }) => kind === "hypercall");
		const total = known.reduce((sum, { count }) => sum + count, 0);
		if (!known.some(({ reason }) => reason === name)) name = "";
		const option = (value: string, text: string) => element("option", { attributes: { value } }, text);
		fill(
			names,
			option("", `All hypercalls (${total.toLocaleString("en-US")})`),
			...known.map(({ reason, count }) => option(reason, `${reason} (${count.toLocaleString("en-US")})`)),
		);
		names.value = name;
	} catch (error) {
		status.textContent = errorText(error);
	}
	await read();
}

runView(host, {
	subject: "its hypercalls",
	content: element(
		"main",
		{ class: "content" },
		element("div", { class: "bar" }, names, status),
		element("section", { class: "main", attributes: { "aria-label": "Hypercalls" } }, calls.element, detail),
	),
	lacks: ({ technique }) =>
		technique === "pv"
			? undefined
			: `A guest under "vmm": "${technique}" makes no hypercalls. Set "vmm": "pv" in launch.json and start a paravirtualized guest.`,
	refresh: () => void refresh(),
});

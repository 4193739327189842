// The memory view: bytes of any address space around an expression, what changed since the stop before, and a place to write.
import type { MemoryBody } from "../../debug-adapter/protocol.ts";
import type { ViewState } from "../messages.ts";
import { addressContext, button, element, input, select } from "../shared/element.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, initialState, runView } from "../shared/machine-view.ts";
import "../shared/style.css";
import { VirtualList } from "../shared/virtual-list.ts";
import "./memory.css";
import {
	asciiText,
	type Byte,
	type MemoryRow,
	memoryRows,
	readings,
	typedBytes,
	type UnitSize,
	unitTexts,
	unitValue,
} from "./memory-rows.ts";

interface Choices {
	/** An expression; it is evaluated anew at each stop, so that "esp" follows the stack. */
	readonly address: string;
	readonly unit: UnitSize;
}

/** What is shown when nothing was typed. Every processor answers to this name of the register. */
const stackPointer = "rsp";
/** Bytes read at first and each time that one of the ends is reached. */
const piece = 4096;
const most = 65_536;

const host = new HostConnection();
let choices: Choices = host.saved<Choices>({ address: "", unit: 1 });
let state: ViewState = initialState;
let body: MemoryBody | undefined;
/** Bytes before and after the address that are read. */
let before = 0;
let after = piece;
/** The unit of the selected row. */
let column = 0;
let reading = 0;
/** Bytes by address, at this stop and at the one before. */
let now = new Map<bigint, Byte>();
let earlier = new Map<bigint, Byte>();
let place = "";
/** A narrow panel has shorter rows, so that text and symbols stay in sight. */
const narrow = matchMedia("(max-width: 860px)");
const rowLength = () => (narrow.matches ? 8 : 16);

function choose(part: Partial<Choices>): void {
	choices = { ...choices, ...part };
	host.save(choices);
}

const address = input("Address", "address, symbol, register, gpa:0x…, hpa:0x…", choices.address, () => goTyped());
const unit = select(
	"Size of a unit",
	[
		{ value: "1", text: "bytes" },
		{ value: "2", text: "16 bits" },
		{ value: "4", text: "32 bits" },
		{ value: "8", text: "64 bits" },
	],
	String(choices.unit),
	(value) => {
		const size = Number(value) as UnitSize;
		column = Math.floor((column * choices.unit) / size);
		choose({ unit: size });
		setWidth();
		list.setRows(list.rows, (row) => row === list.selected);
		showSelection();
	},
);
const status = element("span", { class: "dim", attributes: { role: "status" } });
const list = new VirtualList<MemoryRow>({
	label: "Memory",
	rowHeight: 22,
	columns: [
		{ title: "Address", class: "column-address" },
		{ title: "Memory", class: "column-units" },
		{ title: "Text", class: "column-text" },
		{ title: "Symbols", class: "column-note" },
	],
	render: (row) => [reference(row.address), units(row), asciiText(row.bytes), row.note],
	describe: (row) => ({
		spoken: `${reference(row.address)}: ${unitTexts(row.bytes, choices.unit).join(" ")}${row.note ? `, ${row.note}` : ""}`,
		address: reference(row.address),
	}),
	onSelect: () => showSelection(),
	onOpen: () => value.focus(),
	onNearEnd: () => void readOn(),
});
const where = element("span", { class: "mono" });
const value = input("New value", "new value", "", (text) => write(text));
const meanings = element("span", { class: "dim mono readings" });
const selection = element(
	"div",
	{ class: "bar selection", attributes: { "aria-label": "Selected unit", role: "group" } },
	where,
	value,
	button("Write", () => write(value.value), "Write the value into the guest's memory"),
	meanings,
);
const content = element(
	"main",
	{ class: "content" },
	element(
		"div",
		{ class: "bar" },
		address,
		button("Go", () => goTyped(), "Show the memory there; a register is followed from stop to stop"),
		unit,
		button("Earlier", () => void readBefore(), "Read 4 KiB before what is shown", "secondary"),
		button("Follow", () => follow(), "Go to where the selected word points", "secondary"),
		status,
	),
	list.element,
	selection,
);

/** An address of the space that is shown, in the prefix grammar. */
function reference(linear: bigint): string {
	const prefix = body ? body.address.slice(0, body.address.lastIndexOf(":") + 1) : "";
	return `${prefix}0x${linear.toString(16).padStart((body?.wordSize ?? 4) * 2, "0")}`;
}

function units(row: MemoryRow): HTMLElement {
	const selected = row === list.selected;
	const { unit: size } = choices;
	return element(
		"span",
		{},
		...unitTexts(row.bytes, size).map((text, index) => {
			const at = row.address + BigInt(index * size);
			const changed = isChanged(at, size);
			return element(
				"span",
				{
					class: `unit ${changed ? "changed" : ""} ${selected && index === column ? "chosen" : ""}`,
					title: changed ? `${reference(at)}, changed since the stop before` : reference(at),
					attributes: { "data-unit": String(index), ...addressContext(reference(at)) },
				},
				text,
			);
		}),
	);
}

function isChanged(at: bigint, size: number): boolean {
	for (let index = 0n; index < BigInt(size); index++) {
		const old = earlier.get(at + index);
		if (old !== undefined && now.get(at + index) !== undefined && old !== now.get(at + index)) return true;
	}
	return false;
}

/** Two digits for each byte, and the room beside each unit. */
function setWidth(): void {
	const length = rowLength();
	list.element.style.setProperty("--units", `${length * 2 + length / choices.unit}ch`);
}

/** The address of the chosen unit. */
function chosen(): { readonly row: MemoryRow; readonly at: bigint; readonly offset: number } | undefined {
	const row = list.selected;
	const offset = column * choices.unit;
	return row && { row, at: row.address + BigInt(offset), offset };
}

function showSelection(): void {
	const unitThere = chosen();
	selection.hidden = unitThere === undefined;
	if (!unitThere) return;
	const { row, at, offset } = unitThere;
	where.textContent = reference(at);
	const bytes = Array.from({ length: 8 }, (_, index) => now.get(at + BigInt(index)));
	const [text] = unitTexts(row.bytes.slice(offset, offset + choices.unit), choices.unit);
	value.value = text === undefined || text.startsWith("?") ? "" : `0x${text}`;
	meanings.textContent = readings(bytes)
		.map((one) => `${one.name}: ${one.text}`)
		.join("   ");
	// Which unit is chosen is part of the rows.
	list.reveal(row);
}

function write(text: string): void {
	const unitThere = chosen();
	if (!unitThere) return;
	try {
		const bytes = typedBytes(text, choices.unit);
		host.act({ action: "writeMemory", address: reference(unitThere.at), data: btoa(String.fromCharCode(...bytes)) });
		status.className = "dim";
	} catch (error) {
		status.className = "error";
		status.textContent = errorText(error);
	}
}

/** The word at the chosen place, as an address of the same space. */
function follow(): void {
	const unitThere = chosen();
	if (!unitThere || !body) return;
	const word = BigInt(body.wordSize);
	const at = unitThere.at - (unitThere.at % word);
	const target = unitValue(Array.from({ length: body.wordSize }, (_, index) => now.get(at + BigInt(index))));
	if (target !== undefined) go(reference(target));
}

function go(asked: string): void {
	address.value = asked;
	before = 0;
	after = piece;
	column = 0;
	choose({ address: asked });
	void read(true);
}

function goTyped(): void {
	go(address.value.trim());
}

async function readOn(): Promise<void> {
	if (!body || before + after >= most || body.count < before + after) return;
	after = Math.min(after + piece, most - before);
	await read(false);
}

async function readBefore(): Promise<void> {
	before = Math.min(before + piece, most - after);
	await read(false);
}

async function read(anew: boolean): Promise<void> {
	const { thread } = state;
	if (!thread) return;
	const asked = ++reading;
	try {
		const values = {
			threadId: thread.id,
			address: choices.address || stackPointer,
			offset: -before,
			count: before + after,
		};
		const found = await host.request("hyperscope/memory", values);
		if (asked !== reading) return;
		show(found, anew);
	} catch (error) {
		if (asked !== reading) return;
		body = undefined;
		list.setRows([]);
		selection.hidden = true;
		status.className = "error";
		status.textContent = errorText(error);
	}
}

function show(found: MemoryBody, anew: boolean): void {
	body = found;
	const rows = memoryRows(found, rowLength());
	if (place !== found.space) earlier = new Map();
	place = found.space;
	now = new Map(rows.flatMap((row) => row.bytes.map((byte, index) => [row.address + BigInt(index), byte] as const)));
	const kept = chosen()?.at;
	const target = BigInt(found.address.slice(found.address.lastIndexOf(":") + 1));
	const at = anew || kept === undefined ? target : kept;
	const wanted = at - (at % BigInt(rowLength()));
	column = Math.floor(Number(at % BigInt(rowLength())) / choices.unit);
	const readable = found.parts.length > 0;
	status.className = readable ? "dim" : "error";
	status.textContent = readable ? found.address : `Memory at ${found.address} cannot be read.`;
	setWidth();
	list.setRows(readable ? rows : [], (row) => row.address === wanted);
	showSelection();
}

list.element.addEventListener("click", (event) => {
	const cell = (event.target as Element).closest<HTMLElement>("[data-unit]");
	if (!cell) return;
	column = Number(cell.dataset.unit);
	showSelection();
});
list.element.addEventListener("keydown", (event) => {
	const last = rowLength() / choices.unit - 1;
	if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
		event.preventDefault();
		column = Math.max(0, Math.min(last, column + (event.key === "ArrowLeft" ? -1 : 1)));
		showSelection();
	} else if (/^[0-9a-f]$/i.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey && chosen()) {
		// A digit begins a new value.
		event.preventDefault();
		value.value = `0x${event.key}`;
		value.focus();
	}
});

narrow.addEventListener("change", () => {
	if (body) show(body, false);
});

runView(host, {
	subject: "its memory",
	content,
	lacks: () => undefined,
	refresh: (next) => {
		state = next;
		earlier = now;
		void read(body === undefined);
	},
	show: go,
});

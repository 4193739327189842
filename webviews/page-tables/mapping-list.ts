// The merged mappings of one table, read in pieces, with filters and search.
import type { MappingInfo, MappingsBody } from "../../debug-adapter/protocol.ts";
import { element, fill, input, select, toggle } from "../shared/element.ts";
import type { HostConnection } from "../shared/host.ts";
import { VirtualList } from "../shared/virtual-list.ts";
import { allMappings, changedMappings, type MappingChoices, mappingQuery, sizeText } from "./mapping-filter.ts";
import { tableTitle } from "./walk-view.ts";

/** Mappings asked for at a time. */
const piece = 1024;
/** A guest can make its tables map far more than anyone reads; the search finds what lies behind. */
const most = 65536;

export interface MappingListChoices {
	readonly table: string;
	readonly mappings: MappingChoices;
}

function rights(mapping: MappingInfo): string {
	// The heading of the column says what each letter means.
	const letters = [
		mapping.user ? "U" : "K",
		mapping.writable ? "W" : "-",
		mapping.executable ? "X" : "-",
		mapping.global ? "G" : "-",
		mapping.accessed ? "A" : "-",
		mapping.dirty ? "D" : "-",
	];
	return letters.join("");
}

function spoken(mapping: MappingInfo, changed: boolean): string {
	return [
		`${mapping.start} to ${mapping.end}`,
		`at ${mapping.target}`,
		mapping.user ? "user" : "kernel",
		mapping.writable ? "writable" : "read-only",
		mapping.executable ? "executable" : "not executable",
		changed ? "changed" : "",
	]
		.filter(Boolean)
		.join(", ");
}

export class MappingList {
	readonly element: HTMLElement;
	readonly #host: HostConnection;
	readonly #list: VirtualList<MappingInfo>;
	readonly #status = element("span", { class: "dim", attributes: { role: "status" } });
	readonly #tables = select("Table", [], "", (table) => this.#choose({ table }));
	readonly #onChoice: (choices: MappingListChoices) => void;
	#choices: MappingListChoices;
	#threadId: number | undefined;
	/** One more with each new reading; answers to an older one are dropped. */
	#reading = 0;
	#all: MappingInfo[] = [];
	#changed = new Set<MappingInfo>();
	/** Complete, unfiltered lists by table: those of this stop, and those of the stop before. */
	#now = new Map<string, readonly MappingInfo[]>();
	#before = new Map<string, readonly MappingInfo[]>();

	constructor(
		host: HostConnection,
		choices: MappingListChoices,
		onChoice: (choices: MappingListChoices) => void,
		onWalk: (address: string) => void,
	) {
		this.#host = host;
		this.#choices = choices;
		this.#onChoice = onChoice;
		this.#list = new VirtualList<MappingInfo>({
			label: "Mappings",
			rowHeight: 22,
			columns: [
				{ title: "Address range", class: "column-range" },
				{
					title: "Rights",
					class: "column-rights",
					help: "User or kernel, Writable, eXecutable, Global, Accessed, Dirty",
				},
				{ title: "Physical", class: "column-target" },
				{ title: "Size", class: "column-size" },
				{ title: "Page", class: "column-size" },
			],
			render: (mapping) => [
				`${mapping.start}–${mapping.end}`,
				rights(mapping),
				mapping.target,
				sizeText(BigInt(mapping.end) - BigInt(mapping.start)),
				sizeText(BigInt(mapping.pageSize)),
			],
			describe: (mapping) => {
				const changed = this.#changed.has(mapping);
				const both = mapping.writable && mapping.executable;
				return {
					class: `${changed ? "changed" : ""} ${both ? "both" : ""}`,
					spoken: spoken(mapping, changed),
					address: mapping.start,
				};
			},
			onSelect: (mapping) => onWalk(mapping.start),
		});
		this.element = element(
			"section",
			{ class: "mappings", attributes: { "aria-label": "Mappings" } },
			this.#bar(),
			this.#list.element,
		);
	}

	/** Another thread or another stop: everything is read anew. */
	async refresh(threadId: number): Promise<void> {
		this.#threadId = threadId;
		if (this.#now.size > 0) {
			this.#before = this.#now;
			this.#now = new Map();
		}
		try {
			const { tables } = await this.#host.request("hyperscope/tables", { threadId });
			const table = tables.includes(this.#choices.table) ? this.#choices.table : (tables[0] ?? "");
			this.#choices = { ...this.#choices, table };
			fill(this.#tables, ...tables.map((name) => element("option", { attributes: { value: name } }, tableTitle(name))));
			this.#tables.value = table;
			if (table === "") this.#show([], "Paging is off: linear addresses are physical addresses.");
			else await this.#read();
		} catch (error) {
			this.#show([], (error as Error).message);
		}
	}

	#bar(): HTMLElement {
		const { mappings } = this.#choices;
		const flag = (name: "writable" | "executable" | "large" | "changed", text: string, title: string) =>
			toggle(text, title, mappings[name], (pressed) => this.#filter({ [name]: pressed }));
		return element(
			"div",
			{ class: "bar" },
			element("h2", {}, "Mappings"),
			this.#tables,
			select(
				"Privilege",
				[
					{ value: "any", text: "kernel and user" },
					{ value: "kernel", text: "kernel" },
					{ value: "user", text: "user" },
				],
				mappings.privilege,
				(privilege) => this.#filter({ privilege: privilege as MappingChoices["privilege"] }),
			),
			flag("writable", "W", "Only writable pages; together with X: pages that are both"),
			flag("executable", "X", "Only executable pages"),
			flag("large", "Large", "Only pages larger than 4 KiB"),
			flag("changed", "Changed", "Only what differs from the stop before"),
			input("Search mappings", "address, gpa:0x…, or from..to", mappings.search, (search) => this.#filter({ search })),
			this.#status,
		);
	}

	#filter(part: Partial<MappingChoices>): void {
		this.#choose({ mappings: { ...this.#choices.mappings, ...part } });
	}

	#choose(part: Partial<MappingListChoices>): void {
		this.#choices = { ...this.#choices, ...part };
		this.#onChoice(this.#choices);
		void this.#read();
	}

	async #read(): Promise<void> {
		const reading = ++this.#reading;
		if (this.#threadId === undefined) return;
		const { table, mappings: choices } = this.#choices;
		this.#all = [];
		try {
			const { filter, from, to } = mappingQuery(choices);
			let next: string | undefined = from;
			while (next !== undefined && this.#all.length < most) {
				const body: MappingsBody = await this.#host.request("hyperscope/mappings", {
					threadId: this.#threadId,
					table,
					from: next,
					limit: piece,
					filter,
				});
				if (reading !== this.#reading) return;
				this.#all.push(...body.mappings.filter(({ start }) => to === undefined || BigInt(start) < to));
				const last = body.mappings.at(-1);
				next = last && to !== undefined && BigInt(last.end) >= to ? undefined : body.next;
				this.#draw(next !== undefined);
			}
			const unfiltered = JSON.stringify({ ...choices, changed: false }) === JSON.stringify(allMappings);
			if (unfiltered && next === undefined) this.#now.set(table, this.#all);
		} catch (error) {
			if (reading === this.#reading) this.#show([], (error as Error).message);
		}
	}

	#draw(more: boolean): void {
		const before = this.#before.get(this.#choices.table);
		this.#changed = before ? changedMappings(before, this.#all) : new Set();
		const onlyChanged = this.#choices.mappings.changed;
		const shown = onlyChanged ? this.#all.filter((mapping) => this.#changed.has(mapping)) : this.#all;
		const count = `${shown.length}${more ? "+" : ""} ${shown.length === 1 ? "mapping" : "mappings"}`;
		if (onlyChanged && !before) this.#show([], "Nothing to compare with yet: step or continue to the next stop.");
		else this.#show(shown, shown.length === 0 ? "No mapping fits." : count);
	}

	#show(mappings: readonly MappingInfo[], status: string): void {
		const start = this.#list.selected?.start;
		this.#list.setRows(mappings, (mapping) => mapping.start === start);
		this.#status.textContent = status;
	}
}

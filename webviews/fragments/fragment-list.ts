// The list of translated fragments, read in pieces, in order of translation.
import type { FragmentSummary, FragmentsBody } from "../../debug-adapter/protocol.ts";
import { element, input, toggle } from "../shared/element.ts";
import type { HostConnection } from "../shared/host.ts";
import { VirtualList } from "../shared/virtual-list.ts";

/** Fragments asked for at a time. */
const piece = 1024;

export interface FragmentListChoices {
	readonly search: string;
	readonly validOnly: boolean;
}

/** How many exits of each state, in words: "1 chained, 2 continuations". */
export function exitsText(fragment: FragmentSummary): string {
	const count = (state: string) => fragment.exits.filter((exit) => exit.state === state).length;
	const parts: [number, string][] = [
		[count("continuation"), "continuation"],
		[count("chained"), "chained"],
		[count("linked"), "linked"],
		[count("elided"), "elided"],
		[count("lookup"), "lookup"],
	];
	return parts
		.filter(([number]) => number > 0)
		.map(([number, word]) => `${number} ${word}${word === "continuation" && number > 1 ? "s" : ""}`)
		.join(", ");
}

export class FragmentList {
	readonly element: HTMLElement;
	readonly #host: HostConnection;
	readonly #list: VirtualList<FragmentSummary>;
	readonly #onChoice: (choices: FragmentListChoices) => void;
	readonly #onRead: (body: FragmentsBody) => void;
	readonly #status = element("span", { class: "dim", attributes: { role: "status" } });
	#choices: FragmentListChoices;
	#fragments: FragmentSummary[] = [];
	#total = 0;
	#reading = 0;
	#busy = false;

	constructor(
		host: HostConnection,
		choices: FragmentListChoices,
		on: {
			choose(choices: FragmentListChoices): void;
			select(fragment: FragmentSummary): void;
			read(body: FragmentsBody): void;
		},
	) {
		this.#host = host;
		this.#choices = choices;
		this.#onChoice = on.choose;
		this.#onRead = on.read;
		this.#list = new VirtualList<FragmentSummary>({
			label: "Fragments, in order of translation",
			rowHeight: 22,
			columns: [
				{ title: "#", class: "column-id" },
				{ title: "Guest code", class: "column-guest" },
				{ title: "Instr.", class: "column-count", help: "Guest instructions" },
				{
					title: "Entries",
					class: "column-count",
					help: "How often the VMM dispatched to it; chained entries are not counted",
				},
				{ title: "Exits", class: "column-exits" },
			],
			render: (fragment) => [
				String(fragment.id),
				fragment.symbol ? `${fragment.guestStart} ${fragment.symbol}` : fragment.guestStart,
				String(fragment.instructions),
				String(fragment.entries),
				exitsText(fragment),
			],
			describe: (fragment) => ({
				class: fragment.valid ? "" : "invalid",
				address: fragment.guestStart,
				spoken: [
					`fragment ${fragment.id}`,
					fragment.symbol ?? "",
					fragment.guestStart,
					`${fragment.instructions} ${fragment.instructions === 1 ? "instruction" : "instructions"}`,
					`${fragment.entries} ${fragment.entries === 1 ? "entry" : "entries"}`,
					exitsText(fragment),
					fragment.valid ? "" : "invalidated",
				]
					.filter(Boolean)
					.join(", "),
			}),
			onSelect: on.select,
			onNearEnd: () => void this.#readOn(),
		});
		this.element = element(
			"section",
			{ class: "fragment-list", attributes: { "aria-label": "Fragments" } },
			element(
				"div",
				{ class: "bar" },
				input("Search fragments", "address or symbol", choices.search, (search) => this.#choose({ search })),
				toggle("Valid only", "Leave out fragments that were invalidated", choices.validOnly, (validOnly) =>
					this.#choose({ validOnly }),
				),
				this.#status,
			),
			this.#list.element,
		);
	}

	/** Reads anew from the start, as many as were shown. */
	async refresh(): Promise<void> {
		const reading = ++this.#reading;
		const wanted = Math.max(piece, this.#fragments.length);
		const fragments: FragmentSummary[] = [];
		this.#busy = true;
		try {
			let body: FragmentsBody;
			do {
				body = await this.#request(fragments.length);
				if (reading !== this.#reading) return;
				fragments.push(...body.fragments);
			} while (fragments.length < Math.min(wanted, body.total) && body.fragments.length > 0);
			this.#total = body.total;
			this.#onRead(body);
			this.#show(fragments);
		} catch (error) {
			if (reading !== this.#reading) return;
			this.#total = 0;
			this.#show([]);
			this.#status.textContent = (error as Error).message;
		} finally {
			if (reading === this.#reading) this.#busy = false;
		}
	}

	/** Marks the fragment that is shown beside the list. */
	reveal(id: number): void {
		const row = this.#fragments.find((fragment) => fragment.id === id);
		if (row) this.#list.reveal(row);
	}

	#choose(part: Partial<FragmentListChoices>): void {
		this.#choices = { ...this.#choices, ...part };
		this.#onChoice(this.#choices);
		this.#fragments = [];
		void this.refresh();
	}

	#request(start: number): Promise<FragmentsBody> {
		const { search, validOnly } = this.#choices;
		return this.#host.request("hyperscope/fragments", {
			start,
			count: piece,
			validOnly,
			...(search ? { search } : {}),
		});
	}

	async #readOn(): Promise<void> {
		if (this.#busy || this.#fragments.length >= this.#total) return;
		const reading = this.#reading;
		this.#busy = true;
		try {
			const body = await this.#request(this.#fragments.length);
			if (reading !== this.#reading) return;
			this.#total = body.fragments.length === 0 ? this.#fragments.length : body.total;
			this.#show([...this.#fragments, ...body.fragments]);
		} catch (error) {
			this.#status.textContent = (error as Error).message;
		} finally {
			if (reading === this.#reading) this.#busy = false;
		}
	}

	#show(fragments: FragmentSummary[]): void {
		const selected = this.#list.selected?.id;
		this.#fragments = fragments;
		this.#status.textContent =
			this.#total === 0 ? "No fragment fits." : this.#total === 1 ? "1 fragment" : `${this.#total} fragments`;
		this.#list.setRows(fragments, (fragment) => fragment.id === selected);
	}
}

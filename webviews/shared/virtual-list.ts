// A list of rows of equal height of which only those in view exist, so that a hundred thousand rows cost nothing.
// By keyboard it is one stop: arrows, Page Up/Down, Home and End move, Enter opens (WAI-ARIA listbox pattern).
import { addressContext, element } from "./element.ts";

export interface VirtualListOptions<Row> {
	readonly label: string;
	/** CSS pixels. */
	readonly rowHeight: number;
	/** Names of the columns, for the heading row, and what the mouse is told there. */
	readonly columns: readonly { readonly title: string; readonly class: string; readonly help?: string }[];
	/** Cells of one row, in the order of the columns. */
	render(row: Row): readonly (Node | string)[];
	/** Classes and spoken text of a row, and the address that its menu is for. */
	describe?(row: Row): { class?: string; spoken?: string; address?: string };
	/** Another row was chosen. */
	onSelect?(row: Row): void;
	/** Enter or double click. */
	onOpen?(row: Row): void;
	/** The last rows are in view and more may be there. */
	onNearEnd?(): void;
}

let lists = 0;

export class VirtualList<Row> {
	readonly element: HTMLElement;
	readonly #options: VirtualListOptions<Row>;
	readonly #viewport: HTMLElement;
	readonly #spacer: HTMLElement;
	readonly #name = `list-${++lists}`;
	#rows: readonly Row[] = [];
	#selected = -1;
	/** After End the selection stays on the last row while more rows arrive. */
	#followsEnd = false;

	constructor(options: VirtualListOptions<Row>) {
		this.#options = options;
		const heading = element("div", { class: "list-heading", attributes: { "aria-hidden": "true" } });
		for (const column of options.columns)
			heading.append(element("span", { class: column.class, title: column.help }, column.title));
		this.#spacer = element("div", { class: "list-spacer" });
		this.#viewport = element(
			"div",
			{ class: "list-viewport", attributes: { role: "listbox", tabindex: "0", "aria-label": options.label } },
			this.#spacer,
		);
		this.element = element("div", { class: "list" }, heading, this.#viewport);
		this.#viewport.addEventListener("scroll", () => this.#draw());
		this.#viewport.addEventListener("wheel", () => (this.#followsEnd = false), { passive: true });
		this.#viewport.addEventListener("keydown", (event) => this.#key(event));
		this.#viewport.addEventListener("copy", (event) => this.#copy(event));
		new ResizeObserver(() => this.#draw()).observe(this.#viewport);
	}

	get rows(): readonly Row[] {
		return this.#rows;
	}

	get selected(): Row | undefined {
		return this.#rows[this.#selected];
	}

	/** Shows other rows; the selection stays on the row for which `same` holds, if any. */
	setRows(rows: readonly Row[], same?: (row: Row) => boolean): void {
		this.#followsEnd &&= rows.length > this.#rows.length;
		this.#rows = rows;
		this.#selected = same ? rows.findIndex(same) : Math.min(this.#selected, rows.length - 1);
		this.#spacer.style.height = `${rows.length * this.#options.rowHeight}px`;
		// No taller than its rows need, with the heading: what lies below moves up.
		this.element.style.maxHeight = `${Math.max(2, rows.length) * this.#options.rowHeight + 30}px`;
		if (this.#followsEnd && rows.length > 0) this.#select(rows.length - 1);
		else this.#draw();
	}

	/** Selects a row and scrolls to it; does not call `onSelect`. */
	reveal(row: Row): void {
		const index = this.#rows.indexOf(row);
		if (index < 0) return;
		this.#selected = index;
		this.#scrollTo(index);
		this.#draw();
	}

	#select(index: number): void {
		const to = Math.max(0, Math.min(index, this.#rows.length - 1));
		const row = this.#rows[to];
		if (row === undefined) return;
		this.#selected = to;
		this.#scrollTo(to);
		this.#draw();
		this.#options.onSelect?.(row);
	}

	#scrollTo(index: number): void {
		const { rowHeight } = this.#options;
		const view = this.#viewport;
		if (index * rowHeight < view.scrollTop) view.scrollTop = index * rowHeight;
		else if ((index + 1) * rowHeight > view.scrollTop + view.clientHeight)
			view.scrollTop = (index + 1) * rowHeight - view.clientHeight;
	}

	#key(event: KeyboardEvent): void {
		const page = Math.max(1, Math.floor(this.#viewport.clientHeight / this.#options.rowHeight) - 1);
		const steps: Record<string, number> = {
			ArrowDown: this.#selected + 1,
			ArrowUp: this.#selected - 1,
			PageDown: this.#selected + page,
			PageUp: this.#selected - page,
			Home: 0,
			End: this.#rows.length - 1,
		};
		const to = steps[event.key];
		if (to !== undefined) {
			event.preventDefault();
			this.#followsEnd = event.key === "End";
			this.#select(to);
		} else if (event.key === "Enter" && this.selected !== undefined) this.#options.onOpen?.(this.selected);
	}

	/** Without a selection of text, what is copied is the chosen row: its cells with tabs between them. */
	#copy(event: ClipboardEvent): void {
		const row = this.selected;
		if (row === undefined || !event.clipboardData || getSelection()?.toString()) return;
		const cells = this.#options.render(row).map((cell) => (typeof cell === "string" ? cell : (cell.textContent ?? "")));
		event.clipboardData.setData("text/plain", cells.join("\t"));
		event.preventDefault();
	}

	#draw(): void {
		const { rowHeight } = this.#options;
		const first = Math.max(0, Math.floor(this.#viewport.scrollTop / rowHeight) - 4);
		const last = Math.min(
			this.#rows.length,
			Math.ceil((this.#viewport.scrollTop + this.#viewport.clientHeight) / rowHeight) + 4,
		);
		const drawn: HTMLElement[] = [];
		for (let index = first; index < last; index++) drawn.push(this.#drawRow(index));
		this.#spacer.replaceChildren(...drawn);
		if (this.#selected >= first && this.#selected < last)
			this.#viewport.setAttribute("aria-activedescendant", `${this.#name}-${this.#selected}`);
		else this.#viewport.removeAttribute("aria-activedescendant");
		if (last === this.#rows.length && this.#rows.length > 0) this.#options.onNearEnd?.();
	}

	#drawRow(index: number): HTMLElement {
		const row = this.#rows[index]!;
		const { columns, describe, rowHeight } = this.#options;
		const about = describe?.(row) ?? {};
		const made = element("div", {
			class: `list-row ${about.class ?? ""} ${index === this.#selected ? "selected" : ""}`,
			attributes: {
				id: `${this.#name}-${index}`,
				role: "option",
				"aria-selected": String(index === this.#selected),
				"aria-posinset": String(index + 1),
				"aria-setsize": String(this.#rows.length),
				...(about.spoken ? { "aria-label": about.spoken } : {}),
				...(about.address ? addressContext(about.address) : {}),
			},
			onClick: () => {
				this.#followsEnd = false;
				this.#select(index);
			},
		});
		made.style.top = `${index * rowHeight}px`;
		made.style.height = `${rowHeight}px`;
		made.addEventListener("dblclick", () => this.#options.onOpen?.(row));
		this.#options.render(row).forEach((cell, column) => {
			// A cell that is cut off tells the rest when the mouse rests on it.
			const title = typeof cell === "string" ? cell : undefined;
			made.append(element("span", { class: columns[column]!.class, title }, cell));
		});
		return made;
	}
}

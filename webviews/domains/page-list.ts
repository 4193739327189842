// The pages of a domain, read in pieces.
import type { DomainPagesBody } from "../../debug-adapter/protocol.ts";
import { element, fill, select } from "../shared/element.ts";
import type { HostConnection } from "../shared/host.ts";
import { errorText } from "../shared/machine-view.ts";
import { VirtualList } from "../shared/virtual-list.ts";

type PageInfo = DomainPagesBody["pages"][number];
const piece = 1024;

export class PageList {
	readonly element: HTMLElement;
	readonly #host: HostConnection;
	readonly #status = element("span", { class: "dim", attributes: { role: "status" } });
	readonly #types = select("Page type", [], "", (type) => void this.show(this.#domain, this.#known, type));
	readonly #list: VirtualList<PageInfo>;
	#domain = 0;
	#known: readonly string[] = [];
	#type = "";
	#pages: PageInfo[] = [];
	#next: string | undefined;
	#reading = 0;
	#busy = false;

	constructor(host: HostConnection) {
		this.#host = host;
		this.#list = new VirtualList<PageInfo>({
			label: "Pages",
			rowHeight: 22,
			columns: [
				{ title: "Page", class: "column-number" },
				{ title: "Machine frame", class: "column-frame" },
				{ title: "Type", class: "column-type" },
				{ title: "Type count", class: "column-number" },
				{ title: "References", class: "column-number" },
				{ title: "", class: "column-pinned" },
			],
			render: ({ page, frame, type, typeCount, referenceCount, pinned }) => [
				page,
				frame,
				type,
				String(typeCount),
				String(referenceCount),
				pinned ? "pinned" : "",
			],
			onNearEnd: () => void this.#read(false),
		});
		this.element = element(
			"section",
			{ class: "pages", attributes: { "aria-label": "Pages" } },
			element("div", { class: "bar" }, element("h2", {}, "Pages"), this.#types, this.#status),
			this.#list.element,
		);
	}

	/** Shows the pages of one type, or of all with an empty one. */
	show(domain: number, types: readonly string[], type = types.includes(this.#type) ? this.#type : ""): Promise<void> {
		this.#domain = domain;
		this.#known = types;
		this.#type = type;
		const option = (value: string, text: string) => element("option", { attributes: { value } }, text);
		fill(this.#types, option("", "all types"), ...types.map((name) => option(name, name)));
		this.#types.value = type;
		return this.#read(true);
	}

	async #read(anew: boolean): Promise<void> {
		if (!anew && (this.#busy || this.#next === undefined)) return;
		const reading = anew ? ++this.#reading : this.#reading;
		this.#busy = true;
		try {
			const body = await this.#host.request("hyperscope/domainPages", {
				domain: this.#domain,
				limit: piece,
				...(this.#type ? { type: this.#type } : {}),
				...(anew ? {} : { from: this.#next! }),
			});
			if (reading !== this.#reading) return;
			this.#pages = anew ? [...body.pages] : [...this.#pages, ...body.pages];
			this.#next = body.next;
			this.#list.setRows(this.#pages);
			const count = `${this.#pages.length}${body.next === undefined ? "" : "+"}`;
			this.#status.textContent =
				this.#pages.length === 0 ? "No page fits." : `${count} ${count === "1" ? "page" : "pages"}`;
		} catch (error) {
			if (reading !== this.#reading) return;
			this.#list.setRows([]);
			this.#status.textContent = errorText(error);
		} finally {
			if (reading === this.#reading) this.#busy = false;
		}
	}
}

// A list of VM events, newest first, read in pieces as it is scrolled.
import type { EventInfo, EventKind, EventsBody } from "../../debug-adapter/protocol.ts";
import type { HostConnection } from "./host.ts";
import { errorText } from "./machine-view.ts";
import { VirtualList, type VirtualListOptions } from "./virtual-list.ts";

/** Events asked for at a time. */
const piece = 512;

export interface EventChoice {
	readonly kinds?: readonly EventKind[];
	readonly reason?: string;
}

export interface EventListOptions {
	readonly label: string;
	readonly columns: VirtualListOptions<EventInfo>["columns"];
	render(event: EventInfo): readonly string[];
	onSelect(event: EventInfo): void;
	/** Enter or double click. */
	onOpen(event: EventInfo): void;
	/** What is shown now: "12 of 4711 events", or why nothing is. */
	onStatus(text: string): void;
}

export class EventList {
	readonly #host: HostConnection;
	readonly #options: EventListOptions;
	readonly #list: VirtualList<EventInfo>;
	#choice: EventChoice = {};
	#events: EventInfo[] = [];
	#next: number | undefined;
	#total = 0;
	/** One more with each new reading; answers to an older one are dropped. */
	#reading = 0;
	#busy = false;

	constructor(host: HostConnection, options: EventListOptions) {
		this.#host = host;
		this.#options = options;
		this.#list = new VirtualList<EventInfo>({
			label: options.label,
			rowHeight: 22,
			columns: options.columns,
			render: (event) => options.render(event),
			describe: (event) => ({ class: `event-${event.kind}`, spoken: options.render(event).filter(Boolean).join(", ") }),
			onSelect: (event) => options.onSelect(event),
			onOpen: (event) => options.onOpen(event),
			onNearEnd: () => void this.#read(false),
		});
	}

	get element(): HTMLElement {
		return this.#list.element;
	}

	get events(): readonly EventInfo[] {
		return this.#events;
	}

	/** Reads the newest events of a choice. */
	refresh(choice: EventChoice = this.#choice): Promise<void> {
		this.#choice = choice;
		return this.#read(true);
	}

	async #read(anew: boolean): Promise<void> {
		if (!anew && (this.#busy || this.#next === undefined)) return;
		const reading = anew ? ++this.#reading : this.#reading;
		this.#busy = true;
		try {
			const body: EventsBody = await this.#host.request("hyperscope/events", {
				...this.#choice,
				limit: piece,
				...(anew ? {} : { before: this.#next! }),
			});
			if (reading !== this.#reading) return;
			this.#events = anew ? [...body.events] : [...this.#events, ...body.events];
			this.#next = body.next;
			this.#total = body.total;
			this.#show();
		} catch (error) {
			if (reading !== this.#reading) return;
			this.#events = [];
			this.#next = undefined;
			this.#list.setRows([]);
			this.#options.onStatus(errorText(error));
		} finally {
			if (reading === this.#reading) this.#busy = false;
		}
	}

	#show(): void {
		const selected = this.#list.selected?.sequence;
		this.#list.setRows(this.#events, (event) => event.sequence === selected);
		const count = `${this.#events.length}${this.#next === undefined ? "" : "+"}`;
		this.#options.onStatus(
			this.#events.length === 0
				? `No event fits, of ${this.#total} since power-on.`
				: `${count} of ${this.#total} events since power-on, newest first`,
		);
	}
}

// A list of VM events, newest first, read in pieces as it is scrolled.
import type { EventInfo, EventKind, EventsBody } from "../../debug-adapter/protocol.ts";
import type { HostConnection } from "./host.ts";
import { errorText } from "./machine-view.ts";
import { VirtualList, type VirtualListOptions } from "./virtual-list.ts";

/** Events asked for at a time: few at first, so that they are there at once. */
const firstPiece = 512;
const piece = 1024;

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
	/** How many events fit the choice, those that are not kept any more included; undefined when that is not known. */
	expected?(choice: EventChoice): number | undefined;
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
			describe: (event) => ({
				class: `event-${event.kind}`,
				spoken: options.render(event).filter(Boolean).join(", "),
				...(event.instruction === undefined ? {} : { address: event.instruction }),
			}),
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
				limit: anew ? firstPiece : piece,
				...(anew ? {} : { before: this.#next! }),
			});
			if (reading !== this.#reading) return;
			this.#events = anew ? [...body.events] : [...this.#events, ...body.events];
			this.#next = body.next;
			this.#total = body.total;
			// Before the rows are shown: a list that stands at its end asks for more at once.
			this.#busy = false;
			this.#show();
		} catch (error) {
			if (reading !== this.#reading) return;
			this.#busy = false;
			this.#events = [];
			this.#next = undefined;
			this.#list.setRows([]);
			this.#options.onStatus(errorText(error));
		}
	}

	#show(): void {
		const selected = this.#list.selected?.sequence;
		this.#list.setRows(this.#events, (event) => event.sequence === selected);
		const number = (value: number) => value.toLocaleString("en-US");
		const { length } = this.#events;
		const isAll = this.#next === undefined;
		const dropped = isAll ? (this.#options.expected?.(this.#choice) ?? length) - length : 0;
		this.#options.onStatus(
			length === 0
				? `No event fits, of ${number(this.#total)} since power-on.`
				: `${number(length)}${isAll ? "" : "+"} of ${number(this.#total)} events since power-on, newest first${
						dropped > 0 ? `; ${number(dropped)} older ones are counted, but not kept` : ""
					}`,
		);
	}
}

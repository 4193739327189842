// Events counted by kind and reason: choosing a row filters the timeline.
import type { EventCountsBody, EventKind } from "../../debug-adapter/protocol.ts";
import type { EventChoice } from "../shared/event-list.ts";
import { kindTitle } from "../shared/event-text.ts";
import { VirtualList } from "../shared/virtual-list.ts";

export interface CountRow {
	readonly kind?: EventKind;
	readonly reason?: string;
	readonly count: number;
}

/** All events, then each kind with its reasons below it; the most frequent first. */
export function countRows({ total, counts }: EventCountsBody): CountRow[] {
	const kinds = new Map<EventKind, CountRow[]>();
	for (const { kind, reason, count } of counts) {
		const rows = kinds.get(kind) ?? [];
		rows.push({ kind, reason, count });
		kinds.set(kind, rows);
	}
	const sum = (rows: readonly CountRow[]) => rows.reduce((all, row) => all + row.count, 0);
	const sorted = [...kinds].sort(([, a], [, b]) => sum(b) - sum(a));
	return [{ count: total }, ...sorted.flatMap(([kind, rows]) => [{ kind, count: sum(rows) }, ...rows])];
}

export function countRowText({ kind, reason }: CountRow): string {
	if (reason !== undefined) return reason;
	return kind === undefined ? "All events" : kindTitle(kind);
}

const same = (a: CountRow, b: EventChoice) => a.kind === b.kinds?.[0] && a.reason === b.reason;

export class CountList {
	readonly #list: VirtualList<CountRow>;

	constructor(onChoose: (choice: EventChoice) => void) {
		this.#list = new VirtualList<CountRow>({
			label: "Events by kind and reason",
			rowHeight: 22,
			columns: [
				{ title: "Kind and reason", class: "column-reason" },
				{ title: "Count", class: "column-count" },
			],
			render: (row) => [countRowText(row), row.count.toLocaleString("en-US")],
			describe: (row) => ({
				class: row.reason === undefined ? "kind" : "reason",
				spoken: `${row.kind && row.reason !== undefined ? `${kindTitle(row.kind)} ` : ""}${countRowText(row)}, ${row.count}`,
			}),
			onSelect: ({ kind, reason }) =>
				onChoose({ ...(kind ? { kinds: [kind] } : {}), ...(reason === undefined ? {} : { reason }) }),
		});
	}

	get element(): HTMLElement {
		return this.#list.element;
	}

	show(body: EventCountsBody, choice: EventChoice): void {
		this.#list.setRows(countRows(body), (row) => same(row, choice));
	}
}

// How full the hash table is by which the VMM finds a fragment, and how its entries lie.
import type { HashTableBody } from "../../debug-adapter/protocol.ts";
import { element } from "../shared/element.ts";

/** Cells of the strip; each stands for a run of buckets. */
const cells = 64;

/** Used buckets in each run of buckets, the runs being of equal length. */
export function occupancy(body: HashTableBody, runs: number): number[] {
	const counts = new Array<number>(runs).fill(0);
	if (body.size <= 0) return counts;
	for (const { index } of body.buckets) {
		const run = Math.floor((index / body.size) * runs);
		if (run >= 0 && run < runs) counts[run]!++;
	}
	return counts;
}

export function hashTableView(body: HashTableBody): HTMLElement {
	const share = body.size > 0 ? (100 * body.used) / body.size : 0;
	const perCell = Math.max(1, Math.ceil(body.size / cells));
	const text = `Hash table: ${body.used} of ${body.size} buckets used (${share.toFixed(1)} %)`;
	return element(
		"div",
		{ class: "hash", attributes: { role: "img", "aria-label": text } },
		element("span", {}, text),
		element(
			"span",
			{ class: "hash-strip" },
			...occupancy(body, cells).map((count, index) => {
				const cell = element("span", { class: "hash-cell", title: `buckets from ${index * perCell}: ${count} used` });
				// Four steps are told apart by height, so that they do not rest on colour alone.
				cell.dataset.level = String(count === 0 ? 0 : Math.min(4, 1 + Math.floor((4 * count) / perCell)));
				return cell;
			}),
		),
	);
}

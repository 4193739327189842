// One address walked through every table that takes part, side by side: the guest's first, then what virtualization adds.
import type { PageWalkBody, WalkInfo, WalkStepInfo } from "../../debug-adapter/protocol.ts";
import { addressContext, element } from "../shared/element.ts";
import { sizeText } from "./mapping-filter.ts";

const titles: Readonly<Record<string, string>> = {
	guest: "Guest page tables",
	shadow: "Shadow page tables",
	host: "Host page tables",
	ept: "Extended page tables",
	iommu: "IOMMU tables",
};

export function tableTitle(table: string): string {
	return titles[table] ?? table;
}

/** An address with the editor's menu for addresses. */
function place(address: string, title: string): HTMLElement {
	return element("span", { class: "mono place", title, attributes: addressContext(address) }, address);
}

function stepItem(step: WalkStepInfo): HTMLElement {
	const failed = step.failure !== undefined;
	return element(
		"li",
		{ class: failed ? "step failed" : "step" },
		element(
			"div",
			{ class: "step-line" },
			element("strong", {}, step.level),
			element("span", { class: "dim" }, `[${step.index}]`),
			place(step.entryAddress, "Where the entry lies"),
		),
		element(
			"div",
			{ class: "step-line", attributes: { "aria-label": "The entry, and its bits that are set" } },
			element("span", { class: "mono entry", title: "The entry" }, step.entry),
			...step.flags.map((flag) => element("span", { class: "tag" }, flag)),
		),
		failed && element("div", { class: "error" }, `The walk fails here: ${step.failure}`),
	);
}

/** One table's walk. */
export function walkColumn(walk: WalkInfo): HTMLElement {
	const { result } = walk;
	const rights = result && [
		result.user ? "user" : "kernel only",
		result.writable ? "writable" : "read-only",
		result.executable ? "executable" : "not executable",
	];
	return element(
		"section",
		{ class: "walk", attributes: { "aria-label": tableTitle(walk.table), "data-table": walk.table } },
		element("h2", {}, tableTitle(walk.table)),
		walk.steps.length === 0
			? element(
					"p",
					{ class: "dim" },
					walk.table === "iommu" ? "No step: the request is not translated." : "No step: paging is off.",
				)
			: element("ol", { class: "steps" }, ...walk.steps.map(stepItem)),
		result
			? element(
					"p",
					{ class: "result" },
					"→ ",
					place(result.address, "Where the address leads"),
					` (${sizeText(BigInt(result.pageSize))} page, ${rights!.join(", ")})`,
				)
			: element("p", { class: "result error" }, "→ not mapped for this access"),
	);
}

/** The columns for one address. */
export function walkColumns(body: PageWalkBody): HTMLElement {
	return element(
		"div",
		{ class: "walks", attributes: { "aria-live": "polite" } },
		element(
			"p",
			{ class: "walked" },
			"Linear address ",
			place(body.linear, "The address that is walked"),
			body.symbol !== undefined && element("span", { class: "dim mono" }, ` ${body.symbol}`),
		),
		element("div", { class: "walk-columns" }, ...body.walks.map(walkColumn)),
	);
}

// One domain: memory, page types, event channels, grants.
import type { DomainInfo } from "../../debug-adapter/protocol.ts";
import { element, link } from "../shared/element.ts";
import { fieldList } from "../shared/event-text.ts";

type Cell = HTMLElement | string;

/** A table with a heading; a sentence in its place when it has no row. */
export function table(
	title: string,
	columns: readonly string[],
	rows: readonly (readonly Cell[])[],
	none: string,
): HTMLElement {
	if (rows.length === 0)
		return element(
			"section",
			{ attributes: { "aria-label": title } },
			element("h2", {}, title),
			element("p", { class: "dim" }, none),
		);
	const head = columns.map((name) => element("th", { attributes: { scope: "col" } }, name));
	return element(
		"section",
		{ attributes: { "aria-label": title } },
		element("h2", {}, title),
		element(
			"table",
			{ class: "table" },
			element("thead", {}, element("tr", {}, ...head)),
			element(
				"tbody",
				{},
				...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", { class: "mono" }, cell)))),
			),
		),
	);
}

/** "1,024 pages of at most 2,048 (4 MiB of 8 MiB)" */
export function memoryText({ pages, maximumPages }: DomainInfo): string {
	const number = (value: number) => value.toLocaleString("en-US");
	const size = (value: number) => (value % 256 === 0 ? `${number(value / 256)} MiB` : `${number(value * 4)} KiB`);
	return `${number(pages)} pages of at most ${number(maximumPages)} (${size(pages)} of ${size(maximumPages)})`;
}

export function domainDetail(domain: DomainInfo, onType: (type: string) => void): HTMLElement {
	return element(
		"div",
		{ attributes: { "data-domain": String(domain.id) } },
		element("h2", {}, `Domain ${domain.id}: ${domain.name}`),
		element("p", {}, `${domain.state}; ${memoryText(domain)}`),
		domain.detail.length > 0 ? fieldList(domain.detail) : "",
		table(
			"Page types",
			["Type", "Pages", "Pinned"],
			domain.pageTypes.map(({ type, pages, pinned }) => [
				link(type, `Show the pages of type ${type}`, () => onType(type)),
				String(pages),
				String(pinned),
			]),
			"No page has a type.",
		),
		table(
			"Event channels",
			["Port", "Kind", "Target", "Pending", "Masked"],
			domain.eventChannels.map(({ port, kind, target, pending, masked }) => [
				String(port),
				kind,
				target,
				pending ? "pending" : "",
				masked ? "masked" : "",
			]),
			"No event channel is open.",
		),
		table(
			"Grants",
			["Reference", "To domain", "Frame", "Access", "Mapped"],
			domain.grants.map(({ reference, domain: to, frame, writable, mapped }) => [
				String(reference),
				String(to),
				frame,
				writable ? "read and write" : "read",
				String(mapped),
			]),
			"Nothing is granted.",
		),
	);
}

// The domains view: what the VMM keeps of each paravirtualized guest.
import type { DomainInfo } from "../../debug-adapter/protocol.ts";
import { element, fill } from "../shared/element.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, runView } from "../shared/machine-view.ts";
import "../shared/style.css";
import { VirtualList } from "../shared/virtual-list.ts";
import { domainDetail } from "./domain-detail.ts";
import "./domains.css";
import { PageList } from "./page-list.ts";

const host = new HostConnection();
let chosen = host.saved<{ domain: number }>({ domain: 0 }).domain;

const status = element("p", { class: "status", attributes: { role: "status" } });
const detail = element("div", {
	class: "scroll",
	attributes: { tabindex: "0", role: "region", "aria-label": "Domain" },
});
const pages = new PageList(host);
const list = new VirtualList<DomainInfo>({
	label: "Domains",
	rowHeight: 22,
	columns: [
		{ title: "Id", class: "column-id" },
		{ title: "Name", class: "column-name" },
		{ title: "State", class: "column-state" },
	],
	render: ({ id, name, state }) => [String(id), name, state],
	onSelect: (domain) => {
		chosen = domain.id;
		host.save({ domain: chosen });
		show(domain);
	},
});

function show(domain: DomainInfo): void {
	const types = domain.pageTypes.map(({ type }) => type);
	fill(
		detail,
		domainDetail(domain, (type) => void pages.show(domain.id, types, type)),
	);
	void pages.show(domain.id, types);
}

async function refresh(): Promise<void> {
	try {
		const { domains } = await host.request("hyperscope/domains", undefined);
		const domain = domains.find(({ id }) => id === chosen) ?? domains[0];
		status.textContent = domains.length === 1 ? "1 domain" : `${domains.length} domains`;
		list.setRows(domains, ({ id }) => id === domain?.id);
		if (domain) show(domain);
	} catch (error) {
		status.textContent = errorText(error);
		list.setRows([]);
		fill(detail);
	}
}

runView(host, {
	subject: "its domains",
	content: element(
		"main",
		{ class: "content" },
		status,
		element(
			"div",
			{ class: "columns" },
			element("section", { class: "side", attributes: { "aria-label": "Domains" } }, list.element),
			element("section", { class: "main" }, detail, pages.element),
		),
	),
	lacks: ({ shows, technique }) =>
		shows?.domains === false
			? `There are no domains under "vmm": "${technique}". Set "vmm": "pv" in launch.json and start a paravirtualized guest.`
			: undefined,
	refresh: () => void refresh(),
});

// The IOMMU view: from a device to its domain, its tables and an address; the last faults.
import type { IommuInfo } from "../../debug-adapter/protocol.ts";
import { walkColumn } from "../page-tables/walk-view.ts";
import { button, element, fill, input, select, toggle } from "../shared/element.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, runView } from "../shared/machine-view.ts";
import "../page-tables/page-tables.css";
import "../shared/style.css";
import { VirtualList } from "../shared/virtual-list.ts";
import "./iommu.css";

type DeviceInfo = IommuInfo["devices"][number];
type FaultInfo = IommuInfo["faults"][number];

interface Choices {
	readonly unit: number;
	readonly source: string;
	/** The device address that is walked, as it was typed. */
	readonly address: string;
	readonly write: boolean;
}

const host = new HostConnection();
let choices = host.saved<Choices>({ unit: 0, source: "", address: "0x0", write: false });
let units: readonly IommuInfo[] = [];
let walking = 0;

const status = element("p", { class: "status", attributes: { role: "status" } });
const unitSelect = select("Remapping unit", [], "0", (unit) => {
	choose({ unit: Number(unit), source: "" });
	draw();
});
const address = input("Device address", "device address, Enter", choices.address, (text) => {
	choose({ address: text });
	void walk();
});
const write = toggle("Write", "Check the walk for a write instead of a read", choices.write, (pressed) => {
	choose({ write: pressed });
	void walk();
});
const walkPlace = element("div", {
	class: "scroll",
	attributes: { tabindex: "0", role: "region", "aria-label": "Walk" },
});

const devices = new VirtualList<DeviceInfo>({
	label: "Devices",
	rowHeight: 22,
	columns: [
		{ title: "Device", class: "column-source" },
		{ title: "Name", class: "column-name" },
		{ title: "Domain", class: "column-domain" },
		{ title: "Levels", class: "column-domain" },
		{ title: "Tables", class: "column-address" },
		{ title: "Requests", class: "column-treatment" },
	],
	render: ({ source, name, domain, levels, table, treatment }) => [
		source,
		name,
		domain === undefined ? "" : String(domain),
		levels === undefined ? "" : String(levels),
		table === undefined ? "" : `hpa:${table}`,
		treatment,
	],
	describe: ({ treatment }) => ({ class: treatment.startsWith("blocked") ? "blocked" : "" }),
	onSelect: ({ source }) => {
		choose({ source });
		void walk();
	},
});

const faults = new VirtualList<FaultInfo>({
	label: "Last faults, newest first",
	rowHeight: 22,
	columns: [
		{ title: "Instructions", class: "column-time" },
		{ title: "Device", class: "column-source" },
		{ title: "Access", class: "column-access" },
		{ title: "Device address", class: "column-address" },
		{ title: "Reason", class: "column-treatment" },
	],
	render: ({ instructionCount, source, access, address: at, reason, meaning }) => [
		instructionCount.toLocaleString("en-US"),
		source,
		access,
		at,
		`${reason}: ${meaning}`,
	],
	onSelect: ({ source, address: at, access }) => {
		choose({ source, address: at, write: access === "write" });
		address.value = at;
		write.setAttribute("aria-pressed", String(choices.write));
		devices.setRows(devices.rows, (device) => device.source === source);
		void walk();
	},
});
const faultPlace = element("section", { class: "faults", attributes: { "aria-label": "Faults" } });

function choose(part: Partial<Choices>): void {
	choices = { ...choices, ...part };
	host.save(choices);
}

async function walk(): Promise<void> {
	const asked = ++walking;
	if (choices.source === "") {
		fill(walkPlace, element("p", { class: "dim" }, "Choose a device to walk an address through its tables."));
		return;
	}
	try {
		const { unit, source, write: isWrite } = choices;
		const text = choices.address || "0x0";
		const body = await host.request("hyperscope/iommuWalk", { unit, source, address: text, write: isWrite });
		if (asked !== walking) return;
		fill(
			walkPlace,
			element("p", { class: "walked" }, "Device ", source, ", address ", element("span", { class: "mono" }, text)),
			walkColumn(body.walk),
		);
		// The level that fails, or the address at the end, is what was asked for.
		(walkPlace.querySelector(".failed") ?? walkPlace.querySelector(".result"))?.scrollIntoView({ block: "nearest" });
	} catch (error) {
		if (asked === walking)
			fill(walkPlace, element("p", { class: "error", attributes: { role: "alert" } }, errorText(error)));
	}
}

function draw(): void {
	const option = (value: number, text: string) => element("option", { attributes: { value: String(value) } }, text);
	fill(unitSelect, ...units.map(({ name }, index) => option(index, name)));
	const unit = units[choices.unit] ?? units[0];
	if (!unit) return;
	unitSelect.value = String(units.indexOf(unit));
	const root = unit.rootTable === undefined ? "no root table" : `root table hpa:${unit.rootTable}`;
	status.textContent = `Translation ${unit.enabled ? "on" : "off"}, ${root}; ${unit.translated.toLocaleString("en-US")} requests translated, ${unit.blocked.toLocaleString("en-US")} stopped`;
	const source = unit.devices.some((device) => device.source === choices.source)
		? choices.source
		: (unit.devices[0]?.source ?? "");
	choose({ source });
	devices.setRows(unit.devices, (device) => device.source === source);
	faults.setRows(unit.faults, () => false);
	fill(
		faultPlace,
		element("h2", {}, "Last faults"),
		unit.faults.length === 0 ? element("p", { class: "dim" }, "No request was stopped.") : faults.element,
	);
	void walk();
}

async function refresh(): Promise<void> {
	try {
		({ units } = await host.request("hyperscope/iommus", undefined));
		draw();
	} catch (error) {
		status.textContent = errorText(error);
	}
}

runView(host, {
	subject: "its IOMMU",
	content: element(
		"main",
		{ class: "content" },
		element("div", { class: "bar" }, unitSelect, status),
		element("section", { class: "devices", attributes: { "aria-label": "Devices" } }, devices.element),
		element(
			"div",
			{ class: "bar" },
			address,
			write,
			button("Walk", () => {
				choose({ address: address.value.trim() });
				void walk();
			}),
		),
		walkPlace,
		faultPlace,
	),
	lacks: ({ shows }) =>
		shows?.iommu === false
			? 'This machine has no IOMMU. Set "iommu": true in launch.json, with "vmm": "none", or "io": "passthrough".'
			: undefined,
	refresh: () => void refresh(),
});

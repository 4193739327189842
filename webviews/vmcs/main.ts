// The VMCS view: the current VMCS of whichever hypervisor is loaded, by field group.
import type { VmcsBody } from "../../debug-adapter/protocol.ts";
import { element, fill, input, select, toggle } from "../shared/element.ts";
import { message } from "../shared/empty-state.ts";
import { fieldsText } from "../shared/event-text.ts";
import { HostConnection } from "../shared/host.ts";
import { errorText, runView } from "../shared/machine-view.ts";
import "../shared/style.css";
import { allFields, chooseFields, type FieldChoices } from "./field-filter.ts";
import { groupTable } from "./field-table.ts";
import "./vmcs.css";

interface Choices extends FieldChoices {
	/** Names of the groups that are folded. */
	readonly folded: readonly string[];
	/** Host-physical address; empty for the current VMCS. */
	readonly region: string;
}

const host = new HostConnection();
let choices = host.saved<Choices>({ ...allFields, folded: [], region: "" });
let body: VmcsBody | undefined;
let reading = 0;

const status = element("p", { class: "status", attributes: { role: "status" } });
const place = element("div", {
	class: "scroll",
	attributes: { tabindex: "0", role: "region", "aria-label": "Fields" },
});
const regions = select("VMCS region", [], "", (region) => {
	choose({ region });
	void read();
});
const search = input("Search fields", "field or bit name, Enter", choices.search, (text) => choose({ search: text }));
const changedOnly = toggle(
	"Changed only",
	"Fields that the last VM exit, or the hypervisor since, has changed",
	choices.changedOnly,
	(pressed) => choose({ changedOnly: pressed }),
);

function choose(part: Partial<Choices>): void {
	choices = { ...choices, ...part };
	host.save(choices);
	draw();
}

function describe({ launchState, inGuest, lastExit, entryFailure, address }: NonNullable<VmcsBody["vmcs"]>): string {
	const where = inGuest ? "the guest runs (VMX non-root)" : "the hypervisor runs (VMX root)";
	const told = lastExit ? [lastExit.reason, fieldsText(lastExit.detail)].filter((part) => part !== "") : [];
	const exit = told.length > 0 ? `; last VM exit: ${told.join(": ")}` : "";
	const failure = entryFailure ? `; the last VM entry failed: ${entryFailure.field} ${entryFailure.rule}` : "";
	return `VMCS at hpa:${address}, ${launchState}; ${where}${exit}${failure}`;
}

function draw(): void {
	if (!body) return;
	const { vmcs } = body;
	fill(
		regions,
		element("option", { attributes: { value: "" } }, "Current VMCS"),
		...body.regions.map(({ address, current }) =>
			element("option", { attributes: { value: address } }, `hpa:${address}${current ? " (current)" : ""}`),
		),
	);
	regions.value = choices.region;
	if (!vmcs) {
		status.textContent = "";
		fill(
			place,
			message(
				body.enabled
					? "No VMCS is current: the hypervisor has not executed VMPTRLD yet. Continue to a VM entry (exception filter “VM entry”)."
					: "The processor is not in VMX operation: no hypervisor has executed VMXON yet. Continue until one has (exception filter “VM entry”).",
			),
		);
		return;
	}
	status.textContent = describe(vmcs);
	const groups = chooseFields(vmcs.groups, choices);
	const scrolled = place.scrollTop;
	fill(
		place,
		...(groups.length === 0
			? [element("p", { class: "dim" }, "No field fits.")]
			: groups.map((group) =>
					groupTable(group, !choices.folded.includes(group.name), (open) => {
						const others = choices.folded.filter((name) => name !== group.name);
						choices = { ...choices, folded: open ? others : [...others, group.name] };
						host.save(choices);
					}),
				)),
	);
	place.scrollTop = scrolled;
}

async function read(): Promise<void> {
	const asked = ++reading;
	try {
		const answer = await host.request("hyperscope/vmcs", choices.region ? { address: choices.region } : {});
		if (asked !== reading) return;
		body = answer;
		draw();
	} catch (error) {
		if (asked !== reading) return;
		// A region that is gone must not hide the current one for good.
		if (choices.region !== "") {
			choices = { ...choices, region: "" };
			await read();
			return;
		}
		body = undefined;
		status.textContent = "";
		fill(place, element("p", { class: "error", attributes: { role: "alert" } }, errorText(error)));
	}
}

runView(host, {
	subject: "its VMCS",
	content: element(
		"main",
		{ class: "content" },
		element("div", { class: "bar" }, regions, search, changedOnly),
		status,
		place,
	),
	lacks: ({ shows, technique }) =>
		shows?.vmx === false
			? `No VMCS is used under "vmm": "${technique}". Set "vmm": "hvm" in launch.json, or run a hypervisor of your own with "vmm": "none".`
			: undefined,
	refresh: () => void read(),
});

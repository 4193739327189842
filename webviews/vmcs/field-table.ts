// The fields of a VMCS by group: value, what it means, every bit by its name, those that changed marked.
import type { VmcsBody, VmcsFieldInfo } from "../../debug-adapter/protocol.ts";
import { addressContext, element } from "../shared/element.ts";
import { fieldAddress, fieldValue, setBits } from "./field-filter.ts";

type Group = NonNullable<VmcsBody["vmcs"]>["groups"][number];

function bitTable({ bits }: VmcsFieldInfo): HTMLElement {
	return element(
		"table",
		{ class: "table bits" },
		element(
			"tbody",
			{},
			...bits.map(({ name, bit, width, value, meaning }) =>
				element(
					"tr",
					{ class: value === "0x0" ? "dim" : "" },
					element("td", { class: "mono number" }, width === 1 ? String(bit) : `${bit + width - 1}:${bit}`),
					element("td", { class: "mono" }, value),
					element("td", {}, meaning === undefined ? name : `${name}: ${meaning}`),
				),
			),
		),
	);
}

function meaning(field: VmcsFieldInfo): (HTMLElement | string)[] {
	const words = field.meaning ? [`${field.meaning} `] : [];
	if (field.bits.length === 0) return words;
	const set = setBits(field);
	return [
		...words,
		element(
			"details",
			{},
			element(
				"summary",
				{},
				...(set.length === 0
					? [element("span", { class: "dim" }, "no bit set")]
					: set.map((name) => element("span", { class: "tag" }, name))),
			),
			bitTable(field),
		),
	];
}

function row(field: VmcsFieldInfo): HTMLElement {
	const address = fieldAddress(field);
	return element(
		"tr",
		{ class: field.changed ? "changed" : "", attributes: { "data-field": field.name } },
		element(
			"th",
			{ title: `Encoding ${field.encoding}`, attributes: { scope: "row" } },
			field.changed && element("span", { class: "mark", title: "Changed at or after the last VM exit" }, "● "),
			field.name,
			field.changed && element("span", { class: "spoken" }, " (changed)"),
		),
		element("td", { class: "mono dim" }, field.encoding),
		element("td", { class: "mono", attributes: address ? addressContext(address) : {} }, fieldValue(field)),
		element("td", {}, ...meaning(field)),
	);
}

/** One group, which can be folded. */
export function groupTable(group: Group, open: boolean, onToggle: (open: boolean) => void): HTMLElement {
	const changed = group.fields.filter((field) => field.changed).length;
	const made = element(
		"details",
		{ class: "group", attributes: { "data-group": group.name, ...(open ? { open: "" } : {}) } },
		element(
			"summary",
			{},
			element("strong", {}, group.name),
			element(
				"span",
				{ class: "dim" },
				` ${group.fields.length === 1 ? "1 field" : `${group.fields.length} fields`}${changed ? `, ${changed} changed` : ""}`,
			),
		),
		element(
			"table",
			{ class: "table field-table" },
			element(
				"thead",
				{},
				element(
					"tr",
					{},
					...["Field", "Encoding", "Value", "Meaning"].map((title) =>
						element("th", { attributes: { scope: "col" } }, title),
					),
				),
			),
			element("tbody", {}, ...group.fields.map(row)),
		),
	);
	made.addEventListener("toggle", () => onToggle(made.open));
	return made;
}

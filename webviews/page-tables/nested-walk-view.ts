// The two-dimensional walk (SDM Vol. 3C §28.3.2): a row for each level of the guest's tables, in it the references to EPT
// entries that find that table, then the guest's entry; every memory reference numbered in order.
import type { NestedReferenceInfo, NestedWalkBody } from "../../debug-adapter/protocol.ts";
import { addressContext, element } from "../shared/element.ts";

type NestedWalk = NonNullable<NestedWalkBody["walk"]>;

interface Row {
	/** "PML4E", ..., and the page last. */
	readonly name: string;
	readonly ept: NestedReferenceInfo[];
	readonly guest?: NestedReferenceInfo;
}

/** References by the guest level that they serve, in order. */
export function nestedRows({ references }: NestedWalk): Row[] {
	const rows = new Map<string, { name: string; ept: NestedReferenceInfo[]; guest?: NestedReferenceInfo }>();
	for (const reference of references) {
		const row = rows.get(reference.row) ?? { name: reference.row, ept: [] };
		rows.set(reference.row, row);
		if (reference.dimension === "ept") row.ept.push(reference);
		else row.guest = reference;
	}
	return [...rows.values()];
}

function cell(reference: NestedReferenceInfo | undefined): HTMLElement {
	if (!reference) return element("td", { class: "dim" }, "");
	const { number, step, dimension } = reference;
	const failed = step.failure !== undefined;
	return element(
		"td",
		{
			class: `reference ${dimension} ${failed ? "failed" : ""}`,
			title: `${step.level}[${step.index}] at ${step.entryAddress}: ${step.flags.join(" ") || "no flag set"}`,
			attributes: { "data-reference": String(number) },
		},
		element("div", {}, element("span", { class: "tag" }, String(number)), `${step.level}[${step.index}]`),
		element("div", { class: "mono dim", attributes: addressContext(step.entryAddress) }, step.entryAddress),
		element("div", { class: "mono" }, step.entry),
		element("div", { class: "dim" }, step.flags.join(" ")),
		failed && element("div", { class: "error" }, step.failure),
	);
}

function outcome({ guestPhysical, hostPhysical, failure, references }: NestedWalk): string {
	const count = `${references.length} memory reference${references.length === 1 ? "" : "s"}`;
	if (failure !== undefined) return `${count}; the walk fails: ${failure}`;
	return `${count}: guest-physical gpa:${guestPhysical ?? "?"}, host-physical hpa:${hostPhysical ?? "?"}`;
}

/** The table for one address. */
export function nestedWalkTable(walk: NestedWalk): HTMLElement {
	const rows = nestedRows(walk);
	const columns = Math.max(1, ...rows.map(({ ept }) => ept.length));
	const heading = (text: string, span = 1) =>
		element("th", { attributes: { scope: "col", colspan: String(span) } }, text);
	return element(
		"section",
		{ class: "nested", attributes: { "aria-label": "Two-dimensional walk" } },
		element("h2", {}, "Two-dimensional walk"),
		walk.note !== undefined && element("p", { class: "dim note" }, `${walk.note}.`),
		element("p", { class: walk.failure === undefined ? "result" : "result error" }, outcome(walk)),
		element(
			"table",
			{ class: "table" },
			element(
				"thead",
				{},
				element("tr", {}, heading("To find"), heading("EPT entries", columns), heading("Guest entry")),
			),
			element(
				"tbody",
				{},
				...rows.map(({ name, ept, guest }) =>
					element(
						"tr",
						{ attributes: { "data-row": name } },
						element("th", { attributes: { scope: "row" } }, name),
						...Array.from({ length: columns }, (_, index) => cell(ept[index])),
						cell(guest),
					),
				),
			),
		),
	);
}

// The same guest under every technique, side by side, per operation.
import type { CompareBody, ComparedCounts, ComparedTechnique } from "../../debug-adapter/protocol.ts";
import { element } from "../shared/element.ts";

type Measure = keyof ComparedCounts;

export const measures: readonly { readonly id: Measure; readonly title: string }[] = [
	{ id: "cost", title: "Cost" },
	{ id: "instructions", title: "Instructions" },
	{ id: "exits", title: "VM exits" },
	{ id: "callouts", title: "Callouts" },
	{ id: "hypercalls", title: "Hypercalls" },
	{ id: "hiddenFaults", title: "Hidden faults" },
	{ id: "trueFaults", title: "True faults" },
	{ id: "exceptions", title: "Other exceptions" },
	{ id: "traceWrites", title: "Traced writes" },
	{ id: "switches", title: "Switches from user code" },
	{ id: "translations", title: "Translations" },
];

/** Few digits after the point where a count was divided by its repetitions. */
export function numberText(value: number): string {
	const digits = Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : 2;
	return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/** Index of the cheapest technique, when more than one has a value. */
export function cheapest(counts: readonly (ComparedCounts | null)[], measure: Measure): number {
	const values = counts.map((count) => count?.[measure]);
	const known = values.filter((value) => value !== undefined);
	return known.length < 2 || new Set(known).size < 2 ? -1 : values.indexOf(Math.min(...known));
}

function heading(technique: ComparedTechnique): HTMLElement {
	const { name, image, refused, stop, sameOutput } = technique;
	const about = refused ?? (sameOutput === false ? `${stop ?? ""}, other output` : (stop ?? ""));
	return element(
		"th",
		{
			class: `number ${refused ? "not-run " : ""}${refused || sameOutput === false ? "refused" : ""}`,
			title: image === undefined ? about : `${about}. Ran ${image}, the image's paravirtual twin.`,
			attributes: { scope: "col" },
		},
		name,
		element("div", { class: "stop" }, refused ? "not run" : about),
		...(image === undefined ? [] : [element("div", { class: "stop" }, image)]),
	);
}

function cells(counts: readonly (ComparedCounts | null)[], measure: Measure): HTMLElement[] {
	const best = measure === "cost" ? cheapest(counts, measure) : -1;
	return counts.map((count, index) =>
		element(
			"td",
			{
				class: `mono number ${index === best ? "best" : ""}${count === null ? "not-run" : ""}`,
				title: index === best ? "The cheapest" : "",
			},
			count === null ? "–" : numberText(count[measure]),
		),
	);
}

/** One measure: a row an operation. */
export function measureTable(body: CompareBody, measure: Measure): HTMLElement {
	return element(
		"table",
		{ class: "table", attributes: { "data-measure": measure } },
		element(
			"thead",
			{},
			element("tr", {}, element("th", { attributes: { scope: "col" } }, "Operation"), ...body.techniques.map(heading)),
		),
		element(
			"tbody",
			{},
			...body.operations.map(({ name, repetitions, counts }) =>
				element(
					"tr",
					{},
					element("th", { attributes: { scope: "row" } }, repetitions ? `${name} (of ${repetitions})` : name),
					...cells(counts, measure),
				),
			),
		),
	);
}

/** One operation: a row a measure. */
export function operationTable(body: CompareBody, operation: CompareBody["operations"][number]): HTMLElement {
	return element(
		"table",
		{ class: "table", attributes: { "data-operation": operation.name } },
		element(
			"thead",
			{},
			element(
				"tr",
				{},
				element("th", { attributes: { scope: "col" } }, "Per operation"),
				...body.techniques.map(heading),
			),
		),
		element(
			"tbody",
			{},
			...measures.map(({ id, title }) =>
				element("tr", {}, element("th", { attributes: { scope: "row" } }, title), ...cells(operation.counts, id)),
			),
		),
	);
}

/** Why techniques were not run. */
export function refusals({ techniques }: CompareBody): HTMLElement[] {
	return techniques.flatMap(({ name, refused }) =>
		refused === undefined ? [] : [element("p", { class: "dim" }, `${name}: ${refused}`)],
	);
}

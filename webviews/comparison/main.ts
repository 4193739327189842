// The comparison of techniques: what `hyperscope compare` prints, as tables.
import type { CompareBody } from "../../debug-adapter/protocol.ts";
import { button, element, fill, select } from "../shared/element.ts";
import { message } from "../shared/empty-state.ts";
import { HostConnection } from "../shared/host.ts";
import "../shared/style.css";
import { measures, measureTable, operationTable, refusals } from "./comparison-table.ts";
import "./comparison.css";

const host = new HostConnection();
let shown = host.saved<{ shown: string }>({ shown: "measure cost" }).shown;
let result: CompareBody | undefined;
const root = document.getElementById("root")!;
const again = () => button("Compare…", () => host.act({ action: "compare" }), "Choose an image and run it");

function draw(): void {
	if (!result) return;
	const body = result;
	const options = [
		...measures.map(({ id, title }) => ({ value: `measure ${id}`, text: `${title}, all operations` })),
		...body.operations.map(({ name }, index) => ({ value: `operation ${index}`, text: `All counts of ${name}` })),
	];
	if (!options.some(({ value }) => value === shown)) shown = "measure cost";
	const operation = shown.startsWith("operation ") ? body.operations[Number(shown.slice(10))] : undefined;
	const measure = measures.find(({ id }) => shown === `measure ${id}`);
	fill(
		root,
		element(
			"main",
			{ class: "content" },
			element(
				"div",
				{ class: "bar" },
				select("Shown", options, shown, (chosen) => {
					shown = chosen;
					host.save({ shown });
					draw();
				}),
				again(),
				element("span", { class: "mono dim" }, body.program),
			),
			element(
				"div",
				{ class: "scroll", attributes: { tabindex: "0", role: "region", "aria-label": "Comparison" } },
				operation ? operationTable(body, operation) : measureTable(body, measure?.id ?? "cost"),
				...refusals(body),
				element(
					"details",
					{},
					element("summary", {}, "Cost model"),
					...body.costModel.map((line) => element("p", {}, line)),
				),
			),
		),
	);
}

host.onComparison = (told) => {
	if ("result" in told) {
		result = told.result;
		draw();
	} else if ("progress" in told) fill(root, message(told.progress));
	else
		fill(
			root,
			element("p", { class: "error", attributes: { role: "alert" } }, told.refused),
			element("div", {}, again()),
		);
};
host.start(
	() => {
		if (!result && root.childElementCount === 0)
			fill(root, message("Run one guest under every technique that can run it, and compare what each costs.", again()));
	},
	() => {},
);

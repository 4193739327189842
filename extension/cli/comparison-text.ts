// The result of a comparison as text: a table for each operation, a column for each technique that ran.

import { chargedNames } from "../../debug-adapter/compare/cost-model.ts";
import type { CompareBody, ComparedCounts } from "../../debug-adapter/protocol.ts";

const ROWS: readonly (readonly [keyof ComparedCounts, string])[] = [
	...(Object.entries(chargedNames) as [keyof typeof chargedNames, string][]),
	["cost", "cost (cycles of the model)"],
];

/** Few digits after the point, and only where the number is no whole one. */
function numberText(value: number): string {
	return Number.isInteger(value) || value >= 1000 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

function table(rows: readonly (readonly string[])[]): string {
	const widths = rows[0]!.map((_cell, column) => Math.max(...rows.map((row) => row[column]!.length)));
	const lines = rows.map((row) =>
		row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
	);
	return `${lines.join("\n")}\n`;
}

export function comparisonText(result: CompareBody): string {
	const ran = result.techniques.flatMap((technique, index) =>
		technique.refused === undefined ? [{ technique, index }] : [],
	);
	const parts: string[] = [];
	if (ran.length > 0)
		for (const { name, repetitions, counts } of result.operations) {
			const picked = ran.map(({ index }) => counts[index] ?? null);
			const rows = ROWS.filter(([key]) => picked.some((count) => count !== null && count[key] !== 0)).map(
				([key, title]) => [`  ${title}`, ...picked.map((count) => (count === null ? "-" : numberText(count[key])))],
			);
			const title = repetitions ? `${name} (each of ${repetitions})` : name;
			parts.push(table([[title, ...ran.map(({ technique }) => technique.name)], ...rows]));
		}
	const remarks = result.techniques.flatMap(({ name, image, refused, stop, sameOutput }) => {
		if (refused !== undefined) return [`${name}: not run. ${refused}`];
		if (image !== undefined && sameOutput !== false)
			return [`${name}: ran ${image}, the image's paravirtual twin; it ended by ${stop}.`];
		return sameOutput ? [] : [`${name}: its output is not that of the first technique; it ended by ${stop}.`];
	});
	if (remarks.length > 0) parts.push(`${remarks.join("\n")}\n`);
	return parts.join("\n");
}

// The tables of docs/conformance.md: one section for each folder of programs.

export interface Result {
	readonly name: string;
	readonly verdict: "passed" | "failed" | "skipped" | "no end";
	/** Number of PASS lines. */
	readonly passes: number;
	/** What the FAIL lines say. */
	readonly fails: readonly string[];
	readonly skips: number;
	/** What the program's end was, when it did not end by itself. */
	readonly detail: string;
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\t", " ").trim();

export function tableOf(results: readonly Result[]): string {
	const rows = results.map(({ name, verdict, passes, fails, detail }) => {
		const why = fails.length > 0 ? fails.slice(0, 3).join("; ") + (fails.length > 3 ? "; ..." : "") : detail;
		return `| ${cell(name)} | ${verdict} | ${passes} | ${fails.length} | ${verdict === "passed" ? "" : cell(why)} |`;
	});
	return ["| run | verdict | checks passed | failed | what failed |", "| --- | --- | --- | --- | --- |", ...rows].join(
		"\n",
	);
}

/** The page with the text of section `## title` replaced, or the section added at the end. */
export function replaceSection(page: string, title: string, table: string): string {
	const heading = `## ${title}\n`;
	const start = page.indexOf(heading);
	const section = `${heading}\n${table}\n`;
	if (start < 0) return `${page.trimEnd()}\n\n${section}`;
	const next = page.indexOf("\n## ", start);
	return page.slice(0, start) + section + (next < 0 ? "" : page.slice(next));
}

/** Names of the runs that the page says passed. */
export function passedIn(page: string): Set<string> {
	const rows = page.split("\n").map((line) => line.split("|").map((text) => text.trim()));
	return new Set(rows.filter((row) => row[2] === "passed").map((row) => row[1]!));
}

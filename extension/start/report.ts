// What `npm start` prints at the breakpoint: registers, the page walk, the fragments. Plain text, 120 columns at most.
import type {
	FragmentBody,
	FragmentExitInfo,
	FragmentsBody,
	PageWalkBody,
	RegistersBody,
	WalkInfo,
} from "../../debug-adapter/protocol.ts";

/** Rows as columns, each as wide as its widest cell, the last as it comes. */
export function columns(rows: readonly (readonly string[])[], gap = 2): string[] {
	const widths: number[] = [];
	for (const row of rows)
		for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
	return rows.map((row) =>
		row
			.map((cell, index) => cell.padEnd(widths[index]! + gap))
			.join("")
			.trimEnd(),
	);
}

function padded(value: string, width: number): string {
	return value.slice(2).padStart(Math.ceil(width / 4), "0");
}

/** The named groups: four registers a line, those that mean something with their meaning on a line of their own. */
export function registerLines(body: RegistersBody, groups: readonly string[]): string[] {
	const lines: string[] = [];
	for (const group of body.groups) {
		if (!groups.includes(group.id)) continue;
		const plain = group.registers.filter(({ meaning }) => meaning === "");
		const told = group.registers.filter(({ meaning }) => meaning !== "");
		const cells = plain.map(({ name, value, width }) => `${name.padEnd(6)} ${padded(value, width)}`);
		for (let at = 0; at < cells.length; at += 4) lines.push(cells.slice(at, at + 4).join("   "));
		lines.push(...columns(told.map(({ name, value, width, meaning }) => [name, padded(value, width), meaning])));
	}
	return lines;
}

function walkLines(walk: WalkInfo): string[] {
	const steps = walk.steps.map((step, index) => [
		`  ${index + 1}. ${step.level}[${step.index}]`,
		`at ${step.entryAddress}`,
		`= ${step.entry}`,
		step.flags.join(" ") + (step.failure === undefined ? "" : `  fails: ${step.failure}`),
	]);
	const { result } = walk;
	const rights = result && `${result.user ? "user" : "kernel"}, ${result.writable ? "writable" : "read-only"}`;
	const end = result
		? `  -> ${result.address} (page of ${result.pageSize / 1024} KiB, ${rights})`
		: "  -> not mapped for this access";
	return [`${walk.table} tables`, ...columns(steps), end];
}

/** The walk of one address through each table. */
export function pageWalkLines(body: PageWalkBody): string[] {
	const symbol = body.symbol === undefined ? "" : ` (${body.symbol})`;
	return [`linear address ${body.linear}${symbol}`, ...body.walks.flatMap(walkLines)];
}

function exitText(exit: FragmentExitInfo): string {
	const target = exit.symbol ?? exit.guestTarget ?? "looked up";
	const link = exit.fragment === undefined ? "" : ` to fragment ${exit.fragment}`;
	return `[${exit.kind}] ${target}: ${exit.state}${link}`;
}

/** The totals and the last `count` fragments. */
export function fragmentListLines(body: FragmentsBody, count: number): string[] {
	const rows = body.fragments
		.slice(-count)
		.map((fragment) => [
			`  ${fragment.id}`,
			fragment.guestStart,
			fragment.symbol ?? "",
			`${fragment.instructions} instructions`,
			`${fragment.entries} entries`,
			fragment.exits.map(({ kind, state }) => `${kind}: ${state}`).join(", "),
		]);
	const total = `${body.total} fragments in the translation cache ${body.cacheStart} to ${body.cacheEnd}`;
	return [`${total}, ${body.continuationsLeft} continuations left; the last ${rows.length}:`, ...columns(rows)];
}

/** One fragment: guest code beside its translation. */
export function fragmentLines(fragment: FragmentBody): string[] {
	const rows = fragment.lines.flatMap((line) =>
		(line.translated.length > 0 ? line.translated : [undefined]).map((translated, index) => [
			line.current && index === 0 ? "=>" : "  ",
			index === 0 ? line.guest : "",
			index === 0 ? line.guestText : "",
			index === 0 ? line.tag : "",
			translated?.address ?? "",
			translated?.text ?? "",
		]),
	);
	const name = fragment.symbol ?? fragment.guestStart;
	return [
		`fragment ${fragment.id}, ${name}: guest code and what runs in its place`,
		...columns(rows),
		...fragment.exits.map((exit) => `   ${exitText(exit)}`),
	];
}

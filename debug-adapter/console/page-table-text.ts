import type { Mapping, Walk } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, hex, paddedHex } from "../addresses.ts";

/** "4 KiB" */
export function formatSize(bytes: number | bigint): string {
	const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
	let value = BigInt(bytes);
	let unit = 0;
	while (unit < units.length - 1 && value >= 1024n && value % 1024n === 0n) {
		value /= 1024n;
		unit++;
	}
	return `${value} ${units[unit]}`;
}

function rights(result: { writable: boolean; user: boolean; executable: boolean }): string {
	return `${result.user ? "u" : "s"}r${result.writable ? "w" : "-"}${result.executable ? "x" : "-"}`;
}

/** The walks one after the other, their steps numbered, the failing one marked. */
export function formatWalks(walks: readonly Walk[]): string {
	const lines: string[] = [];
	for (const walk of walks) {
		lines.push(`${walk.table} tables, ${hex(walk.linear)}:`);
		walk.steps.forEach((step, index) => {
			const failure = step.failure === undefined ? "" : `  <- fault here: ${step.failure}`;
			lines.push(
				`  ${index + 1}. ${step.level}[${step.index}] at ${formatAddress(step.entryAddress)} = ${paddedHex(step.entry, 32)} ${step.flags.join(" ")}${failure}`,
			);
		});
		lines.push(
			walk.result
				? `  = ${formatAddress(walk.result.address)} ${rights(walk.result)}, page of ${formatSize(walk.result.pageSize)}`
				: "  not mapped",
		);
	}
	return lines.length === 0 ? "No table takes part: paging is off." : lines.join("\n");
}

/** One line for each mapping. */
export function formatMappings(mappings: readonly Mapping[], limit: number): string {
	if (mappings.length === 0) return "Nothing is mapped.";
	const lines = mappings.map((one) => {
		const size = formatSize(one.end - one.start);
		return `${hex(one.start)}-${hex(one.end)} ${rights(one)}${one.global ? "g" : "-"} ${formatAddress(one.target)} ${size}`;
	});
	if (mappings.length >= limit) lines.push(`The first ${limit} mappings; the page-table view shows all.`);
	return lines.join("\n");
}

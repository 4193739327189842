// The generated part of docs/coverage.md: which encodings have a row, and the deviations that the sources name.
// `node --import tsx test/tools/coverage.ts` rewrites it; a test compares.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { instructionSet } from "../../emulator/engine/instruction-set.ts";
import { codesMatching } from "../../emulator/isa/row.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const page = join(root, "docs/coverage.md");
const BEGIN = "<!-- generated: node --import tsx test/tools/coverage.ts -->";
const END = "<!-- end of generated part -->";

/** Encodings that no Intel processor of this kind has: other vendors', pseudo-instructions of the decoder. */
const FOREIGN =
	/^(INVALID|Declare|VEX_|EVEX_|XOP_|MVEX_|KNC_|D3NOW_|Cyrix_|Xcrypt|Montmul|Xsha|Xstore|Ccs_|Via_|Zero_bytes|Bb[01]_|Cpu_|Altinst|Paveb|Paddsiw|Pmagw|Pdistib|Psubsiw|Pmvzb|Pmulhrw_mm|Pmvnzb|Pmvlzb|Pmvgezb|Pmulhriw|Pmachriw|Smint|Dmint|Rdm$|Svdc|Rsdc|Svldt|Rsldt|Svts|Rsts|Rdshr|Wrshr|Ftstp|Frint2|Frichop|Frinear|Storeall|Loadall|Umov|Xbts|Ibts|Cl1invmb|Cmpxchg486|Fndisi|Mov_r32_tr|Mov_tr_r32)/;

function sources(folder: string): string[] {
	return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
		const path = `${folder}/${entry.name}`;
		if (entry.isDirectory()) return sources(path);
		return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts") ? [path] : [];
	});
}

/** "Deviation:" comments with the file they stand in. */
function deviations(): string[] {
	const found: string[] = [];
	for (const path of sources("emulator").sort()) {
		const text = readFileSync(join(root, path), "utf8").replace(/\n\s*(\*|\/\/) ?/g, " ");
		for (const match of text.matchAll(/Deviation: ((?:\([^)]*\)|[^.`(]|`[^`]*`|\.(?=\S))+\.)/g)) {
			found.push(`- \`${path}\`: ${match[1]!.replace(/\s+/g, " ")}`);
		}
	}
	return found;
}

export function generatedPart(): string {
	const { table } = instructionSet();
	const present = new Map<string, number>();
	const absent = new Map<string, number>();
	for (const { code, name } of codesMatching(/./)) {
		if (FOREIGN.test(name)) continue;
		const mnemonic = name.split("_")[0]!.toUpperCase();
		const into = table.get(code) ? present : absent;
		into.set(mnemonic, (into.get(mnemonic) ?? 0) + 1);
	}
	const total = (counts: Map<string, number>) => [...counts.values()].reduce((sum, count) => sum + count, 0);
	const partly = [...absent].filter(([mnemonic]) => present.has(mnemonic));
	const missing = [...absent.keys()].filter((mnemonic) => !present.has(mnemonic)).sort();
	return [
		`## Instructions`,
		"",
		`${total(present)} forms of ${present.size} mnemonics have a row (legacy encodings). The others raise #UD, as on a processor that lacks them:`,
		"",
		missing.join(", ") || "none",
		"",
		...(partly.length > 0
			? [`Only some forms: ${partly.map(([mnemonic, count]) => `${mnemonic} (${count} missing)`).join(", ")}`, ""]
			: []),
		"All VEX and EVEX encodings (AVX and later) raise #UD.",
		"",
		"## Deviations",
		"",
		...deviations(),
	].join("\n");
}

/** The page with its generated part made anew. */
export function coveragePage(current: string): string {
	const [before] = current.split(BEGIN);
	const after = current.split(END)[1] ?? "\n";
	return `${before}${BEGIN}\n\n${generatedPart()}\n\n${END}${after}`;
}

export function currentCoveragePage(): string {
	return readFileSync(page, "utf8");
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url))
	writeFileSync(page, coveragePage(currentCoveragePage()));

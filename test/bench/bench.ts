// `npm run bench`: what the product costs, in one run. Figures of one machine; docs/benchmarks.md keeps some.

import { hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest } from "../tools/debian-guests.ts";
import { measureLatency } from "./debug-latency.ts";
import { measureLoops } from "./engine-loops.ts";

/** Instructions of the boots' beginning: decompression and early start. */
const PREFIX = 1_500_000_000;

console.log("Loops, nanoseconds of processor time per instruction: interpreted, compiled, ratio");
const interpreted = measureLoops("interpreter");
const compiled = measureLoops("compiled");
for (const [index, { name, nanoseconds }] of interpreted.entries()) {
	const fast = compiled[index]!.nanoseconds;
	const figures = [nanoseconds, fast].map((figure) => figure.toFixed(2).padStart(7)).join(" ");
	console.log(`  ${name.padEnd(24)} ${figures}   ×${(nanoseconds / fast).toFixed(1)}`);
}

console.log("Latency on the sample kernel32 under bt, medians in milliseconds");
const { step, views } = await measureLatency();
console.log(`  step by line             ${step.toFixed(1).padStart(7)}`);
console.log(`  stop to all views        ${views.toFixed(1).padStart(7)}`);

console.log(`Debian kernels, first ${PREFIX / 1e6} million instructions, wall clock`);
const rows: [architecture: "i386" | "amd64", vmm: string, engine: string][] = [
	["i386", "none", "compiled"],
	["i386", "none", "interpreter"],
	["i386", "bt", "compiled"],
	["amd64", "none", "compiled"],
	["amd64", "none", "interpreter"],
	["amd64", "hvm", "compiled"],
];
let reference: number | undefined;
for (const [architecture, vmm, engine] of rows) {
	const guest = debianGuest(architecture);
	if (typeof guest === "string") {
		console.log(`  ${architecture} ${vmm}: not measured (${guest})`);
		continue;
	}
	const words = [guest.kernel, "--initrd", guest.initrd, "--memory", "512M", "--append", "console=ttyS0", "--vmm", vmm];
	words.push("--engine", engine);
	const { statistics } = await hyperscopeRun([...words, "--max-instructions", String(PREFIX)], 900);
	reference ??= statistics.mips;
	console.log(
		`  ${`${architecture} ${vmm} ${engine}`.padEnd(28)} ${statistics.mips.toFixed(1).padStart(7)} MIPS   ×${(statistics.mips / reference!).toFixed(2)}`,
	);
}

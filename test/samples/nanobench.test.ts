// The order of techniques in the papers, held to counts and to the cost model, never to time. A pair of which a technique refuses the
// image is not compared.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { compareTechniques } from "../../debug-adapter/compare/compare.ts";
import { measure } from "../../debug-adapter/compare/measured-run.ts";
import type { CompareBody, ComparedCounts } from "../../debug-adapter/protocol.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";

const samples = resolve(fileURLToPath(import.meta.url), "../../../extension/samples");
const OPERATIONS = [
	"syscall",
	"in",
	"cr8wr",
	"call/ret",
	"pgfault",
	"divzero",
	"ptemod",
	"forkwait",
	"fork",
	"mmap",
	"page fault",
];

async function compare(name: string): Promise<CompareBody> {
	const read = (file: string) => new Uint8Array(readFileSync(resolve(samples, name, file)));
	const twin = `${name}-pv.elf`;
	return compareTechniques(
		{
			image: { name, bytes: read(`${name}.elf`) },
			twin: { name: twin, bytes: read(twin) },
			configuration: { memory: 64 << 20 },
			maxInstructions: 100_000_000,
		},
		{ createMachine, progress: () => {}, breathe: async () => {} },
	);
}

for (const name of ["nanobench"])
	describe(name, () => {
		let result: CompareBody;
		before(async () => {
			result = await compare(name);
		});

		/** Undefined where the technique refused the image. */
		function counts(operation: string, technique: string): ComparedCounts | undefined {
			const column = result.techniques.findIndex((one) => one.name === technique);
			assert.notEqual(column, -1, technique);
			if (result.techniques[column]!.refused !== undefined) return undefined;
			const row = result.operations.find((one) => one.name === operation);
			assert.ok(row?.counts[column], `${operation} under ${technique}`);
			return row.counts[column];
		}

		/** Each technique costs less than the next one, of those that ran. */
		function inOrder(operation: string, ...techniques: string[]): void {
			const ran = techniques.filter((technique) => counts(operation, technique) !== undefined);
			for (let i = 1; i < ran.length; i++) {
				const [less, more] = [counts(operation, ran[i - 1]!)!.cost, counts(operation, ran[i]!)!.cost];
				assert.ok(less < more, `${operation}: ${ran[i - 1]} ${less}, ${ran[i]} ${more}`);
			}
		}

		test("says the same and marks every operation under every technique that runs it", () => {
			const expected = readFileSync(resolve(samples, name, "expected.txt"), "latin1");
			assert.match(expected, /SAMPLE DONE/);
			assert.equal(result.techniques[0]!.refused, undefined);
			for (const { name: technique, image, refused, stop, sameOutput } of result.techniques) {
				if (technique === "pv")
					assert.deepEqual(
						{ image, refused, stop, sameOutput },
						{ image: `${name}-pv.elf`, refused: undefined, stop: "poweroff", sameOutput: undefined },
					);
				else if (refused === undefined)
					assert.deepEqual({ technique, stop, sameOutput }, { technique, stop: "debug-exit", sameOutput: true });
				else assert.match(refused, /\.$/, "a sentence");
			}
			const marked = result.operations.map((one) => one.name).slice(1);
			assert.deepEqual([...marked].sort(), [...OPERATIONS].sort());
		});

		test("the paravirtual twin says what its sample expects", async () => {
			const image = {
				name: `${name}-pv.elf`,
				bytes: new Uint8Array(readFileSync(resolve(samples, name, `${name}-pv.elf`))),
			};
			const machine = await createMachine({ memory: 64 << 20, image, vmm: "pv" });
			const run = await measure(machine, undefined, 100_000_000, async () => {});
			assert.equal(run.stop, "poweroff");
			assert.equal(run.output, readFileSync(resolve(samples, `${name}-pv`, "expected.txt"), "latin1"));
			const column = result.techniques.findIndex((one) => one.name === "pv");
			const without = result.operations.filter(({ counts }) => !counts[column]).map((one) => one.name);
			assert.deepEqual(without, ["in", "cr8wr"]);
		});

		test("under none there is nothing but the guest's own faults", () => {
			for (const operation of OPERATIONS) {
				const { exits, callouts, hypercalls, hiddenFaults, traceWrites } = counts(operation, "none")!;
				assert.deepEqual(
					{ operation, exits, callouts, hypercalls, hiddenFaults, traceWrites },
					{ operation, exits: 0, callouts: 0, hypercalls: 0, hiddenFaults: 0, traceWrites: 0 },
				);
			}
			assert.equal(counts("pgfault", "none")!.trueFaults, 1);
			assert.equal(counts("divzero", "none")!.exceptions, 1);
			assert.equal(counts("page fault", "none")!.trueFaults, 1);
		});

		test("binary translation is cheaper than VT-x with shadow tables for ptemod, pgfault and in", () => {
			for (const operation of ["ptemod", "pgfault", "in"]) inOrder(operation, "bt", "hvm + shadow");
		});

		test("VT-x is the cheapest VMM for syscall and call/ret: no exits", () => {
			for (const operation of ["syscall", "call/ret"])
				for (const technique of ["hvm + shadow", "hvm + ept"]) {
					const measured = counts(operation, technique);
					if (!measured) continue;
					assert.ok(measured.exits < 0.05, `${operation} under ${technique}: ${measured.exits} exits`);
					inOrder(operation, technique, "bt");
				}
		});

		test("EPT removes the exits of ptemod and of page faults", () => {
			for (const operation of ["ptemod", "pgfault", "page fault", "forkwait"]) {
				const ept = counts(operation, "hvm + ept");
				const shadow = counts(operation, "hvm + shadow");
				if (ept) assert.ok(ept.exits < 0.5, `${operation} under EPT: ${ept.exits} exits`);
				if (ept && shadow) assert.ok(ept.exits < shadow.exits, operation);
			}
		});

		test("fork, mmap and page fault: native, then Xen, then shadow tables", () => {
			for (const operation of ["fork", "mmap", "page fault"])
				for (const shadowing of ["bt", "hvm + shadow"]) inOrder(operation, "none", "pv", shadowing);
		});
	});

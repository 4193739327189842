// The same guest under every technique that can run it, side by side.

import { type MachineConfiguration, MachineError, type NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { CreateMachine } from "../launch/launch-requests.ts";
import type { CompareBody, ComparedCounts, ComparedTechnique } from "../protocol.ts";
import { type Charged, type CostModel, costModel, costOf, describeModel, type Tally } from "./cost-model.ts";
import { type MeasuredRun, measure } from "./measured-run.ts";
import { findMarkers } from "./operations.ts";

const TECHNIQUES: readonly Pick<ComparedTechnique, "name" | "vmm" | "mmu">[] = [
	{ name: "none", vmm: "none" },
	{ name: "trap", vmm: "trap", mmu: "shadow" },
	{ name: "bt", vmm: "bt", mmu: "shadow" },
	{ name: "hvm + shadow", vmm: "hvm", mmu: "shadow" },
	{ name: "hvm + ept", vmm: "hvm", mmu: "ept" },
	{ name: "pv", vmm: "pv" },
];

/** Instructions after which a run ends when nothing else is said. */
export const DEFAULT_BUDGET = 1_000_000_000;

export interface Comparison {
	readonly image: NamedFile;
	/** Marks the same operations and runs under `pv` in place of the image (docs/decisions/0015). */
	readonly twin?: NamedFile;
	/** What the machines are made from, but for the technique. */
	readonly configuration: Omit<MachineConfiguration, "vmm" | "mmu" | "image">;
	readonly maxInstructions: number;
}

/** Where the paravirtual twin of an image lies, if there is one; undefined for an image that has none by its name. */
export function twinPath(path: string): string | undefined {
	return path.endsWith(".elf") && !path.endsWith("-pv.elf") ? path.replace(/\.elf$/, "-pv.elf") : undefined;
}

export interface ComparisonHost {
	readonly createMachine: CreateMachine;
	/** What is being done, in one sentence. */
	progress(text: string): void;
	/** Lets others have their turn; rejects to end the comparison. */
	breathe(): Promise<void>;
}

interface Column {
	readonly technique: ComparedTechnique;
	readonly run?: MeasuredRun;
}

async function runColumn(
	kind: (typeof TECHNIQUES)[number],
	{ image: given, twin, configuration, maxInstructions }: Comparison,
	host: ComparisonHost,
): Promise<Column> {
	const { vmm, mmu } = kind;
	const image = vmm === "pv" && twin ? twin : given;
	const technique = image === given ? kind : { ...kind, image: image.name };
	try {
		const machine = await host.createMachine({ ...configuration, image, vmm, ...(mmu ? { mmu } : {}) });
		return { technique, run: await measure(machine, findMarkers(image), maxInstructions, host.breathe) };
	} catch (error) {
		if (!(error instanceof MachineError)) throw error;
		return { technique: { ...technique, refused: error.message } };
	}
}

function countsOf(model: CostModel, tally: Tally, repetitions: number): ComparedCounts {
	const divided = Object.fromEntries(
		(Object.keys(tally.counts) as Charged[]).map((key) => [key, tally.counts[key] / repetitions]),
	) as Record<Charged, number>;
	return { ...divided, cost: costOf(model, tally) / repetitions };
}

/** @throws what `breathe` rejects with. A technique that cannot run the guest is listed with its sentence. */
export async function compareTechniques(comparison: Comparison, host: ComparisonHost): Promise<CompareBody> {
	const columns: Column[] = [];
	for (const kind of TECHNIQUES) {
		host.progress(`Running ${comparison.image.name} under ${kind.name}…`);
		await host.breathe();
		columns.push(await runColumn(kind, comparison, host));
	}
	const reference = columns.find(({ run }) => run)?.run?.output;
	/** Another image may say it in words of its own, which says nothing of what it did. */
	const outputOf = (technique: ComparedTechnique, output: string): Pick<ComparedTechnique, "sameOutput"> =>
		technique.image !== undefined && output !== reference ? {} : { sameOutput: output === reference };
	const names = new Set(columns.flatMap(({ run }) => (run ? [...run.operations.keys()] : [])));
	const row = (name: string, pick: (run: MeasuredRun) => { tally: Tally; repetitions: number } | undefined) => {
		const picked = columns.map(({ run }) => run && pick(run));
		const repetitions = Math.max(...picked.map((one) => one?.repetitions ?? 1));
		return {
			name,
			...(repetitions > 1 ? { repetitions } : {}),
			counts: columns.map(({ technique }, i) => {
				const one = picked[i];
				return one ? countsOf(costModel(technique.vmm, technique.mmu), one.tally, one.repetitions) : null;
			}),
		};
	};
	return {
		program: comparison.image.name,
		techniques: columns.map(({ technique, run }) => ({
			...technique,
			...(run ? { stop: run.stop, ...outputOf(technique, run.output) } : {}),
		})),
		operations: [
			row("whole run", ({ whole }) => ({ tally: whole, repetitions: 1 })),
			...[...names].map((name) => row(name, (run) => run.operations.get(name))),
		],
		costModel: columns.flatMap(({ technique: { name, vmm, mmu }, run }) =>
			run ? describeModel(name, costModel(vmm, mmu)) : [],
		),
	};
}

// `hyperscope compare`: the same image under every technique that can run it, side by side.

import { existsSync, writeFileSync } from "node:fs";
import { compareTechniques, DEFAULT_BUDGET, twinPath } from "../../debug-adapter/compare/compare.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { parseCount, parseMemory } from "./arguments.ts";
import { comparisonText } from "./comparison-text.ts";
import { readFile } from "./run.ts";

export interface CompareCommand {
	readonly image: string;
	/** Bytes. */
	readonly memory: number;
	readonly initrd: string | undefined;
	readonly append: string | undefined;
	readonly maxInstructions: number;
	/** A file for the result as JSON: the body of `hyperscope/compare` (debug-adapter/hypervisor-protocol.ts). */
	readonly json: string | undefined;
}

/** @throws {MachineError} */
export function parseCompareArguments(words: readonly string[]): CompareCommand {
	let image: string | undefined;
	let memory = 256 << 20;
	let initrd: string | undefined;
	let append: string | undefined;
	let maxInstructions = DEFAULT_BUDGET;
	let json: string | undefined;
	for (let at = 0; at < words.length; at++) {
		const word = words[at]!;
		const value = (): string => {
			const next = words[++at];
			if (next === undefined) throw new MachineError(`${word} needs a value.`);
			return next;
		};
		switch (word) {
			case "--memory":
				memory = parseMemory(value());
				break;
			case "--initrd":
				initrd = value();
				break;
			case "--append":
				append = value();
				break;
			case "--max-instructions":
				maxInstructions = parseCount(word, value());
				break;
			case "--json":
				json = value();
				break;
			default:
				if (word.startsWith("-")) throw new MachineError(`compare: unknown option ${word}.`);
				if (image !== undefined) throw new MachineError(`compare: more than one image: ${image} and ${word}.`);
				image = word;
		}
	}
	if (image === undefined) throw new MachineError("compare: no image; name the kernel to run under every technique.");
	return { image, memory, initrd, append, maxInstructions, json };
}

/** The result is the exit status: 0 when the guest said the same under every technique that ran it, else 1. @throws {MachineError} */
export async function compareImage(command: CompareCommand): Promise<number> {
	const { image, memory, initrd, append, maxInstructions, json } = command;
	const twin = twinPath(image);
	const result = await compareTechniques(
		{
			image: readFile(image),
			...(twin !== undefined && existsSync(twin) ? { twin: readFile(twin) } : {}),
			configuration: {
				memory,
				...(initrd === undefined ? {} : { initrd: readFile(initrd) }),
				...(append === undefined ? {} : { append }),
			},
			maxInstructions,
		},
		{
			createMachine,
			progress: (text) => void process.stderr.write(`${text}\n`),
			breathe: () => new Promise((next) => setImmediate(next)),
		},
	);
	if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
	process.stdout.write(comparisonText(result));
	const ran = result.techniques.filter(({ refused }) => refused === undefined);
	if (ran.length === 0) throw new MachineError(`${image}: no technique can run it.`);
	return ran.every(({ sameOutput }) => sameOutput !== false) ? 0 : 1;
}

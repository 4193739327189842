// The command line program: the same machine without an editor.

import { createHash } from "node:crypto";
import { useHostHash } from "../../emulator/machine/hash.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { parseRunArguments, USAGE } from "./arguments.ts";
import { compareImage, parseCompareArguments } from "./compare.ts";
import { parseDapArguments, serveDap } from "./dap.ts";
import { runMachine } from "./run.ts";

useHostHash((bytes) => createHash("sha256").update(bytes).digest("hex"));

async function main(words: readonly string[]): Promise<number> {
	const [command, ...rest] = words;
	switch (command) {
		case "run":
			if (rest.includes("--help")) {
				console.log(USAGE);
				return 0;
			}
			return runMachine(parseRunArguments(rest));
		case "compare":
			return compareImage(parseCompareArguments(rest));
		case "dap":
			return serveDap(parseDapArguments(rest));
		case "help":
		case "--help":
		case "-h":
			console.log(USAGE);
			return 0;
		default:
			throw new MachineError(
				command === undefined ? `No command.\n${USAGE}` : `Unknown command "${command}".\n${USAGE}`,
			);
	}
}

// Whoever read the guest's output is gone: nobody waits for the rest of the run.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	console.error(`hyperscope: standard output cannot be written (${error.code}).`);
	process.exit(2);
});

main(process.argv.slice(2)).then(
	(status) => {
		process.exitCode = status;
	},
	(error: unknown) => {
		if (!(error instanceof MachineError)) throw error;
		console.error(`hyperscope: ${error.message}`);
		process.exitCode = 2;
	},
);

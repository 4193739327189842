import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";

/** "Jump to cursor": sets the instruction pointer. */
export function gotoRequests(debuggee: Debuggee, program: Program, frames: FrameStore): RequestHandlers {
	const targets = new Map<number, bigint>();
	let nextTarget = 1;
	return {
		gotoTargets: (args) => {
			const path = args.object("source").string("path");
			const line = args.integer("line", 1);
			args.optionalInteger("column");
			void debuggee.stopped;
			targets.clear();
			const found = program
				.ask((table) => table.locationsOfLine(path, line), [])
				.filter((location) => location.position?.line === line);
			return {
				targets: found.map((location) => {
					const id = nextTarget++;
					targets.set(id, location.address);
					return {
						id,
						label: `${location.functionName || "code"} at ${hex(location.address)}`,
						line,
						instructionPointerReference: hex(location.address),
					};
				}),
			};
		},

		goto: (args, context) => {
			const threadId = args.integer("threadId");
			const targetId = args.integer("targetId");
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			const address = targets.get(targetId);
			if (address === undefined) throw new RequestError(`There is no target ${targetId}: ask gotoTargets first.`);
			if (processor.kind === "pcpu" && debuggee.machine.technique !== "none")
				throw new RequestError("A physical CPU runs what the VMM gives it: jump in a vCPU thread.");
			const base = processor.linearInstructionPointer() - processor.instructionPointer();
			const name = processor.codeSize() === 64 ? "rip" : processor.codeSize() === 32 ? "eip" : "ip";
			processor.setRegister(name, BigInt.asUintN(64, address - base));
			frames.forget();
			context.afterResponse(() =>
				debuggee.emit("stopped", {
					reason: "goto",
					description: "Paused after a jump",
					threadId,
					allThreadsStopped: true,
				}),
			);
		},
	};
}

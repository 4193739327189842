import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { beginningOf } from "../execution/frame-entry.ts";
import type { Program } from "../program/program.ts";
import type { RequestHandlers } from "../session.ts";
import type { Frame } from "./frame.ts";
import type { FrameStore } from "./frame-store.ts";
import type { StackWalker } from "./stack-walker.ts";

/** What DAP calls "all frames" is cut here. */
const MOST_FRAMES = 1000;

/** Which fragment translated code belongs to; what lies in the cache and in none is a stub of the VMM. */
function placeInCache(pc: bigint, debuggee: Debuggee): string {
	if (!debuggee.isTranslatedCode(pc)) return "";
	const fragment = debuggee.machine.translationCache?.fragmentAt(pc);
	return fragment ? ` (fragment ${fragment.id})` : " (VMM stub)";
}

function frameName(frame: Frame, debuggee: Debuggee, program: Program): string {
	const { pc } = frame.activation;
	if (frame.virtual) {
		const name = frame.virtual.name || hex(frame.virtual.functionStart);
		const inlined = frame.virtual.isInlined ? " (inlined)" : "";
		return `${name}${inlined}${placeInCache(pc, debuggee)}`;
	}
	return program.symbolize(pc) ?? hex(pc);
}

function describe(frame: Frame, debuggee: Debuggee, program: Program, walker: StackWalker): DebugProtocol.StackFrame {
	const reference = hex(frame.activation.pc);
	if (frame.label !== undefined)
		return { id: frame.id, name: frame.label, line: 0, column: 0, presentationHint: "label" };
	const position = frame.virtual?.position;
	const name = frameName(frame, debuggee, program);
	// Clients take a frame that says nothing for one that can be gone through again.
	const restart = beginningOf(frame, debuggee, walker) ? {} : { canRestart: false };
	if (!position || position.line === 0 || position.file === "")
		return { id: frame.id, name, line: 0, column: 0, instructionPointerReference: reference, ...restart };
	return {
		id: frame.id,
		name,
		source: program.source(position.file),
		line: position.line,
		column: position.column === 0 ? 1 : position.column,
		instructionPointerReference: reference,
		...restart,
	};
}

export function stackRequests(debuggee: Debuggee, program: Program, store: FrameStore): RequestHandlers {
	return {
		stackTrace: (args) => {
			const threadId = args.integer("threadId");
			const start = args.optionalInteger("startFrame", 0, MOST_FRAMES) ?? 0;
			const levels = args.optionalInteger("levels", 0) ?? 0;
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			const count = levels === 0 ? MOST_FRAMES : Math.min(levels, MOST_FRAMES);
			const { frames, total } = store.frames(processor, start, count);
			const walker = store.walker(processor);
			return {
				stackFrames: frames.map((frame) => describe(frame, debuggee, program, walker)),
				totalFrames: total,
			};
		},
	};
}

// "Step into target": the calls of a line, of which the person chooses the one to enter.
import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { CodeReader } from "../disassembly/code-reader.ts";
import { formatInstruction } from "../disassembly/decoder.ts";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import type { Frame } from "../stack/frame.ts";
import type { FrameStore } from "../stack/frame-store.ts";

/** A line of more instructions than this has its later calls left out. */
const MOST_INSTRUCTIONS = 1024;

export class StepInTargets {
	private readonly calls = new Map<number, bigint>();
	private stopCount = -1;
	private next = 1;

	constructor(
		private readonly debuggee: Debuggee,
		private readonly program: Program,
		private readonly frames: FrameStore,
	) {}

	/** The calls from the instruction pointer to the end of its line, in the order of the code. */
	targets(frameId: number): DebugProtocol.StepInTarget[] {
		void this.debuggee.stopped;
		const frame = this.frames.get(frameId);
		if (this.stopCount !== this.debuggee.stopCount) this.calls.clear();
		this.stopCount = this.debuggee.stopCount;
		const isHost = frame.processor.kind === "pcpu" && this.debuggee.machine.technique !== "none";
		// A caller's line is in the middle of its call, and below the guest there are no lines.
		if (frame.activation.level > 0 || frame.label !== undefined || isHost) return [];
		return this.callsOfLine(frame);
	}

	/** The address of the call. @throws {RequestError} when the target is of an earlier stop, or of none. */
	callOf(targetId: number): bigint {
		const call = this.stopCount === this.debuggee.stopCount ? this.calls.get(targetId) : undefined;
		if (call === undefined) throw new RequestError(`There is no target ${targetId} here: ask stepInTargets first.`);
		return call;
	}

	private callsOfLine({ processor }: Frame): DebugProtocol.StepInTarget[] {
		const code = CodeReader.of(processor);
		const start = processor.linearInstructionPointer();
		const line = this.program.lineAt(start);
		const targets: DebugProtocol.StepInTarget[] = [];
		let address = start;
		for (let count = 0; count < MOST_INSTRUCTIONS; count++) {
			const instruction = code.instruction(address);
			if (!instruction.valid) break;
			if (instruction.flow === "call") targets.push(this.describe(address, code));
			address += BigInt(instruction.length);
			const at = line && this.program.lineAt(address);
			if (at?.line !== line?.line || at?.path !== line?.path || !line) break;
		}
		return targets;
	}

	private describe(call: bigint, code: CodeReader): DebugProtocol.StepInTarget {
		const id = this.next++;
		this.calls.set(id, call);
		const target = code.target(call);
		const { length } = code.instruction(call);
		const label =
			target === undefined
				? formatInstruction(code.bytes(call, length), call, code.codeSize)
				: (this.program.symbolize(target) ?? hex(target));
		const position = this.program.rangeAt(call);
		return {
			id,
			label: `${label} (called at ${hex(call)})`,
			...(position ? { line: position.line, ...(position.column > 0 ? { column: position.column } : {}) } : {}),
		};
	}
}

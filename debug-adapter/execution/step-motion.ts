import type { Processor, Stop, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import { CodeReader } from "../disassembly/code-reader.ts";
import type { DecodedInstruction } from "../disassembly/decoder.ts";
import { type Motion, RunTo } from "./motion.ts";
import { isBackAt, type StackIdentity, stackIdentity } from "./stack-identity.ts";

/** What stepping by source lines asks of the symbols. */
export interface LineMap {
	/** The row of the line table that holds the address; undefined without one, or for line 0. */
	lineAt(address: bigint): { readonly path: string; readonly line: number; readonly start: bigint } | undefined;
	/** Where a step into the function that holds the address stops: behind its prologue; undefined without lines. */
	bodyOf(address: bigint): bigint | undefined;
}

export interface StepRequest {
	readonly machine: VirtualMachine;
	readonly store: BreakpointStore;
	readonly processor: Processor;
	/** "over" runs calls, interrupts and repeated string instructions to their end. */
	readonly kind: "in" | "over";
	readonly granularity: "instruction" | "line";
	/** Interrupts are taken while stepping. */
	readonly takeInterrupts: boolean;
	readonly lines: LineMap;
	/** The one call that is entered, wherever the others lead: the address of its instruction. */
	readonly into?: bigint | undefined;
}

/** EIP, CS and EFLAGS of 16-bit code: the smallest frame that an event pushes, in bytes. */
const LEAST_FRAME = 6n;

type Afterwards = "stop" | "look";

/** One step by instruction or by line (DESIGN section 5, "Steps"). */
export class StepMotion implements Motion {
	readonly processor: number;
	private readonly start: { readonly path: string; readonly line: number } | undefined;
	private readonly startDepth: StackIdentity;
	/** A run to an address that is part of the step, and what follows it. */
	private detour: { readonly run: RunTo; readonly afterwards: Afterwards } | undefined;
	/** The step left its frame by a return, or went to another stack. */
	private isOut = false;

	constructor(private readonly request: StepRequest) {
		const { processor, granularity, lines } = request;
		this.processor = processor.id;
		this.start = granularity === "line" ? lines.lineAt(processor.linearInstructionPointer()) : undefined;
		this.startDepth = stackIdentity(processor);
	}

	finish(): void {
		this.request.store.setTemporary([]);
	}

	advance(instructions: number, isExpired: () => boolean): Stop | undefined {
		const done: Stop = { reason: "step", processor: this.processor };
		for (;;) {
			if (this.detour) {
				const result = this.detour.run.advance(instructions);
				if (result !== "arrived") return result;
				const { afterwards } = this.detour;
				this.detour = undefined;
				if (afterwards === "stop" || this.isAtEnd()) return done;
				const stop = this.breakpointHere();
				if (stop) return stop;
			} else {
				const stop = this.move();
				if (stop) return stop;
				if (!this.detour) {
					if (this.isAtEnd()) return done;
					const hit = this.breakpointHere();
					if (hit) return hit;
				}
			}
			if (isExpired()) return undefined;
		}
	}

	/** By one instruction, or into a detour. */
	private move(): Stop | undefined {
		const { machine, processor, into } = this.request;
		const code = CodeReader.of(processor);
		const at = processor.linearInstructionPointer();
		const instruction = code.instruction(at);
		const kind = into === undefined ? this.request.kind : at === into ? "in" : "over";
		const next = at + BigInt(instruction.length);
		const depth = stackIdentity(processor);
		const isByLine = this.start !== undefined;
		const isCall = instruction.flow === "call" || instruction.flow === "interrupt";
		if (instruction.flow === "halt" || (instruction.repeated && (kind === "over" || isByLine))) {
			this.detourTo([next], depth, "look");
			return undefined;
		}
		if (isCall && kind === "over") {
			this.detourTo([next], depth, "look");
			return undefined;
		}
		if (instruction.flow === "vm-entry" && kind === "over") {
			// The hypervisor goes on where its VMCS says, or behind the instruction when that fails.
			const target = machine.vmx?.exitTarget();
			this.detourTo(target === undefined ? [next] : [next, target], depth, "look");
			return undefined;
		}
		const stop = machine.step(processor.id, { takeInterrupts: this.request.takeInterrupts });
		if (stop.reason !== "step") return stop;
		const now = processor.linearInstructionPointer();
		const { context, stackPointer } = stackIdentity(processor);
		if (context !== this.startDepth.context) this.isOut = true;
		if (instruction.flow === "return" && stackPointer > this.startDepth.stackPointer) this.isOut = true;
		// Delivery of an event pushes a frame, here or on another stack (SDM Vol. 3A §6.12.1).
		const isFramePushed = context !== depth.context || stackPointer <= depth.stackPointer - LEAST_FRAME;
		if (isFramePushed && this.wasDiverted(code, at, instruction, now)) {
			// A fault's handler: by instruction it can be stepped into, else it runs and comes back.
			if (kind === "over" || (isByLine && !this.request.takeInterrupts)) {
				this.isOut = false;
				this.detourTo([at, next], depth, "look");
			}
			return undefined;
		}
		if (isByLine && instruction.flow === "call") {
			const body = this.request.lines.bodyOf(now);
			// What was chosen is entered though it has no lines.
			if (body === undefined && into !== undefined) this.isOut = true;
			else if (body === undefined) this.detourTo([next], depth, "look");
			else if (body !== now) this.detourToBody(body);
		}
		return undefined;
	}

	/** An exception or interrupt took the processor elsewhere than the instruction goes. */
	private wasDiverted(code: CodeReader, at: bigint, instruction: DecodedInstruction, now: bigint): boolean {
		const next = at + BigInt(instruction.length);
		if (now === next || (instruction.repeated && now === at)) return false;
		const target = code.target(at);
		switch (instruction.flow) {
			case "next":
			case "halt":
				return true;
			case "conditional":
				return now !== target;
			case "call":
			case "jump":
				return target !== undefined && now !== target;
			default:
				return false;
		}
	}

	private detourTo(addresses: readonly bigint[], depth: StackIdentity, afterwards: Afterwards): void {
		const { machine, store, processor } = this.request;
		const run = new RunTo(machine, store, processor.id, addresses, () => isBackAt(depth, processor));
		this.detour = { run, afterwards };
	}

	/** Past the prologue of the function just entered. */
	private detourToBody(body: bigint): void {
		const { machine, store, processor } = this.request;
		const { context } = stackIdentity(processor);
		const run = new RunTo(machine, store, processor.id, [body], () => stackIdentity(processor).context === context);
		this.detour = { run, afterwards: "stop" };
	}

	private isAtEnd(): boolean {
		if (!this.start || this.isOut) return true;
		const { processor, lines } = this.request;
		const at = processor.linearInstructionPointer();
		const here = lines.lineAt(at);
		if (!here) return lines.bodyOf(at) === undefined;
		if (here.path === this.start.path && here.line === this.start.line) return false;
		return here.start === at;
	}

	/** A user's breakpoint on the way; the step ends there as a run would. */
	private breakpointHere(): Stop | undefined {
		const { store, processor } = this.request;
		const here = store.at(processor.linearInstructionPointer(), processor.id);
		if (here.length === 0) return undefined;
		return { reason: "breakpoint", processor: processor.id, ids: store.machineIds(here) };
	}
}

import type { Processor } from "../../emulator/machine/virtual-machine.ts";
import { type Debuggee, threadIdOf } from "../debuggee.ts";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import { type Frame, lookupAddress } from "./frame.ts";
import { StackWalker } from "./stack-walker.ts";

/** The stack of one thread at one stop, unwound as far as it was asked. */
class ThreadStack {
	readonly frames: Frame[] = [];
	private nextLevel = 0;
	isComplete = false;
	readonly walker: StackWalker;

	constructor(
		private readonly processor: Processor,
		private readonly program: Program,
		private readonly newId: () => number,
	) {
		this.walker = new StackWalker(processor, program);
	}

	/** The registers that the stack was unwound from have other values now. */
	isOutOfDate(): boolean {
		const top = this.walker.at(0)!.activation;
		if (this.processor.linearInstructionPointer() !== top.pc) return true;
		return [top.model.stackPointer, top.model.framePointer].some(
			(number) => this.processor.register(top.model.names[number]!) !== top.registers.get(number),
		);
	}

	/** Makes the frames of the next activation. */
	extend(): void {
		const next = this.walker.at(this.nextLevel);
		if (!next) {
			this.isComplete = true;
			return;
		}
		// Look one further: only then the canonical frame address of this one is known.
		this.walker.at(this.nextLevel + 1);
		const { activation } = this.walker.at(this.nextLevel)!;
		this.nextLevel++;
		const common = { threadId: threadIdOf(this.processor), processor: this.processor, activation };
		if (next.by === "interrupt")
			this.frames.push({ id: this.newId(), ...common, virtual: undefined, label: "interrupt or exception" });
		const address = this.program.guestAddress(lookupAddress(activation));
		const virtuals = this.program.framesAt(address);
		if (virtuals.length === 0) this.frames.push({ id: this.newId(), ...common, virtual: undefined, label: undefined });
		for (const virtual of virtuals) this.frames.push({ id: this.newId(), ...common, virtual, label: undefined });
	}
}

/** The frames that were given to the client since the machine last moved. */
export class FrameStore {
	private readonly stacks = new Map<number, ThreadStack>();
	private nextId = 1;

	constructor(
		private readonly debuggee: Debuggee,
		private readonly program: Program,
	) {}

	forget(): void {
		this.stacks.clear();
	}

	/** Forgets stacks whose registers were changed by hand; true when there was one. */
	forgetChanged(): boolean {
		let isChanged = false;
		for (const [id, stack] of this.stacks) {
			if (!stack.isOutOfDate()) continue;
			this.stacks.delete(id);
			isChanged = true;
		}
		return isChanged;
	}

	private stack(processor: Processor): ThreadStack {
		let stack = this.stacks.get(processor.id);
		if (!stack) {
			stack = new ThreadStack(processor, this.program, () => this.nextId++);
			this.stacks.set(processor.id, stack);
		}
		return stack;
	}

	/** Frames `start` to `start + count`, and the number of all as far as it is known: one more than shown while there may be more. */
	frames(processor: Processor, start: number, count: number): { frames: Frame[]; total: number } {
		const stack = this.stack(processor);
		while (!stack.isComplete && stack.frames.length <= start + count) stack.extend();
		return {
			frames: stack.frames.slice(start, start + count),
			total: stack.frames.length,
		};
	}

	/** The frame that runs, with the innermost inlined function. */
	top(processor: Processor): Frame {
		return this.frames(processor, 0, 1).frames[0]!;
	}

	/** The walker of a thread, for stepping out. */
	walker(processor: Processor): StackWalker {
		return this.stack(processor).walker;
	}

	/** @throws {RequestError} when the id is from before the last step, or was never given out. */
	get(id: number): Frame {
		for (const stack of this.stacks.values()) {
			const frame = stack.frames.find((one) => one.id === id);
			if (frame) return frame;
		}
		throw new RequestError(`Frame ${id} is not known any more: the machine has moved since it was given out.`);
	}

	/** The frame with the id, or without one the frame that runs in the focused thread. */
	getOrTop(id: number | undefined): Frame {
		void this.debuggee.machine;
		return id === undefined || id === 0 ? this.top(this.debuggee.focusedProcessor()) : this.get(id);
	}
}

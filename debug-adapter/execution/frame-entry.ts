import type { RecordedMachine } from "../../emulator/machine/recorded-machine.ts";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Frame } from "../stack/frame.ts";
import type { StackWalker } from "../stack/stack-walker.ts";
import type { Motion } from "./motion.ts";
import { ReverseRun } from "./reverse-run.ts";
import { stackPointerOf } from "./stack-identity.ts";

/** Where a frame was entered: an instruction, and how deep the stack was there. */
export interface FrameBeginning {
	readonly processor: Frame["processor"];
	readonly address: bigint;
	readonly isDepth: (stackPointer: bigint) => boolean;
}

/** Undefined for a frame whose beginning cannot be told: inlined code, code without symbols, the outermost frame. */
export function beginningOf(frame: Frame, debuggee: Debuggee, walker: StackWalker): FrameBeginning | undefined {
	const { processor, activation, virtual, label } = frame;
	if (label !== undefined || !virtual || virtual.isInlined || activation.cfa === undefined) return undefined;
	if (processor.kind === "pcpu" && debuggee.machine.technique !== "none") return undefined;
	const { cfa } = activation;
	const word = BigInt(activation.model.addressSize);
	// A call has pushed its return address; an event perhaps an error code below what cfa names (SDM Vol. 3A §6.13).
	const isDepth =
		walker.at(activation.level + 1)?.by === "interrupt"
			? (stackPointer: bigint) => stackPointer <= cfa && stackPointer >= cfa - word
			: (stackPointer: bigint) => stackPointer === cfa - word;
	return { processor, address: virtual.functionStart, isDepth };
}

/** Back to where a frame was entered, so that it can be gone through again: memory and devices are as they were then. */
export class FrameEntry implements Motion {
	readonly title = "Going back to where the frame was entered";
	readonly isDecided = true;
	readonly processor: number;
	private readonly way: ReverseRun;

	constructor(
		machine: RecordedMachine,
		private readonly store: BreakpointStore,
		{ processor, address, isDepth }: FrameBeginning,
		atBeginning: () => void,
	) {
		this.processor = processor.id;
		store.setTemporary([{ space: "lin", value: address }]);
		this.way = new ReverseRun(
			machine,
			processor.id,
			(stop) =>
				stop.reason === "breakpoint" &&
				stop.processor === processor.id &&
				store.hasTemporary(stop.ids) &&
				processor.linearInstructionPointer() === address &&
				isDepth(stackPointerOf(processor)),
			atBeginning,
		);
	}

	advance(instructions: number, isExpired: () => boolean): Stop | undefined {
		const stop = this.way.advance(instructions, isExpired);
		return stop?.reason === "breakpoint" ? { reason: "step", processor: this.processor } : stop;
	}

	finish(): void {
		this.way.finish();
		this.store.setTemporary([]);
	}
}

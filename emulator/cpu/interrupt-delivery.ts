// Exceptions and interrupts through the interrupt vector table and the IDT (SDM Vol. 3A Chapter 6; Vol. 2A, INT n, "Operation").

import { Fault, Vector } from "../engine/fault.ts";
import { Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { Descriptor, SystemType } from "./descriptor.ts";
import { combine, DebugException, isFault, PageFault } from "./exceptions.ts";
import { isCanonical } from "./memory-access.ts";
import { Activity, Internal } from "./processor-state.ts";
import { selectorFault } from "./segmentation.ts";
import { StackFrame } from "./stack-frame.ts";
import type { TaskSwitch } from "./task-switch.ts";
import { VmExit } from "./vmx/vm-exit.ts";

/** General detect ends as the handler of a debug exception is entered (SDM Vol. 3B §17.2.4). */
const DR7 = (State.dr + 7 * 8) >> 2;
const DR7_GD = 1 << 13;
const DR6 = (State.dr + 6 * 8) >> 2;
const DR6_BREAKPOINTS = 0xf;

/** Where an event comes from. "software" is INT n, "software-exception" INT3 and INTO; "int1" is INT1 (ICEBP), which no gate's DPL stops. */
export type EventSource = "exception" | "external" | "nmi" | "software" | "software-exception" | "int1";

/**
 * Sees an exception or interrupt before it is delivered. Returning true takes it over: nothing is delivered, and State.rip is
 * where the observer left it. That counts only while `restartable`: an event that a VM entry injects, and a fault while an interrupt
 * is delivered, would not come again.
 */
export type EventObserver = (
	vector: number,
	errorCode: number | undefined,
	source: EventSource,
	restartable: boolean,
) => boolean | undefined;

/** In the error code: the index is one into the IDT (SDM Vol. 3A §6.13). */
const ERROR_IDT = 1 << 1;
/** In the error code: the event is external to the program. */
const ERROR_EXTERNAL = 1 << 0;
/** DR7.GD */
const GENERAL_DETECT = 1 << 13;

/** The part of VMX that looks at events in VMX non-root operation. */
export interface EventInterception {
	/** Whether the processor is in VMX non-root operation. */
	readonly active: boolean;
	/** @returns undefined when the event goes to the guest; else whether the processor goes on (false: shutdown). */
	intercept(
		fault: Fault,
		source: EventSource,
		delivering: InterceptedDelivery | undefined,
		instructionLength: number,
	): boolean | undefined;
	/** An event was delivered to the guest in place of an instruction. */
	delivered(): void;
	/** The guest would shut down. @returns whether the processor goes on. */
	tripleFault(): boolean;
}

/** An event whose delivery something else interrupts. */
export interface InterceptedDelivery {
	readonly vector: number;
	readonly source: EventSource;
	readonly errorCode: number | undefined;
	/** Bytes of the instruction, for software interrupts and exceptions; else 0. */
	readonly instructionLength: number;
}

interface Event {
	readonly vector: number;
	readonly source: EventSource;
	/** undefined when the vector pushes none. */
	readonly errorCode: number | undefined;
	/** RIP to push: halves. */
	readonly ripLow: number;
	readonly ripHigh: number;
	/** EFLAGS to push. */
	readonly flags: number;
}

export class InterruptDelivery {
	onEvent: EventObserver = () => undefined;
	/** Called once when a fault during delivery of a double fault has shut the processor down. */
	onShutdown: () => void = () => {};
	/** Interrupts and NMIs that were delivered. */
	delivered = 0;

	/** Present on a processor with VMX. */
	interception: EventInterception | undefined;
	/** The software interrupt or exception whose delivery raised the fault that is delivered next. */
	private interrupted: InterceptedDelivery | undefined;

	/** A handler was entered since the run loop's last debugFaultBefore(): TF as it was before counts no more. */
	enteredHandler = false;

	constructor(
		private readonly core: ProcessorCore,
		private readonly tasks: TaskSwitch,
	) {}

	/** Delivers an exception of the instruction at State.rip, and what follows from it; false after shutdown. */
	deliver(fault: Fault): boolean {
		return this.run(fault, "exception");
	}

	/** Delivers an interrupt between instructions; State.rip is the next instruction. False after shutdown. */
	interrupt(vector: number, source: "external" | "nmi"): boolean {
		this.delivered++;
		if (source === "nmi") this.core.state.i32[Internal.nmiBlocked >> 2] = 1;
		return this.run(new Fault(vector), source);
	}

	/**
	 * INT n, INT3, INTO and INT1: enters the handler; `ripLow`, `ripHigh` are the return address.
	 * @returns false when the observer took the event over. @throws {Fault} of the instruction.
	 */
	software(
		vector: number,
		source: "software" | "software-exception" | "int1",
		ripLow: number,
		ripHigh: number,
	): boolean {
		const instructionLength = (ripLow - this.core.state.i32[State.rip >> 2]!) & 15;
		if (this.interception?.active) {
			const fault = source === "int1" ? new DebugException(0) : new Fault(vector);
			if (this.interception.intercept(fault, source, undefined, instructionLength) !== undefined) return false;
		}
		if (this.onEvent(vector, undefined, source, true)) return false;
		const flags = this.core.readEflags() & ~Eflags.RF;
		try {
			this.enter({ vector, source, errorCode: undefined, ripLow, ripHigh, flags });
		} catch (error) {
			this.interrupted = { vector, source, errorCode: undefined, instructionLength };
			throw error instanceof Fault && source === "int1" ? external(error) : error;
		}
		if (source === "int1") this.beginDebugHandler();
		this.enteredHandler = true;
		return true;
	}

	/** INT1 takes along a data breakpoint that MOV SS held back: one exception for both. */
	private beginDebugHandler(): void {
		const { i32 } = this.core.state;
		i32[DR7]! &= ~DR7_GD;
		i32[DR6]! |= i32[Internal.pendingDebug >> 2]!;
		i32[Internal.pendingDebug >> 2] = 0;
	}

	/**
	 * Event injection at VM entry (SDM Vol. 3C §27.6): State.rip is the guest's first instruction, that of a software event with its length
	 * before the return address. The event itself causes no exit. False after shutdown.
	 */
	inject(vector: number, source: EventSource, errorCode: number | undefined, instructionLength: number): boolean {
		if (source === "nmi") this.core.state.i32[Internal.nmiBlocked >> 2] = 1;
		return this.run(new Fault(vector, errorCode), source, { instructionLength });
	}

	/** Looks at a fault or VM exit before it is delivered: undefined when the guest gets it. */
	private intercepted(
		fault: Fault,
		source: EventSource,
		delivering: InterceptedDelivery | undefined,
	): boolean | undefined {
		return this.interception?.active ? this.interception.intercept(fault, source, delivering, 0) : undefined;
	}

	private run(first: Fault, source: EventSource, injected?: { readonly instructionLength: number }): boolean {
		const { state } = this.core;
		let delivering = this.interrupted;
		this.interrupted = undefined;
		if (!injected) {
			const exited = this.intercepted(first, source, delivering);
			if (exited !== undefined) return exited;
		}
		state.i32[Internal.activity >> 2] = Activity.active;
		state.setInternal(Internal.shadowBoundary, 0);
		let fault = first;
		let from = source;
		let length = injected?.instructionLength ?? 0;
		const restartable = injected === undefined && source !== "external" && source !== "nmi";
		// Table 6-5 leaves at most four faults before shutdown; the bound also holds for benign faults that raise each other.
		for (let depth = 0; depth < 8; depth++) {
			this.recordCause(fault);
			if (this.onEvent(fault.vector, fault.errorCode, from, restartable) && restartable) return true;
			try {
				const rip = state.rip + BigInt(length);
				this.enter({
					vector: fault.vector,
					source: from,
					errorCode: fault.errorCode,
					ripLow: Number(BigInt.asIntN(32, rip)),
					ripHigh: Number(BigInt.asIntN(32, rip >> 32n)),
					flags: this.pushedFlags(fault.vector, from),
				});
				if (fault.vector === Vector.debug) state.i32[DR7]! &= ~DR7_GD;
				this.enteredHandler = true;
				this.interception?.delivered();
				return true;
			} catch (error) {
				if (!(error instanceof Fault)) throw error;
				const { vector, errorCode } = fault;
				delivering = { vector, source: from, errorCode, instructionLength: length };
				const raised = external(error);
				const exited = this.intercepted(raised, "exception", delivering);
				if (exited !== undefined) return exited;
				const next = combine(fault.vector, from === "exception", raised);
				if (!next) break;
				if (next !== raised) {
					// A double fault is no exit during delivery (SDM Vol. 3C §28.2.4).
					const doubled = this.intercepted(next, "exception", undefined);
					if (doubled !== undefined) return doubled;
				}
				fault = next;
				from = "exception";
				length = 0;
			}
		}
		if (this.interception?.active) return this.interception.tripleFault();
		state.i32[Internal.activity >> 2] = Activity.shutdown;
		this.onShutdown();
		return false;
	}

	/** CR2 and DR6 tell of an exception from the moment of its delivery. */
	recordCause(fault: Fault): void {
		const { i32 } = this.core.state;
		if (fault instanceof PageFault) {
			i32[State.cr2 >> 2] = fault.addressLow;
			i32[(State.cr2 >> 2) + 1] = fault.addressHigh;
		} else if (fault instanceof DebugException) {
			// B0 to B3 tell of this exception alone; the other bits stay until software clears them (SDM Vol. 3B §17.2.3).
			i32[DR6] = (i32[DR6]! & ~DR6_BREAKPOINTS) | fault.bits;
		}
	}

	private pushedFlags(vector: number, source: EventSource): number {
		const flags = this.core.readEflags();
		return source === "exception" && isFault(vector) ? flags | Eflags.RF : flags;
	}

	private enter(event: Event): void {
		const { state } = this.core;
		if (!state.protectedMode) this.enterRealMode(event);
		else if (state.longMode) this.enter64(event);
		else this.enterProtected(event);
		// The debug handler runs with general detection off (SDM Vol. 3B §17.2.4).
		if (event.vector === Vector.debug && event.source === "exception")
			state.i32[(State.dr + 7 * 8) >> 2]! &= ~GENERAL_DETECT;
	}

	/** SDM Vol. 3B §20.1.4. Error codes are not pushed. */
	private enterRealMode(event: Event): void {
		const { core } = this;
		const { state, memory, operands } = core;
		if (event.vector * 4 + 3 > state.i32[State.idtrLimit >> 2]! >>> 0)
			throw new Fault(Vector.generalProtection, event.vector * 8 + ERROR_IDT);
		const entry = memory.readLinear((state.i32[State.idtrBase >> 2]! + event.vector * 4) | 0, 0, 4);
		operands.pokeStack(-2, 2, event.flags);
		operands.pokeStack(-4, 2, state.selector(Segment.cs));
		operands.pokeStack(-6, 2, event.ripLow);
		operands.moveStack(-6);
		core.segmentation.loadRealMode(Segment.cs, entry >>> 16);
		state.setRip(entry & 0xffff, 0);
		state.flagsRest &= ~(Eflags.IF | Eflags.TF | Eflags.AC | Eflags.RF);
		state.updateMode();
	}

	/** The gate of a vector, checked as far as every kind of gate is (SDM Vol. 3A §6.12). */
	private readGate(event: Event, size: 8 | 16): Descriptor {
		const { state, memory } = this.core;
		const error = event.vector * 8 + ERROR_IDT;
		const offset = event.vector * size;
		if (offset + size - 1 > state.i32[State.idtrLimit >> 2]! >>> 0) throw new Fault(Vector.generalProtection, error);
		const sum = (state.i32[State.idtrBase >> 2]! >>> 0) + offset;
		const high = size === 16 ? (state.i32[(State.idtrBase >> 2) + 1]! + (sum > 0xffffffff ? 1 : 0)) | 0 : 0;
		const low = memory.readLinear(sum | 0, high, 8) | 0;
		const second = memory.valueHigh;
		const upper =
			size === 16
				? memory.readLinear((sum + 8) | 0, (high + (sum <= 0xffffffff && sum + 8 > 0xffffffff ? 1 : 0)) | 0, 4) | 0
				: 0;
		const gate = new Descriptor(low, second, upper);
		const allowed =
			size === 16
				? gate.type === SystemType.interruptGate || gate.type === SystemType.trapGate
				: gate.type === SystemType.taskGate || (gate.type & 6) === 6;
		if (!gate.isSystem || !allowed) throw new Fault(Vector.generalProtection, error);
		if ((event.source === "software" || event.source === "software-exception") && gate.dpl < state.cpl)
			throw new Fault(Vector.generalProtection, error);
		if (!gate.present) throw new Fault(Vector.segmentNotPresent, error);
		return gate;
	}

	/** The code segment of a gate, checked against the current privilege level. */
	private readHandler(selector: number): Descriptor {
		const { state, segmentation } = this.core;
		if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
		const code = segmentation.read(selector);
		if (!code.isCode || code.dpl > state.cpl) throw selectorFault(Vector.generalProtection, selector);
		if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
		return code;
	}

	private enterProtected(event: Event): void {
		const { core } = this;
		const { state, segmentation, memory } = core;
		const gate = this.readGate(event, 8);
		if (gate.type === SystemType.taskGate) {
			this.enterTask(gate.gateSelector, event);
			return;
		}
		const size = gate.type & 8 ? 4 : 2;
		const selector = gate.gateSelector;
		const code = this.readHandler(selector);
		const inner = !code.isConforming && code.dpl < state.cpl;
		const offset = size === 4 ? gate.gateOffset : gate.gateOffset & 0xffff;
		const virtual8086 = state.virtual8086;
		// From virtual-8086 mode only privilege level 0 can be entered (SDM Vol. 3B §20.3.1.1).
		if (virtual8086 && (!inner || code.dpl !== 0)) throw selectorFault(Vector.generalProtection, selector);
		const cpl = inner ? code.dpl : state.cpl;
		let stackSelector = 0;
		let stack: Descriptor | undefined;
		let frame: StackFrame;
		if (inner) {
			const pointer = this.innerStack(code.dpl);
			stackSelector = pointer.selector;
			if ((stackSelector & ~3) === 0) throw new Fault(Vector.invalidTss, 0);
			stack = segmentation.readStack(stackSelector, code.dpl, Vector.invalidTss);
			const error = stackSelector & 0xfffc;
			frame = new StackFrame(memory, false, stack.access, stack.baseLow, stack.limit, cpl, error);
			frame.low = pointer.esp;
			if (virtual8086)
				for (const segment of [Segment.gs, Segment.fs, Segment.ds, Segment.es] as const)
					frame.push(size, state.selector(segment));
			frame.push(size, state.selector(Segment.ss));
			frame.push(size, state.gpr32(4));
		} else {
			const access = state.access(Segment.ss);
			frame = new StackFrame(memory, false, access, state.baseLow(Segment.ss), state.limit(Segment.ss), cpl, 0);
			frame.low = state.gpr32(4);
		}
		frame.push(size, event.flags);
		frame.push(size, state.selector(Segment.cs));
		frame.push(size, event.ripLow);
		if (event.errorCode !== undefined) frame.push(size, event.errorCode);
		if (offset > code.limit) throw new Fault(Vector.generalProtection, 0);

		segmentation.prepare(selector, code);
		segmentation.prepare(stackSelector, stack);
		this.clearFlags(gate);
		if (virtual8086)
			for (const segment of [Segment.gs, Segment.fs, Segment.ds, Segment.es] as const) state.setNullSegment(segment, 0);
		state.cpl = cpl;
		segmentation.commit(Segment.cs, (selector & ~3) | cpl, code);
		if (stack) segmentation.commit(Segment.ss, stackSelector, stack);
		state.setGpr32(4, frame.low);
		state.setRip(offset, 0);
		state.updateMode();
	}

	/** SS:ESP for a privilege level from the current TSS (SDM Vol. 3A §5.8.5). @throws {Fault} #TS with the TSS's selector. */
	innerStack(level: number): { selector: number; esp: number } {
		const { state, memory } = this.core;
		const wide = (state.access(Segment.tr) & 8) !== 0;
		const offset = wide ? 4 + level * 8 : 2 + level * 4;
		if (offset + (wide ? 5 : 3) > state.limit(Segment.tr))
			throw selectorFault(Vector.invalidTss, state.selector(Segment.tr));
		const at = (state.baseLow(Segment.tr) + offset) | 0;
		const esp = memory.readLinear(at, 0, wide ? 4 : 2) | 0;
		return { esp, selector: memory.readLinear((at + (wide ? 4 : 2)) | 0, 0, 2) };
	}

	/** RSP for a privilege level (1 to 3: an IST entry, from `stackIndex`) from the 64-bit TSS (SDM Vol. 3A §7.7): [low, high]. */
	innerStack64(level: number, stackIndex: number): readonly [number, number] {
		const { state, memory } = this.core;
		const offset = stackIndex === 0 ? 4 + level * 8 : 0x24 + (stackIndex - 1) * 8;
		if (offset + 7 > state.limit(Segment.tr)) throw selectorFault(Vector.invalidTss, state.selector(Segment.tr));
		const sum = (state.baseLow(Segment.tr) >>> 0) + offset;
		const high = (state.baseHigh(Segment.tr) + (sum > 0xffffffff ? 1 : 0)) | 0;
		const low = memory.readLinear(sum | 0, high, 8) | 0;
		return [low, memory.valueHigh];
	}

	/** 64-bit gates (SDM Vol. 3A §6.14). */
	private enter64(event: Event): void {
		const { core } = this;
		const { state, segmentation, memory } = core;
		const gate = this.readGate(event, 16);
		const selector = gate.gateSelector;
		const code = this.readHandler(selector);
		if (!code.isLong || code.isBig) throw selectorFault(Vector.generalProtection, selector);
		const inner = !code.isConforming && code.dpl < state.cpl;
		const cpl = inner ? code.dpl : state.cpl;
		const oldLow = state.gpr32(4);
		// RSP is meant whole even when the interrupted code was in compatibility mode; its upper half is zero then.
		const oldHigh = state.i32[(State.gpr + 36) >> 2]!;
		const [low, high] =
			inner || gate.gateStackIndex !== 0 ? this.innerStack64(cpl, gate.gateStackIndex) : [oldLow, oldHigh];
		const frame = new StackFrame(memory, true, 0, 0, 0, cpl, 0);
		if (!isCanonical(high)) throw new Fault(Vector.stackFault, 0);
		frame.low = low & ~15;
		frame.high = high;
		frame.push(8, state.selector(Segment.ss));
		frame.push(8, oldLow, oldHigh);
		frame.push(8, event.flags);
		frame.push(8, state.selector(Segment.cs));
		frame.push(8, event.ripLow, event.ripHigh);
		if (event.errorCode !== undefined) frame.push(8, event.errorCode);
		if (!isCanonical(gate.upper)) throw new Fault(Vector.generalProtection, 0);

		segmentation.prepare(selector, code);
		this.clearFlags(gate);
		state.cpl = cpl;
		segmentation.commit(Segment.cs, (selector & ~3) | cpl, code);
		if (inner) segmentation.commitNullStack(cpl);
		state.i32[(State.gpr + 32) >> 2] = frame.low;
		state.i32[(State.gpr + 36) >> 2] = frame.high;
		state.setRip(gate.gateOffset, gate.upper);
		state.updateMode();
	}

	private clearFlags(gate: Descriptor): void {
		const { state } = this.core;
		const disable = (gate.type & 1) === 0 ? Eflags.IF : 0;
		state.flagsRest &= ~(Eflags.TF | Eflags.VM | Eflags.RF | Eflags.NT | disable);
	}

	/** A task gate in the IDT (SDM Vol. 3A §6.12.2). */
	private enterTask(selector: number, event: Event): void {
		const { state, operands } = this.core;
		const descriptor = this.tasks.findAvailable(selector);
		// The flags that the old task resumes with have RF as the frame of another gate would.
		state.flagsRest = (state.flagsRest & ~Eflags.RF) | (event.flags & Eflags.RF);
		if (event.flags & Eflags.RF) state.setInternal(Internal.resumeFlagBoundary, this.core.retired());
		const width = this.tasks.switchTo(selector, descriptor, "interrupt", event.ripLow);
		if (event.errorCode !== undefined) operands.push(width, event.errorCode);
	}
}

/** The fault with EXT set in its error code; page faults and the code of #AC and #DF have no such bit (SDM Vol. 3A §6.13). */
function external(fault: Fault): Fault {
	const { vector, errorCode } = fault;
	if (
		errorCode === undefined ||
		fault instanceof VmExit ||
		vector === Vector.pageFault ||
		vector === Vector.doubleFault
	)
		return fault;
	if (vector === Vector.alignmentCheck) return fault;
	return new Fault(vector, errorCode | ERROR_EXTERNAL);
}

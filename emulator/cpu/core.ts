// What every part of the processor builds on: the state, and the ways to memory, segments, flags and operands.

import { Fault, Vector } from "../engine/fault.ts";
import { Outcome } from "../engine/helper.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import type { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import { Flags } from "./flags.ts";
import { MemoryAccess } from "./memory-access.ts";
import { Operands } from "./operands.ts";
import { Paging } from "./paging.ts";
import { Internal, ProcessorState } from "./processor-state.ts";
import { Segmentation } from "./segmentation.ts";
import { VmxWord } from "./vmx/vmx-state.ts";

export class ProcessorCore {
	readonly state: ProcessorState;
	readonly flags: Flags;
	readonly paging: Paging;
	readonly memory: MemoryAccess;
	readonly segmentation: Segmentation;
	readonly operands: Operands;

	/** @param retired Instructions retired before the current one. */
	constructor(
		readonly physical: PhysicalMemory,
		readonly tlb: TranslationLookasideBuffer,
		readonly retired: () => number,
		/** Bytes of the instruction that raised the fault which is being delivered; 0 when no instruction did. */
		readonly instructionLength: () => number,
	) {
		this.state = new ProcessorState(physical, tlb);
		this.flags = new Flags(physical);
		this.paging = new Paging(this.state);
		this.memory = new MemoryAccess(this.state, this.paging);
		this.segmentation = new Segmentation(this.state, this.memory);
		this.operands = new Operands(this.state, this.memory);
	}

	/** EFLAGS with RF as it stands: RF counts only for the instruction after the one that set it (SDM Vol. 3B §17.3.1.1). */
	readEflags(): number {
		const flags = this.flags.readEflags();
		if ((flags & Eflags.RF) === 0) return flags;
		return this.retired() > this.state.internal(Internal.resumeFlagBoundary) ? flags & ~Eflags.RF : flags;
	}

	/** Writes EFLAGS bits from an instruction that is about to retire, with what follows from RF and AC. */
	writeEflags(value: number, mask: number): void {
		const before = this.state.flagsRest;
		this.flags.writeEflags(value, mask);
		if (mask & value & Eflags.RF) this.state.setInternal(Internal.resumeFlagBoundary, this.retired() + 1);
		const changed = before ^ this.state.flagsRest;
		// Alignment is checked in user mode alone; for the supervisor AC says which pages it may use.
		if (changed & Eflags.VM || (changed & Eflags.AC && this.state.cpl === 3)) this.state.updateMode();
		else if (changed & Eflags.AC) this.tlb.updateContext();
	}

	/** Holds interrupts back until the instruction after this one has retired (SDM Vol. 3A §6.8.3; Vol. 2B, STI). */
	beginInterruptShadow(): void {
		this.state.setInternal(Internal.shadowBoundary, this.retired() + 2);
	}

	/** The same for MOV SS and POP SS, which hold debug traps back too. */
	beginStackShadow(): void {
		this.beginInterruptShadow();
		this.state.setInternal(Internal.debugShadowBoundary, this.retired() + 2);
	}

	/** User-mode instruction prevention (SDM Vol. 3A §2.5): SGDT, SIDT, SLDT, SMSW and STR. @throws {Fault} #GP(0) */
	requireSupervisorUnderUmip(): void {
		if (this.state.cr4 & Cr4.UMIP && this.state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
	}

	/** The outcome of an instruction that has set State.rip: the run loop is asked when an interrupt, a window for one or a single-step trap may be due. */
	leave(): Outcome {
		const { i32 } = this.state;
		const interrupt = i32[State.interruptRequest >> 2] !== 0 && i32[State.interruptsEnabled >> 2] !== 0;
		const nmi = i32[Internal.nmiPending >> 2] !== 0 && i32[Internal.nmiBlocked >> 2] === 0;
		const trap = (i32[State.flagsRest >> 2]! & Eflags.TF) !== 0 || i32[Internal.pendingDebug >> 2] !== 0;
		const windows = i32[VmxWord.windows >> 2] !== 0;
		return interrupt || nmi || trap || windows ? Outcome.exit : Outcome.dispatch;
	}

	/** The outcome of an instruction that changed no mode: goes on, or leaves when an interrupt or a trap may be due. */
	proceed(record: number): Outcome {
		return this.leave() === Outcome.exit ? this.operands.advance(record, Outcome.exit) : Outcome.next;
	}
}

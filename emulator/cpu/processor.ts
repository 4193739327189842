// The architectural processor: every part wired together behind the hooks that the engine calls.

import { TOO_LONG } from "../engine/decoder.ts";
import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome, type ProcessorHooks } from "../engine/helper.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import type { TlbState, TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { Cr0, Cr4, Eflags } from "../isa/register-bits.ts";
import { Segment, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { ControlRegisters } from "./control-registers.ts";
import { ProcessorCore } from "./core.ts";
import {
	Cpuid,
	DEFAULT_FEATURES,
	ONE_PROCESSOR,
	type ProcessorFeatures,
	supportedCr4,
	type Topology,
} from "./cpuid.ts";
import { DebugRegisters, Dr6 } from "./debug-registers.ts";
import { descriptorInstructions } from "./descriptor-instructions.ts";
import { DebugException } from "./exceptions.ts";
import { extendedStateInstructions } from "./extended-state.ts";
import { FarTransfer } from "./far-transfer.ts";
import { flagsInstructions } from "./flags-instructions.ts";
import { floatingPointHelpers } from "./floating-point/index.ts";
import { InitSignals } from "./init-signals.ts";
import { InterruptDelivery } from "./interrupt-delivery.ts";
import { InterruptReturn } from "./interrupt-return.ts";
import type { LocalApicPort } from "./local-apic-port.ts";
import type { AccessWatch } from "./memory-access.ts";
import { apicBaseSlot, ModelSpecificRegisters } from "./model-specific-registers.ts";
import type { LargePageState } from "./paging.ts";
import { type PortBus, PortIo } from "./port-io.ts";
import { Activity, Internal } from "./processor-state.ts";
import { segmentInstructions } from "./segment-instructions.ts";
import { softwareInterrupts } from "./software-interrupt.ts";
import { systemCalls } from "./system-calls.ts";
import { TaskSwitch } from "./task-switch.ts";
import { VMX_HELPERS, Vmx } from "./vmx/vmx.ts";

/** What a processor is put into. */
export interface ProcessorSurroundings {
	readonly physical: PhysicalMemory;
	readonly tlb: TranslationLookasideBuffer;
	readonly ports: PortBus;
	/** Ticks of the time-stamp counter since power-on, an integer below 2^53. */
	readonly timestamp: () => number;
	/** Instructions retired before the current one. */
	readonly retired: () => number;
	/** Bytes of the instruction that raised the fault which is being delivered; 0 when no instruction did. */
	readonly instructionLength?: () => number;
	readonly features?: Partial<ProcessorFeatures>;
	/** Makes the run loop look at what is due: VMX operation has changed. */
	readonly attention?: () => void;
	/** Number and count of the machine's processors; one when left out. */
	readonly topology?: Topology;
	/** PAUSE is executed while State.pauseTrap says that another processor waits for its turn. True: the run loop gives it. */
	readonly yields?: () => boolean;
	/** FERR# is asserted (IRQ 13 in a PC): an x87 exception while CR0.NE is clear. */
	readonly ferr?: () => void;
}

const APIC_BASE_MSR = 0x1b;
const APIC_BASE_BSP = 0x100n;

/** `parameter` of deviceNotAvailable: what the instruction belongs to. */
export const CoprocessorUse = { x87: 0, mmx: 1, sse: 2, wait: 3 } as const;

/** State that does not lie in the processor's bytes. */
export interface ProcessorExtras {
	readonly tlb: TlbState;
	readonly paging: LargePageState;
	readonly delivered: number;
}

export class ArchitecturalProcessor implements ProcessorHooks {
	readonly core: ProcessorCore;
	readonly delivery: InterruptDelivery;
	readonly debug: DebugRegisters;
	readonly control: ControlRegisters;
	readonly modelSpecific: ModelSpecificRegisters;
	readonly cpuid: Cpuid;
	readonly helpers: Readonly<Record<string, Helper>>;
	/** Absent when the processor has no VMX. */
	readonly vmx: Vmx | undefined;
	readonly init: InitSignals;
	private readonly topology: Topology;
	/** Watches of debuggers and the VMM; the debug registers' own comes with them. */
	private watches: readonly AccessWatch[] = [];
	/** The debug registers are among the watches. */
	private watchesData = false;

	constructor(surroundings: ProcessorSurroundings) {
		const features: ProcessorFeatures = { ...DEFAULT_FEATURES, ...surroundings.features };
		const core = new ProcessorCore(
			surroundings.physical,
			surroundings.tlb,
			surroundings.retired,
			surroundings.instructionLength ?? (() => 0),
		);
		const tasks = new TaskSwitch(core);
		this.core = core;
		this.delivery = new InterruptDelivery(core, tasks);
		this.debug = new DebugRegisters(core);
		this.control = new ControlRegisters(core, features);
		this.modelSpecific = new ModelSpecificRegisters(core, surroundings.timestamp);
		this.cpuid = new Cpuid(core, features, surroundings.topology);
		this.topology = surroundings.topology ?? ONE_PROCESSOR;
		const far = new FarTransfer(core, tasks, this.delivery);
		const { jumpFar, jumpFarMemory, callFar, callFarMemory, returnFar } = far;
		const { moveToDebug, moveFromDebug } = this.debug;
		const undefinedInstruction: Helper = () => {
			throw new Fault(Vector.invalidOpcode);
		};
		const notDecoded: Helper = (record) => {
			if (core.operands.length(record) === TOO_LONG) throw new Fault(Vector.generalProtection, 0);
			throw new Fault(Vector.invalidOpcode);
		};
		const ports = new PortIo(core, surroundings.ports, this.debug);
		const helpers: Record<string, Helper> = {
			...segmentInstructions(core),
			...descriptorInstructions(core),
			...flagsInstructions(core, features),
			...softwareInterrupts(core, this.delivery),
			...systemCalls(core),
			...extendedStateInstructions(core),
			...floatingPointHelpers({
				physical: surroundings.physical,
				slowRead: (record, low, high, kind) => core.memory.slowRead(record, low, high, kind),
				slowWrite: (record, low, high, kind) => core.memory.slowWrite(record, low, high, kind),
				probeWrite: (segment, low, high, size) => core.memory.probeWrite(segment, low, high, size),
				fetchAddress: (rip) => core.memory.fetchAddress(rip),
				ferr: surroundings.ferr ?? (() => {}),
			}),
			...this.control.helpers,
			...this.modelSpecific.helpers,
			...ports.helpers,
			pause: (record) => {
				return surroundings.yields?.() ? core.operands.advance(record, Outcome.exit) : Outcome.next;
			},
			cpuid: this.cpuid.cpuid,
			iret: new InterruptReturn(core, tasks).iret,
			jumpFar,
			jumpFarMemory,
			callFar,
			callFarMemory,
			returnFar,
			moveToDebug,
			moveFromDebug,
			undefined: notDecoded,
			// CPUID reports none of these.
			monitor: undefinedInstruction,
			mwait: undefinedInstruction,
			deviceNotAvailable: (_record, use) => this.deviceNotAvailable(use),
		};
		for (const name of VMX_HELPERS) helpers[name] = undefinedInstruction;
		if (features.vmx) {
			this.vmx = new Vmx({
				core,
				modelSpecific: this.modelSpecific,
				delivery: this.delivery,
				control: this.control,
				tasks,
				ports,
				now: surroundings.timestamp,
				cr4: supportedCr4(features),
				onModeSwitch: () => {
					if (this.debug.hasDataBreakpoints !== this.watchesData) this.applyWatches();
					surroundings.attention?.();
				},
			});
			this.helpers = this.vmx.wrap(helpers);
		} else this.helpers = helpers;
		this.debug.onDataBreakpoints = () => this.applyWatches();
		this.init = new InitSignals(core, this.vmx?.unit, {
			isBootstrap: () => ((this.modelSpecific.read(APIC_BASE_MSR) ?? APIC_BASE_BSP) & APIC_BASE_BSP) !== 0n,
			initialize: () => this.initialize(),
			startAt: (vector) => core.state.startAtPage(vector),
		});
		this.reset();
	}

	/** Power-on (SDM Vol. 3A §9.1). The first processor begins; the others wait for a start-up IPI (§8.4.3). */
	reset(): void {
		const { state } = this.core;
		state.reset();
		this.modelSpecific.reset();
		this.vmx?.reset();
		this.applyWatches();
		if (this.topology.id === 0) return;
		state.i64[apicBaseSlot >> 3]! &= ~APIC_BASE_BSP;
		this.init.awaitStartUp();
	}

	/** The state after INIT (SDM Vol. 3A Table 9-1). */
	initialize(): void {
		this.core.state.initialize();
		this.vmx?.reset();
		this.applyWatches();
		this.onInitialized();
	}

	/** Called when an INIT signal was taken: the local APIC begins anew too. */
	onInitialized: () => void = () => {};

	/** What a snapshot needs besides the state bytes. */
	save(): ProcessorExtras {
		return { tlb: this.core.state.tlb.save(), paging: this.core.paging.save(), delivered: this.delivery.delivered };
	}

	/**
	 * Restores what does not lie in the processor's bytes, after restored() and with the bytes as they are to be. The TLB is as in the
	 * snapshot, unless pages are watched, which must not be in it.
	 */
	restoreExtras({ tlb, paging, delivered }: ProcessorExtras): void {
		this.core.state.tlb.restore(tlb);
		this.core.paging.restore(paging);
		this.delivery.delivered = delivered;
		if (this.watches.length > 0) this.core.paging.flush();
	}

	/** To be called after the state bytes were replaced as a whole (a snapshot was restored). */
	restored(): void {
		this.core.state.restored();
		this.vmx?.restored();
		this.applyWatches();
	}

	connectLocalApic(port: LocalApicPort): void {
		this.control.localApic = port;
		this.modelSpecific.localApic = port;
	}

	slowRead(record: number, offsetLow: number, offsetHigh: number, kind: number): void {
		this.core.memory.slowRead(record, offsetLow, offsetHigh, kind);
	}

	slowWrite(record: number, offsetLow: number, offsetHigh: number, kind: number): void {
		this.core.memory.slowWrite(record, offsetLow, offsetHigh, kind);
	}

	fetchAddress(rip: bigint): number {
		return this.core.memory.fetchAddress(rip);
	}

	deliver(fault: Fault): boolean {
		if (fault instanceof DebugException) return this.delivery.deliver(fault);
		this.debug.dropHits();
		const delivered = this.delivery.deliver(fault);
		// A data breakpoint on the handler's stack traps before the handler's first instruction.
		const due = delivered && !this.vmx?.active ? this.takePendingDebug() : 0;
		return due ? this.delivery.deliver(this.debug.raise(due)) : delivered;
	}

	/** Replaces the watches of debuggers and the VMM. */
	setWatches(watches: readonly AccessWatch[]): void {
		this.watches = watches;
		this.applyWatches();
	}

	private applyWatches(): void {
		this.watchesData = this.debug.hasDataBreakpoints;
		const own = this.watchesData ? [this.debug] : [];
		this.core.memory.setWatches([...this.watches, ...own]);
	}

	/** In VMX non-root operation. */
	get runsGuest(): boolean {
		return this.vmx?.active ?? false;
	}

	// For the run loop.

	/** True while STI, MOV SS or POP SS hold interrupts back. */
	get inInterruptShadow(): boolean {
		const { state, retired } = this.core;
		return retired() < state.internal(Internal.shadowBoundary);
	}

	/** True when takeExternalInterrupt() may be called now. */
	get canTakeInterrupt(): boolean {
		if (this.vmx?.active) return this.vmx.events.canTakeInterrupt();
		if (this.init.waits) return false;
		return (this.core.state.flagsRest & Eflags.IF) !== 0 && !this.inInterruptShadow;
	}

	/** True when takeNmi() may be called now. */
	get canTakeNmi(): boolean {
		if (this.vmx?.active) return this.vmx.events.canTakeNmi();
		if (this.init.waits) return false;
		return this.core.state.i32[Internal.nmiBlocked >> 2] === 0 && !this.inInterruptShadow;
	}

	/** One of Activity. */
	get activity(): number {
		return this.core.state.i32[Internal.activity >> 2]!;
	}

	/** Halted, or in another state in which no instruction is executed and something may end it. */
	get halted(): boolean {
		if (this.init.waits) return true;
		return this.vmx?.active ? this.activity !== Activity.active : this.activity === Activity.halted;
	}

	/** True when single instructions have to be run: EFLAGS.TF, breakpoints in the debug registers, or an interrupt shadow. */
	get needsSingleSteps(): boolean {
		const { state } = this.core;
		if (state.flagsRest & Eflags.TF || this.inInterruptShadow || state.i32[Internal.pendingDebug >> 2] !== 0)
			return true;
		if (this.vmx?.active && this.vmx.events.isTrapArmed) return true;
		return (state.i32[(State.dr + 7 * 8) >> 2]! & 0xff) !== 0;
	}

	/**
	 * Takes an external interrupt between instructions, which ends HLT or causes a VM exit; false after shutdown.
	 * @param acknowledge the acknowledge cycle: it gives the vector. A VM exit need not ask for it.
	 */
	takeExternalInterrupt(acknowledge: () => number): boolean {
		const exited = this.vmx?.events.externalInterrupt(acknowledge);
		return exited ?? this.delivery.interrupt(acknowledge(), "external");
	}

	/** Takes a virtual interrupt between instructions, in VMX non-root operation; undefined when none can be taken, false after shutdown. */
	takeVirtualInterrupt(): boolean | undefined {
		return this.vmx?.virtualApic.deliver((vector) => this.delivery.interrupt(vector, "external"));
	}

	/** Delivers an NMI between instructions, blocks further ones until IRET and ends HLT; false after shutdown. */
	takeNmi(): boolean {
		return this.vmx?.events.nmi() ?? this.delivery.interrupt(Vector.nmi, "nmi");
	}

	/**
	 * The #DB that comes before the next instruction: a trap that is due since the last one, or an instruction breakpoint that RF
	 * does not hold back (SDM Vol. 3B §17.3.1.1). Undefined when there is none, or MOV SS holds it back (Vol. 3A §6.8.3).
	 */
	debugFaultBefore(): Fault | undefined {
		const { core, debug } = this;
		const { state } = core;
		this.delivery.enteredHandler = false;
		if (this.inStackShadow) return undefined;
		const due = this.takePendingDebug();
		if (due) return debug.raise(due);
		if (!debug.hasExecutionBreakpoints || core.readEflags() & Eflags.RF) return undefined;
		const base = BigInt.asUintN(64, state.i64[(segmentSlot(Segment.cs) + SegmentSlot.effectiveBase) >> 3]!);
		const linear = BigInt.asUintN(state.mode64 ? 64 : 32, base + state.rip);
		const hits = debug.executionHits(linear);
		return hits ? debug.raise(hits) : undefined;
	}

	/**
	 * A debug trap that waited for the end of an interrupt shadow, or that VM entry made pending: it comes before interrupts. Undefined
	 * when there is none, or MOV SS holds it back.
	 */
	debugTrapDue(): Fault | undefined {
		if (this.core.state.i32[Internal.pendingDebug >> 2] === 0 || this.inStackShadow) return undefined;
		this.delivery.enteredHandler = false;
		return this.debug.raise(this.takePendingDebug());
	}

	/**
	 * The debug trap after an instruction: data and I/O breakpoints that it hit, and single-step when TF was set as it began, but
	 * not after INT n, INT3, INTO or a fault, which cleared TF (SDM Vol. 3B §17.3.1.4). Undefined when there is none or MOV SS holds it back.
	 */
	debugTrapAfter(trapFlagWasSet: boolean): Fault | undefined {
		if (this.inStackShadow) return undefined;
		const step = trapFlagWasSet && !this.delivery.enteredHandler;
		// The monitor trap flag comes first, and its VM exit tells of the trap as a pending one (SDM Vol. 3C §26.5.2, §28.3.4).
		if (step) this.debug.requestTrap(Dr6.BS);
		if (this.vmx?.events.isTrapDue) return undefined;
		const due = this.takePendingDebug();
		return due ? this.debug.raise(due) : undefined;
	}

	private get inStackShadow(): boolean {
		const { state, retired } = this.core;
		return retired() < state.internal(Internal.debugShadowBoundary);
	}

	private takePendingDebug(): number {
		const { i32 } = this.core.state;
		const pending = i32[Internal.pendingDebug >> 2]!;
		i32[Internal.pendingDebug >> 2] = 0;
		return pending;
	}

	/** #UD or #NM for an instruction that State.x87Trap or State.sseTrap stopped (SDM Vol. 3A Table 2-2, §13.1.4). */
	private deviceNotAvailable(use: number): Outcome {
		const { cr0, cr4 } = this.core.state;
		if (use === CoprocessorUse.wait) {
			if ((cr0 & (Cr0.MP | Cr0.TS)) === (Cr0.MP | Cr0.TS)) throw new Fault(Vector.deviceNotAvailable);
			return Outcome.next;
		}
		if (use === CoprocessorUse.mmx && cr0 & Cr0.EM) throw new Fault(Vector.invalidOpcode);
		if (use === CoprocessorUse.sse && (cr0 & Cr0.EM || !(cr4 & Cr4.OSFXSR))) throw new Fault(Vector.invalidOpcode);
		if (cr0 & (Cr0.EM | Cr0.TS)) throw new Fault(Vector.deviceNotAvailable);
		return Outcome.next;
	}
}

// The host: processors, memory, devices, and the loop that gives each its turn. It knows nothing of a VMM.
//
// Virtual time is the count of the instructions that all processors have retired, one nanosecond each, plus the time that all stood
// halted: then time moves at once to the next alarm. So nothing here depends on the host's clock.

import { ArchitecturalProcessor, type ProcessorExtras } from "../cpu/processor.ts";
import { Activity, Internal } from "../cpu/processor-state.ts";
import { VmxWord } from "../cpu/vmx/vmx-state.ts";
import { VirtualClock } from "../devices/clock.ts";
import type { DmaMemory } from "../devices/dma-port.ts";
import type { FirmwareKernel } from "../devices/fw-cfg.ts";
import { type EngineTier, ExecutionEngine, MOST_DELIVERIES } from "../engine/execution-engine.ts";
import { ExitReason } from "../engine/exit-reason.ts";
import { PageKind, PhysicalMemory, type RecycledMemory } from "../engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { SavedStates, State } from "../isa/state.ts";
import { dmaMemory } from "./dma-memory.ts";
import type { FirmwareRom } from "./firmware-rom.ts";
import type { OptionalDeviceConfiguration } from "./optional-devices.ts";
import { PcDevices } from "./pc-devices.ts";
import { ProcessorTurns, type TurnState } from "./processor-turns.ts";

/** Why HostMachine.run() returned before its budget was used up. */
export type HostStop =
	| { readonly kind: "breakpoint" }
	/** The processor fetches from the range given to engine.setHostEntry(). */
	| { readonly kind: "host-entry" }
	/** Someone called requestStop(). */
	| { readonly kind: "requested" }
	| { readonly kind: "shutdown" }
	/** Halted, and nothing that is pending can ever wake it. */
	| { readonly kind: "halted" }
	| { readonly kind: "poweroff" }
	| { readonly kind: "debug-exit"; readonly value: number };

export interface HostConfiguration {
	/** Bytes of RAM from address 0, a multiple of 4096. */
	readonly memoryBytes: number;
	/** How many processors there are, at most SavedStates.count; one when left out. */
	readonly processors?: number | undefined;
	/** Memory of a host that is no longer used; see PhysicalMemory. */
	readonly recycled?: RecycledMemory | undefined;
	/** What runs the code; the default is "compiled", which compiles what is hot and interprets the rest. */
	readonly engine?: EngineTier | undefined;
	/** The ROM that the processor starts in; without it a loader sets the first instruction. */
	readonly firmware?: FirmwareRom;
	/** A kernel for the firmware to start. */
	readonly kernel?: FirmwareKernel | undefined;
	/** Devices beyond the bare PC's. */
	readonly optional?: Omit<OptionalDeviceConfiguration, "memory"> | undefined;
	readonly onSerial: (byte: number) => void;
	readonly onDebugConsole: (byte: number) => void;
	/** The machine was reset by the guest (keyboard controller, port 0x92, 0xcf9). */
	readonly onReset: () => void;
}

/** Alarms that pass over a halted processor in one run: a guest that waits for what never comes must not hold the caller up. */
const MOST_IDLE_ALARMS = 1 << 16;
/** Turns of the run loop in which no instruction retires: a guest whose handlers only fault must not hold the caller up either. */
const MOST_FRUITLESS = 1024;
/** EFLAGS.TF */
const TRAP_FLAG = 0x100;

export class HostMachine {
	readonly physical: PhysicalMemory;
	readonly tlb: TranslationLookasideBuffer;
	readonly clock = new VirtualClock();
	readonly devices: PcDevices;
	/** The processor that runs: it has the turn, and its state is in its place. */
	processor: ArchitecturalProcessor;
	/** All, by number; the first is the bootstrap processor. */
	readonly processors: readonly ArchitecturalProcessor[];
	readonly turns: ProcessorTurns;
	readonly engine: ExecutionEngine;
	/** Nanoseconds of virtual time in which no instruction retired. */
	private idle = 0;
	private readonly live = () => this.now();
	/** Virtual time at which the slice that runs ends. */
	private sliceEnd = 0;
	private pending: HostStop | undefined;
	/** Interrupts and alarms wait while this is set: the debugger steps. */
	holdInterrupts = false;
	/** The processor that runs keeps the turn: the debugger steps it, and holds the others. */
	onlyThis = false;

	constructor(configuration: HostConfiguration) {
		const { firmware } = configuration;
		this.physical = new PhysicalMemory(configuration.memoryBytes, firmware?.bytes.length, configuration.recycled);
		this.tlb = new TranslationLookasideBuffer(this.physical);
		const count = configuration.processors ?? 1;
		const numbers = [...new Array(count).keys()];
		this.devices = new PcDevices({
			clock: this.clock,
			memoryBytes: configuration.memoryBytes,
			processors: count,
			interruptRequest: (asserted, number) => this.setInterruptRequest(asserted, number),
			nonMaskableInterrupt: (number) => this.raiseNmi(number),
			initSignal: (number) => {
				this.processors[number]!.init.signal(this.turns.stateAt(number));
				this.hasCome(number);
			},
			startUp: (vector, number) => {
				this.processors[number]!.init.startUp(vector, this.turns.stateAt(number));
				this.hasCome(number);
			},
			reset: () => {
				configuration.onReset();
				this.stop({ kind: "requested" });
			},
			powerOff: () => this.stop({ kind: "poweroff" }),
			debugExit: (value) => this.stop({ kind: "debug-exit", value }),
			debugConsole: configuration.onDebugConsole,
			serial: configuration.onSerial,
			firmware: firmware !== undefined,
			kernel: configuration.kernel,
			optional: configuration.optional && { ...configuration.optional, memory: this.busMasterMemory() },
			shadowMemory: (pam) => {
				firmware?.shadow(this.physical, pam);
				for (const { core } of this.processors) core.tlb.flush();
			},
			timeOfTsc: (tsc, number) => Number(tsc) - this.timestampOffset(number),
		});
		this.physical.bus = this.devices.memory;
		firmware?.install(this.physical);
		// The window of the graphics adapter is not RAM.
		this.physical.kind.fill(PageKind.mmio, 0xa0, 0xc0);
		this.processors = numbers.map((id) => this.makeProcessor(id, count));
		this.processor = this.processors[0]!;
		this.turns = new ProcessorTurns(
			this.physical,
			this.processors,
			() => this.engine,
			(number) => {
				this.processor = this.processors[number]!;
				this.devices.selectProcessor(number);
			},
		);
		this.engine = new ExecutionEngine(this.physical, this.tlb, this.processor, configuration.engine);
		// An alarm that an instruction of the slice asks for comes at its moment, wherever the slice ends.
		this.clock.onAlarm = (time) => {
			if (time < this.sliceEnd) this.engine.stopAfterInstruction();
		};
		this.powerOn();
	}

	private makeProcessor(id: number, count: number): ArchitecturalProcessor {
		const processor = new ArchitecturalProcessor({
			physical: this.physical,
			tlb: id === 0 ? this.tlb : new TranslationLookasideBuffer(this.physical, this.tlb),
			ports: this.devices.ports,
			timestamp: () => this.now(),
			// Shadows of STI and MOV SS end with the processor's own instructions.
			retired: count === 1 ? () => this.engine.retired : () => this.turns.retired,
			instructionLength: () => this.engine.faultingLength,
			ferr: () => this.devices.coprocessorError.assert(),
			attention: () => this.engine?.stopAfterInstruction(),
			topology: { id, count },
			...(count === 1 ? {} : { yields: () => this.turns.yield() }),
		});
		processor.connectLocalApic(this.devices.localApicPortOf(id));
		processor.onInitialized = () => this.devices.localApics[id]!.initialize();
		return processor;
	}

	/** Called after a bus master wrote memory (host-physical address, bytes); a VMM keeps copies that it has to drop. */
	onDmaWrite: (address: number, length: number) => void = () => {};

	private busMasterMemory(): DmaMemory {
		const memory = dmaMemory(() => this.physical);
		return {
			read: memory.read,
			write: (address, bytes) => {
				const done = memory.write(address, bytes);
				if (done) this.onDmaWrite(address, bytes.length);
				return done;
			},
		};
	}

	/** The state after power-on. RAM keeps its bytes; a loader writes what it needs. */
	powerOn(): void {
		this.idle = 0;
		this.turns.load(0);
		this.engine.setRetired(0);
		this.turns.clear();
		this.clock.restore(0);
		this.reset();
	}

	/** Nanoseconds that the processor has stood halted. */
	get idleTime(): number {
		return this.idle;
	}

	/** Time as a snapshot has it, and no decoded code; devices, memory and processor are restored by the caller. */
	beginRestore(retired: number, idle: number): void {
		this.pending = undefined;
		this.engine.code.flush();
		this.engine.setRetired(retired);
		this.idle = idle;
		this.clock.restore(retired + idle);
	}

	/**
	 * Makes everything follow from the bytes of the processors' states and the TLB that a snapshot has kept.
	 * @param putBack replaces those bytes
	 */
	restoreProcessors(extras: readonly ProcessorExtras[], turns: TurnState, putBack: () => void): void {
		const { u8 } = this.physical;
		for (const [number, processor] of this.processors.entries()) {
			putBack();
			const at = SavedStates.base + number * SavedStates.size;
			if (number !== turns.current) u8.copyWithin(0, at, at + SavedStates.size);
			for (const { core } of this.processors) core.tlb.select(core === processor.core);
			processor.restored();
		}
		putBack();
		for (const [number, processor] of this.processors.entries()) processor.restoreExtras(extras[number]!);
		this.turns.restore(turns, this.engine.retired);
	}

	/** The reset line was pulled: processor and devices begin anew, memory keeps its bytes, and virtual time goes on. */
	reset(): void {
		this.pending = undefined;
		for (const [number, processor] of this.processors.entries()) {
			this.turns.load(number);
			processor.reset();
		}
		this.turns.give(0);
		this.devices.reset();
		this.engine.code.flush();
	}

	/** What the time-stamp counter of a processor is ahead of virtual time. */
	private timestampOffset(number: number): number {
		const { i64 } = this.physical;
		const at = this.turns.stateAt(number);
		// What a VMX guest's time stamp has on top counts for its instructions alone (SDM Vol. 3C §26.3).
		return Number(i64[(at + Internal.timestampOffset) >> 3]! - i64[(at + VmxWord.timestampOffset) >> 3]!);
	}

	/** Virtual time in nanoseconds, to the current instruction. */
	now(): number {
		return this.engine.retired + this.idle;
	}

	/** Makes run() return before the next instruction. */
	stop(reason: HostStop): void {
		this.pending ??= reason;
		this.engine.stopAfterInstruction();
	}

	private setInterruptRequest(asserted: boolean, number: number): void {
		const { i32 } = this.physical;
		const at = this.turns?.stateAt(number) ?? 0;
		i32[(at + State.interruptRequest) >> 2] = asserted ? 1 : 0;
		if (asserted && i32[(at + State.interruptsEnabled) >> 2] !== 0) this.hasCome(number);
	}

	private raiseNmi(number: number): void {
		this.physical.i32[(this.turns.stateAt(number) + Internal.nmiPending) >> 2] = 1;
		this.hasCome(number);
	}

	/** Something has come to a processor, which is looked at before its next instruction. */
	private hasCome(number: number): void {
		if (this.turns && number !== this.turns.current) this.turns.woke();
		this.engine?.stopAfterInstruction();
	}

	/**
	 * The last run() ended before its budget: the processor is halted, and nothing that came in a long time has woken it, or it only
	 * delivers faults.
	 */
	stoodStill = false;

	/** Runs at most `count` instructions; undefined when exactly that many have retired, or when it stood still for long. */
	run(count: number): HostStop | undefined {
		let idleAlarms = 0;
		let fruitless = 0;
		this.stoodStill = false;
		const end = this.engine.retired + count;
		const { turns, engine } = this;
		for (;;) {
			const stopped = this.takeStop();
			if (stopped) return stopped;
			if (engine.retired >= end) return undefined;
			let slice = end - engine.retired;
			if (!this.holdInterrupts) {
				this.clock.advanceTo(this.now());
				if (this.pending) continue;
				if (turns.several && turns.left === 0) {
					if (this.onlyThis) turns.give(turns.current);
					else turns.next();
				}
				const { processor } = this;
				const taken = this.takeEvent();
				if (taken === false) return { kind: "shutdown" };
				if (taken || this.pending) continue;
				if (processor.activity === Activity.shutdown && !processor.vmx?.active) return { kind: "shutdown" };
				if (processor.halted) {
					if (turns.several && this.onlyThis) return undefined;
					if (turns.several && turns.passOn()) continue;
					if (!this.skipToAlarm()) return { kind: "halted" };
					if (++idleAlarms > MOST_IDLE_ALARMS) {
						this.stoodStill = true;
						return undefined;
					}
					continue;
				}
				slice = Math.min(slice, Math.max(1, this.nextAlarm() - this.now()));
				if (turns.several) slice = Math.min(slice, turns.left);
			} else {
				const { processor } = this;
				// What belongs to the last instruction does not wait.
				const exited = processor.vmx?.virtualApic.trapExit() ?? processor.vmx?.events.monitorTrap();
				if (exited === false) return { kind: "shutdown" };
				if (exited) continue;
				if (processor.halted) return { kind: "halted" };
			}
			this.sliceEnd = this.now() + slice;
			this.clock.live = this.live;
			const before = engine.retired;
			const reason = this.processor.needsSingleSteps ? this.singleStep() : engine.execute(slice);
			this.clock.live = undefined;
			if (engine.retired !== before) {
				fruitless = 0;
				turns.progressed();
			} else if (++fruitless > MOST_FRUITLESS) {
				this.stoodStill = true;
				return undefined;
			}
			if (engine.inFaultStorm) {
				engine.inFaultStorm = false;
				this.idle += MOST_DELIVERIES;
			}
			switch (reason) {
				case ExitReason.breakpoint:
					return this.takeStop() ?? { kind: "breakpoint" };
				case ExitReason.hostEntry:
					return this.takeStop() ?? { kind: "host-entry" };
				case ExitReason.shutdown:
					return { kind: "shutdown" };
				default:
			}
		}
	}

	/**
	 * What is due between two instructions, the first in the order of priority (SDM Vol. 3A Table 6-2; Vol. 3C §26.2, §26.5).
	 * @returns undefined when nothing is; false after shutdown.
	 */
	private takeEvent(): boolean | undefined {
		const guest = this.processor.vmx?.active ? this.processor.vmx.events : undefined;
		return (
			this.processor.vmx?.virtualApic.trapExit() ??
			this.processor.init.take() ??
			guest?.monitorTrap() ??
			this.takeDebugTrap() ??
			guest?.beforeNmi(this.now()) ??
			this.takeNmi() ??
			guest?.interruptWindow() ??
			this.takeExternalInterrupt() ??
			this.processor.takeVirtualInterrupt()
		);
	}

	private takeDebugTrap(): boolean | undefined {
		const trap = this.processor.debugTrapDue();
		return trap && this.processor.deliver(trap);
	}

	private takeNmi(): boolean | undefined {
		const { processor } = this;
		const { i32 } = this.physical;
		if (i32[Internal.nmiPending >> 2] === 0 || !processor.canTakeNmi) return undefined;
		i32[Internal.nmiPending >> 2] = 0;
		return processor.takeNmi();
	}

	private takeExternalInterrupt(): boolean | undefined {
		const { processor } = this;
		if (this.physical.i32[State.interruptRequest >> 2] === 0 || !processor.canTakeInterrupt) return undefined;
		return processor.takeExternalInterrupt(() => this.devices.acknowledge(this.turns.current));
	}

	/** One instruction with the debug exceptions before and after it (SDM Vol. 3B §17.3). */
	private singleStep(): ExitReason {
		const { processor, engine } = this;
		const before = processor.debugFaultBefore();
		if (before) return processor.deliver(before) ? ExitReason.fuel : ExitReason.shutdown;
		const trapFlag = (this.physical.i32[State.flagsRest >> 2]! & TRAP_FLAG) !== 0;
		const retired = engine.retired;
		const monitorTrap = processor.vmx?.events.isTrapArmed ?? false;
		const reason = engine.execute(1);
		if (monitorTrap) processor.vmx?.events.trapAfterInstruction();
		if (engine.retired > retired) {
			const after = processor.debugTrapAfter(trapFlag);
			if (after && !processor.deliver(after)) return ExitReason.shutdown;
		}
		return reason;
	}

	private takeStop(): HostStop | undefined {
		const { pending } = this;
		this.pending = undefined;
		return pending;
	}

	/** The next moment at which a device or the VMX-preemption timer asks for attention. */
	private nextAlarm(): number {
		return Math.min(this.clock.nextAlarm(), this.processor.vmx?.events.deadline ?? Number.POSITIVE_INFINITY);
	}

	/** While all are halted: moves time to the next alarm. False when there is none, so that nothing can wake a processor. */
	private skipToAlarm(): boolean {
		const deadlines = this.processors.map((_, number) => this.preemptionDeadline(number));
		const alarm = Math.min(this.clock.nextAlarm(), ...deadlines);
		if (alarm === Number.POSITIVE_INFINITY) return false;
		this.idle += Math.max(0, alarm - this.now());
		return true;
	}

	private preemptionDeadline(number: number): number {
		const deadline = this.physical.i64[(this.turns.stateAt(number) + VmxWord.preemptionDeadline) >> 3]!;
		return deadline === -1n ? Number.POSITIVE_INFINITY : Number(deadline);
	}

	/** The interrupt-enable flag as the run loop sees it. */
	get interruptsEnabled(): boolean {
		return this.physical.i32[State.interruptsEnabled >> 2] !== 0;
	}
}

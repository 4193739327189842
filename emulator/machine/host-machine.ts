// The host: one processor, memory, devices, and the loop that gives each its turn. It knows nothing of a VMM.
//
// Virtual time is the count of retired instructions, one nanosecond each, plus the time that the processor stood halted:
// while it is halted, time moves at once to the next alarm. So nothing here depends on the host's clock.

import { ArchitecturalProcessor } from "../cpu/processor.ts";
import { Activity, Internal } from "../cpu/processor-state.ts";
import { VmxWord } from "../cpu/vmx/vmx-state.ts";
import { VirtualClock } from "../devices/clock.ts";
import type { DmaMemory } from "../devices/dma-port.ts";
import type { FirmwareKernel } from "../devices/fw-cfg.ts";
import { type EngineTier, ExecutionEngine, MOST_DELIVERIES } from "../engine/execution-engine.ts";
import { ExitReason } from "../engine/exit-reason.ts";
import { PageKind, PhysicalMemory, type RecycledMemory } from "../engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { State } from "../isa/state.ts";
import { dmaMemory } from "./dma-memory.ts";
import type { FirmwareRom } from "./firmware-rom.ts";
import type { OptionalDeviceConfiguration } from "./optional-devices.ts";
import { PcDevices } from "./pc-devices.ts";

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
	readonly processor: ArchitecturalProcessor;
	readonly engine: ExecutionEngine;
	/** Nanoseconds of virtual time in which no instruction retired. */
	private idle = 0;
	private readonly live = () => this.now();
	/** Virtual time at which the slice that runs ends. */
	private sliceEnd = 0;
	private pending: HostStop | undefined;
	/** Interrupts and alarms wait while this is set: the debugger steps. */
	holdInterrupts = false;

	constructor(configuration: HostConfiguration) {
		const { firmware } = configuration;
		this.physical = new PhysicalMemory(configuration.memoryBytes, firmware?.bytes.length, configuration.recycled);
		this.tlb = new TranslationLookasideBuffer(this.physical);
		this.devices = new PcDevices({
			clock: this.clock,
			memoryBytes: configuration.memoryBytes,
			interruptRequest: (asserted) => this.setInterruptRequest(asserted),
			nonMaskableInterrupt: () => this.raiseNmi(),
			initSignal: () => {
				this.processor.init.signal();
				this.engine.stopAfterInstruction();
			},
			startUp: (vector) => {
				this.processor.init.startUp(vector);
				this.engine.stopAfterInstruction();
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
				this.tlb.flush();
			},
			timeOfTsc: (tsc) => Number(tsc) - this.timestampOffset,
		});
		this.physical.bus = this.devices.memory;
		firmware?.install(this.physical);
		// The window of the graphics adapter is not RAM.
		this.physical.kind.fill(PageKind.mmio, 0xa0, 0xc0);
		this.processor = new ArchitecturalProcessor({
			physical: this.physical,
			tlb: this.tlb,
			ports: this.devices.ports,
			timestamp: () => this.now(),
			retired: () => this.engine.retired,
			instructionLength: () => this.engine.faultingLength,
			ferr: () => this.devices.coprocessorError.assert(),
			attention: () => this.engine?.stopAfterInstruction(),
		});
		this.processor.connectLocalApic(this.devices.localApicPort);
		this.processor.onInitialized = () => this.devices.localApic.initialize();
		this.engine = new ExecutionEngine(this.physical, this.tlb, this.processor, configuration.engine);
		// An alarm that an instruction of the slice asks for comes at its moment, wherever the slice ends.
		this.clock.onAlarm = (time) => {
			if (time < this.sliceEnd) this.engine.stopAfterInstruction();
		};
		this.powerOn();
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
		this.engine.setRetired(0);
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

	/** The reset line was pulled: processor and devices begin anew, memory keeps its bytes, and virtual time goes on. */
	reset(): void {
		this.pending = undefined;
		this.processor.reset();
		this.devices.reset();
		this.engine.code.flush();
	}

	/** What the time-stamp counter is ahead of virtual time. */
	private get timestampOffset(): number {
		const { i64 } = this.physical;
		// What a VMX guest's time stamp has on top counts for its instructions alone (SDM Vol. 3C §26.3).
		return Number(i64[Internal.timestampOffset >> 3]! - i64[VmxWord.timestampOffset >> 3]!);
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

	private setInterruptRequest(asserted: boolean): void {
		const { i32 } = this.physical;
		i32[State.interruptRequest >> 2] = asserted ? 1 : 0;
		if (asserted && i32[State.interruptsEnabled >> 2] !== 0) this.engine?.stopAfterInstruction();
	}

	private raiseNmi(): void {
		this.physical.i32[Internal.nmiPending >> 2] = 1;
		this.engine.stopAfterInstruction();
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
		const { processor, engine } = this;
		for (;;) {
			const stopped = this.takeStop();
			if (stopped) return stopped;
			if (engine.retired >= end) return undefined;
			let slice = end - engine.retired;
			if (!this.holdInterrupts) {
				this.clock.advanceTo(this.now());
				if (this.pending) continue;
				const taken = this.takeEvent();
				if (taken === false) return { kind: "shutdown" };
				if (taken || this.pending) continue;
				if (processor.activity === Activity.shutdown && !processor.vmx?.active) return { kind: "shutdown" };
				if (processor.halted) {
					if (!this.skipToAlarm()) return { kind: "halted" };
					if (++idleAlarms > MOST_IDLE_ALARMS) {
						this.stoodStill = true;
						return undefined;
					}
					continue;
				}
				slice = Math.min(slice, Math.max(1, this.nextAlarm() - this.now()));
			} else {
				// What belongs to the last instruction does not wait.
				const exited = processor.vmx?.virtualApic.trapExit() ?? processor.vmx?.events.monitorTrap();
				if (exited === false) return { kind: "shutdown" };
				if (exited) continue;
				if (processor.halted) return { kind: "halted" };
			}
			this.sliceEnd = this.now() + slice;
			this.clock.live = this.live;
			const before = engine.retired;
			const reason = processor.needsSingleSteps ? this.singleStep() : engine.execute(slice);
			this.clock.live = undefined;
			if (engine.retired !== before) fruitless = 0;
			else if (++fruitless > MOST_FRUITLESS) {
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
		return processor.takeExternalInterrupt(() => this.devices.acknowledge());
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

	/** While halted: moves time to the next alarm. False when there is none, so that nothing can wake the processor. */
	private skipToAlarm(): boolean {
		const alarm = this.nextAlarm();
		if (alarm === Number.POSITIVE_INFINITY) return false;
		this.idle += Math.max(0, alarm - this.now());
		return true;
	}

	/** The interrupt-enable flag as the run loop sees it. */
	get interruptsEnabled(): boolean {
		return this.physical.i32[State.interruptsEnabled >> 2] !== 0;
	}
}

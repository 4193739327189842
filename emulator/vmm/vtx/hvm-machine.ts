// `--vmm hvm`: the guest runs in VMX non-root operation under a VMM that is the host's VMX root software.

import type { EventSource } from "../../cpu/interrupt-delivery.ts";
import { ExitReasonNumber, exitReasonName } from "../../cpu/vmx/exit-reasons.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { Vector } from "../../engine/fault.ts";
import { PageKind } from "../../engine/physical-memory.ts";
import { State } from "../../isa/state.ts";
import { checkBootSource } from "../../machine/boot-source.ts";
import { DmaWatchpoints } from "../../machine/dma-watchpoints.ts";
import { enterBootState } from "../../machine/enter-boot-state.ts";
import { exceptionMnemonic } from "../../machine/exception-names.ts";
import { FirmwareRom } from "../../machine/firmware-rom.ts";
import { sha256 } from "../../machine/hash.ts";
import type { HostStop } from "../../machine/host-machine.ts";
import {
	type HostSnapshot,
	restoreDevices,
	restoreHostSnapshot,
	saveDevices,
	takeHostSnapshot,
} from "../../machine/host-snapshot.ts";
import { loadImage } from "../../machine/loaders/load-image.ts";
import {
	type Address,
	type ExecutionBreakpoint,
	type MachineConfiguration,
	MachineError,
	type MachineSnapshot,
	type MachineStatistics,
	type Processor,
	type StepOptions,
	type Stop,
	type VirtualMachine,
	type Watchpoint,
} from "../../machine/virtual-machine.ts";
import { exitDetail, exitOperands, exitTitle, inOneLine } from "../../machine/vmcs/exit-words.ts";
import { VmcsBytes } from "../../machine/vmcs/vmcs-bytes.ts";
import { HostVmxView } from "../../machine/vmx-view.ts";
import { HostedBreakpoints } from "../hosted-breakpoints.ts";
import { HostedMachine, PCPU, type RunState, VCPU } from "../hosted-machine.ts";
import { GuestProcessor } from "./guest-processor.ts";
import { GuestWatchpoints } from "./guest-watchpoints.ts";
import { HostProcessor } from "./host-processor.ts";
import { Monitor, type MonitorState, vmmOverhead } from "./monitor.ts";

/** Pages that the host bridge can shadow: C0000H to FFFFFH. */
const SHADOW_FIRST = 0xc0;
const SHADOW_END = 0x100;
/** Host instructions and exits of one guest instruction at most. */
const STEP_LIMIT = 100_000;

interface HvmSnapshot extends MachineSnapshot, RunState {
	readonly host: HostSnapshot;
	readonly guestDevices: readonly unknown[];
	readonly monitor: MonitorState;
	readonly vmx: ReturnType<HostVmxView["save"]>;
	readonly trueFaults: number;
	readonly shown: { readonly linear: bigint; readonly vector: number } | undefined;
	readonly resetAsked: boolean;
	readonly initAsked: boolean;
}

export class HvmMachine extends HostedMachine implements VirtualMachine {
	readonly technique = "hvm";
	monitor!: Monitor;
	vmx!: HostVmxView;
	private rom: FirmwareRom | undefined;
	private readonly vcpu = new GuestProcessor();
	private readonly pcpu = new HostProcessor(this.vcpu);
	private readonly breakpoints = new HostedBreakpoints();
	private readonly watchpoints = new GuestWatchpoints({
		instruction: () => this.vcpu.linearInstructionPointer(),
		hit: (stop) => this.stopAt(stop),
	});
	private readonly dmaWatchpoints = new DmaWatchpoints({
		physical: (address) => this.dmaAddress(address, this.guestPhysical(address)),
		instruction: () => this.vcpu.linearInstructionPointer(),
		hit: (stop) => this.stopAt(stop),
	});
	private trueFaults = 0;
	/** The guest's local APIC has taken an INIT signal that the vCPU has not. */
	private initAsked = false;
	/** The exception at which the machine stands. */
	private shown: { readonly linear: bigint; readonly vector: number } | undefined;

	/** @throws {MachineError} when the image cannot be started. */
	constructor(configuration: MachineConfiguration) {
		super(configuration);
		this.start();
	}

	protected start(): void {
		checkBootSource(this.configuration);
		const { firmware } = this.configuration;
		this.rom = firmware && new FirmwareRom(firmware.name, firmware.bytes);
		const romBytes = this.rom?.bytes.length ?? 0;
		this.makeHost(vmmOverhead(this.configuration.memory) + romBytes, {
			firmware: this.rom !== undefined,
			shadowMemory: (pam) => this.shadowMemory(pam),
			interruptRequest: (asserted) => this.monitor?.interruptRequest(asserted),
			nonMaskableInterrupt: () => this.monitor.nonMaskableInterrupt(),
			initSignal: () => {
				this.initAsked = true;
				this.host.stop({ kind: "requested" });
			},
			memory: () => this.monitor.physical,
		});
		const { host, guestDevices } = this;
		this.trueFaults = 0;
		this.shown = undefined;
		const { unit } = host.processor.vmx!;
		this.vmx = new HostVmxView(host, [unit]);
		unit.observers.push({ entered: () => this.seeEntry() });
		this.monitor = new Monitor(
			host,
			this.configuration.memory,
			romBytes,
			guestDevices,
			{
				tripleFault: () => this.end({ reason: "triple-fault", processor: VCPU, description: this.describeShutdown() }),
				halted: () =>
					this.end({ reason: "halted", description: "The vCPU is halted with interrupts off; nothing can wake it." }),
				hiddenFault: (linear, errorCode) => this.seeHiddenFault(linear, errorCode),
				softwareException: (vector, errorCode) => {
					this.tell(vector, errorCode, "exception");
					// It is delivered all the same: the machine stops behind it.
					this.shown = undefined;
				},
			},
			this.configuration.mmu,
			this.monitor,
		);
		const { monitor } = this;
		monitor.physical.bus = guestDevices.memory;
		monitor.physical.kind.fill(PageKind.mmio, 0xa0, 0xc0);
		monitor.emulator.onModeSwitch = (mode, previous) => this.seeMode(mode, previous);
		this.rom?.install(monitor.physical);
		this.assignDevices(monitor.physical, monitor.frames, monitor.messages);
		this.vcpu.attach(monitor, this.remapping);
		this.pcpu.attach(host, this.remapping);
		host.processor.delivery.onEvent = (vector, errorCode, source) => this.seeEvent(vector, errorCode, source);
		host.processor.core.state.onModeChange = (mode, previous) => {
			if (monitor.control.inGuest) this.seeMode(mode, previous);
		};
		monitor.start();
		this.boot();
		this.breakpoints.install(this.host.engine);
		this.watchpoints.attach(monitor);
		this.dmaWatchpoints.attach(this.dmaPath);
	}

	/** The guest's power-on or reset: its devices, its image, its vCPU. */
	private boot(): void {
		const { configuration, monitor, guestDevices } = this;
		this.resetAsked = this.initAsked = false;
		this.passthrough?.reset();
		guestDevices.reset();
		const { processor } = monitor.emulator;
		if (configuration.image && !configuration.firmware) {
			const boot = loadImage(
				configuration.image,
				configuration,
				{
					size: configuration.memory,
					write: (address, bytes) => void monitor.physical.poke(address, bytes),
				},
				guestDevices.platform,
			);
			enterBootState(processor, boot);
		} // With firmware the vCPU stands at its reset vector (SDM Vol. 3A §9.1.4), which lies in the ROM.
		else processor.reset();
		monitor.enterGuest();
	}

	/** INIT for the vCPU: it begins anew at the reset vector, and its local APIC with it (SDM Vol. 3A §9.1). */
	private initialize(): void {
		this.initAsked = false;
		const { emulator } = this.monitor;
		emulator.load();
		emulator.processor.initialize();
		this.guestDevices.localApic.initialize();
		this.monitor.enterGuest();
	}

	/** The guest's host bridge shows other memory below 1 MB. */
	private shadowMemory(pam: Uint8Array): void {
		if (!this.monitor || !this.rom) return;
		this.rom.shadow(this.monitor.physical, pam);
		this.passthrough?.pagesChanged(SHADOW_FIRST, SHADOW_END);
	}

	private guestPhysical({ space, value }: Address): bigint | undefined {
		if (space === "lin") return this.vcpu.translate(value, "gpa");
		if (space === "gpa") return value;
		const page = this.monitor.physical.pmap.indexOf(Number(value >> 12n));
		return page < 0 ? undefined : BigInt(page) * 4096n + (value & 0xfffn);
	}

	protected override get timestampOffset(): number {
		return Number(BigInt.asIntN(64, this.monitor.vmcs.read(Vmcs.tscOffset)));
	}

	processors(): Processor[] {
		return [this.vcpu, this.pcpu];
	}

	/** Iterations seen by workDone(). */
	private iterationsSeen = 0;

	/** One exit may mean thousands of accesses to a device: a guest that makes many must not keep the caller waiting. */
	protected override workDone(): number {
		const { iterations } = this.monitor.emulator;
		const done = Math.max(0, iterations - this.iterationsSeen);
		this.iterationsSeen = iterations;
		return done;
	}

	protected beforeRun(pass: boolean): void {
		if (pass) this.host.engine.passBreakpoint();
	}

	protected afterRun(): undefined {
		return undefined;
	}

	protected advance(instructions: number): Stop | undefined {
		const { monitor } = this;
		if (monitor.exitPending) {
			monitor.handleExit();
			return this.conclude(undefined);
		}
		if (this.resetAsked) {
			if (monitor.control.inGuest) monitor.forceExit();
			else this.boot();
		}
		if (this.initAsked) {
			if (monitor.control.inGuest) monitor.forceExit();
			else this.initialize();
		}
		const entered = this.enterGuest(instructions);
		if (entered !== undefined) return this.conclude(entered);
		return this.conclude(this.host.run(instructions));
	}

	/** VMLAUNCH or VMRESUME by itself, when something has to be done between it and the guest's first instruction. */
	private enterGuest(instructions: number): HostStop | undefined {
		const { monitor, host } = this;
		if (monitor.control.inGuest || instructions < 2 || !monitor.retries || this.breakpoints.isEmpty) return undefined;
		host.engine.passBreakpoint();
		const stop = host.run(1);
		monitor.retries = false;
		if (!stop) host.engine.passBreakpoint();
		return stop;
	}

	private conclude(stop: HostStop | undefined): Stop | undefined {
		if (stop?.kind === "host-entry") this.seeExit();
		const pending = this.takePending();
		if (pending) return pending;
		if (this.ended) return this.ended;
		switch (stop?.kind) {
			case "breakpoint": {
				const hit = this.breakpoints.hits(this.pcpu, this.monitor.control.inGuest ? this.vcpu : undefined);
				if (hit) return hit;
				this.host.engine.passBreakpoint();
				return undefined;
			}
			case "shutdown":
				throw new Error("The host shut down: a VMX abort, or the VMM's own tables are broken.");
			case "halted":
				this.end({ reason: "halted", description: "The vCPU is halted, and nothing that is pending can wake it." });
				return this.ended;
			default:
				return undefined;
		}
	}

	private describeShutdown(): string {
		const rip = this.vcpu.linearInstructionPointer();
		return `Triple fault: the vCPU shut down at 0x${rip.toString(16)} (${this.vcpu.describe()}).`;
	}

	/** A VM exit has led to the VMM, which has done nothing yet. @throws {MachineError} when it was an entry that failed. */
	private seeExit(): void {
		const { monitor, host } = this;
		const facts = monitor.noteExit();
		const vmcs = VmcsBytes.over(host.physical, monitor.vmcs.address);
		const title = exitTitle(vmcs);
		const operands = exitOperands(facts.reason, (number) => host.processor.core.state.gpr64(number));
		const detail = [...exitDetail(vmcs), ...operands];
		const linear = this.vcpu.linearInstructionPointer();
		this.events.record("exit", title, VCPU, linear, detail);
		if (this.filters.length === 0) return;
		const violation = facts.reason === ExitReasonNumber.eptViolation;
		const known = {
			exitReason: facts.reason,
			qualification: facts.qualification,
			...(violation ? { guestPhysical: facts.guestPhysical } : {}),
		};
		const text = `VM exit at 0x${linear.toString(16)}: ${inOneLine(title, detail)}`;
		const stop =
			this.eventStop("vm-exit", PCPU, text, known) ??
			(violation ? this.eventStop("ept-violation", PCPU, text, known) : undefined);
		if (stop) this.stopAt(stop);
	}

	/** The guest's state is loaded; its first instruction is next. */
	private seeEntry(): void {
		const linear = this.vcpu.linearInstructionPointer();
		this.events.record("entry", "VM entry", VCPU, linear);
		if (this.filters.length === 0) return;
		const stop = this.eventStop("vm-entry", VCPU, `VM entry at 0x${linear.toString(16)}`, {});
		if (stop) this.stopAt(stop);
	}

	private seeMode(mode: string, previous: string): void {
		this.events.record("mode-switch", `${previous} → ${mode}`, VCPU, this.vcpu.linearInstructionPointer());
		const stop = this.eventStop("mode-switch", VCPU, `The vCPU went from ${previous} to ${mode} mode`, {});
		if (stop) this.stopAt(stop);
	}

	/** An exception or interrupt of the guest that the hardware is about to deliver. True takes an exception over: the machine stops at its instruction. */
	private seeEvent(vector: number, errorCode: number | undefined, source: EventSource): boolean {
		const { control, injection } = this.monitor;
		if (!control.inGuest) return false;
		if (injection.redelivers) {
			injection.redelivers = false;
			return false;
		}
		return this.tell(vector, errorCode, source);
	}

	private tell(vector: number, errorCode: number | undefined, source: EventSource): boolean {
		const linear = this.vcpu.linearInstructionPointer();
		const { shown } = this;
		this.shown = undefined;
		const again = shown?.linear === linear && shown.vector === vector;
		if (!again) this.recordEvent(vector, errorCode, source, linear);
		const external = source === "external" || source === "nmi";
		const fault = source === "exception" && vector === Vector.pageFault;
		const event = external ? "interrupt" : fault ? "true-page-fault" : "exception";
		if (again || this.filters.length === 0) return false;
		const faultAddress = fault ? this.faultAddress() : undefined;
		const stop = this.eventStop(event, VCPU, this.describeFault(vector, errorCode, linear), {
			vector,
			errorCode,
			faultAddress,
		});
		if (!stop) return false;
		this.stopAt(stop);
		if (source !== "exception") return false;
		this.shown = { linear, vector };
		return true;
	}

	private seeHiddenFault(linear: bigint, errorCode: number): void {
		const instruction = this.vcpu.linearInstructionPointer();
		this.events.record("hidden-fault", this.vcpu.cpl === 3 ? "user" : "kernel", VCPU, instruction, [
			{ name: "address", value: linear },
			{ name: "error code", value: errorCode },
		]);
		if (this.filters.length === 0) return;
		const description = `Hidden page fault: the shadow now maps 0x${linear.toString(16)}`;
		const stop = this.eventStop("hidden-page-fault", VCPU, description, { errorCode, faultAddress: linear });
		if (stop) this.stopAt(stop);
	}

	private faultAddress(): bigint {
		return BigInt.asUintN(64, this.host.processor.core.state.i64[State.cr2 >> 3]!);
	}

	private recordEvent(vector: number, errorCode: number | undefined, source: EventSource, linear: bigint): void {
		if (source === "external" || source === "nmi") {
			this.events.record("interrupt", source === "nmi" ? "NMI" : `vector ${vector}`, VCPU, linear);
			return;
		}
		if (source !== "exception") return;
		const detail = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
		if (vector !== Vector.pageFault) {
			this.events.record("exception", exceptionMnemonic(vector), VCPU, linear, detail);
			return;
		}
		this.trueFaults++;
		const address = { name: "address", value: this.faultAddress() };
		this.events.record("true-fault", this.vcpu.cpl === 3 ? "user" : "kernel", VCPU, linear, [address, ...detail]);
	}

	step(processor: number, options: StepOptions = {}): Stop {
		if (this.ended) return this.ended;
		this.ranOut = false;
		if (processor !== VCPU && processor !== PCPU)
			throw new MachineError(`There is no processor ${processor}: 1 is the vCPU, 2 the physical CPU.`);
		const { monitor, host } = this;
		// A halted vCPU has no instruction to step: it goes on to the interrupt that wakes it.
		const held = !options.takeInterrupts && !monitor.isIdle;
		host.holdInterrupts = monitor.injection.hold = held;
		try {
			return processor === PCPU ? this.stepHost() : this.stepGuest();
		} finally {
			host.holdInterrupts = false;
			monitor.releaseInterrupts();
		}
	}

	/** One host instruction, of the guest or VMRESUME; what the VMM does before it counts as part of it. */
	private stepHost(): Stop {
		const { engine } = this.host;
		const before = engine.retired;
		for (let tries = 0; tries < STEP_LIMIT && engine.retired === before; tries++) {
			engine.passBreakpoint();
			const stop = this.advanceOrEnd(1);
			if (stop) return stop;
			// The exit has taken the place of the instruction.
			if (this.monitor.exitPending) break;
		}
		return { reason: "step", processor: PCPU };
	}

	/** One guest instruction, by the hardware or by the VMM. */
	private stepGuest(): Stop {
		const { engine } = this.host;
		const { monitor } = this;
		const { executed } = monitor.emulator;
		for (let tries = 0; tries < STEP_LIMIT; tries++) {
			const ran = monitor.control.inGuest;
			const { retired } = engine;
			engine.passBreakpoint();
			const stop = this.advanceOrEnd(1);
			if (stop) return stop;
			if ((ran && engine.retired !== retired) || monitor.emulator.executed !== executed) break;
		}
		return { reason: "step", processor: VCPU };
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.ranOut = false;
		this.breakpoints.set(breakpoints);
		this.breakpoints.install(this.host.engine);
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		this.dmaWatchpoints.set(watchpoints);
		this.watchpoints.set(watchpoints.filter(({ by, address }) => by !== "dma" && address.space !== "iova"));
	}

	/** Absent with firmware, whose shadow memory is not part of a snapshot, with assigned devices, and above shadow page tables. */
	get takeSnapshot(): VirtualMachine["takeSnapshot"] {
		if (this.rom || this.passthrough || this.monitor.mmu.kind !== "ept") return undefined;
		return (previous) => {
			const host = takeHostSnapshot(this.host, (previous as HvmSnapshot | undefined)?.host);
			return {
				bytes: host.bytes,
				host,
				guestDevices: saveDevices(this.guestDevices),
				monitor: this.monitor.save()!,
				vmx: this.vmx.save(),
				...this.saveRun(),
				...{ trueFaults: this.trueFaults, shown: this.shown },
				...{ resetAsked: this.resetAsked, initAsked: this.initAsked },
			} satisfies HvmSnapshot;
		};
	}

	restoreSnapshot(snapshot: MachineSnapshot): void {
		const saved = snapshot as HvmSnapshot;
		restoreHostSnapshot(this.host, saved.host);
		this.monitor.restore(saved.monitor, () => restoreDevices(this.guestDevices, saved.guestDevices));
		this.vmx.restore(saved.vmx);
		this.restoreRun(saved);
		this.trueFaults = saved.trueFaults;
		this.shown = saved.shown;
		this.resetAsked = saved.resetAsked;
		this.initAsked = saved.initAsked;
	}

	statistics(): MachineStatistics {
		const { monitor, trueFaults } = this;
		let total = 0;
		const byReason: Record<string, number> = {};
		for (const [reason, count] of [...monitor.exits].sort((a, b) => b[1] - a[1])) {
			byReason[exitReasonName(reason)] = count;
			total += count;
		}
		return {
			...this.hostStatistics(),
			exits: { total, byReason, emulated: monitor.emulator.executed },
			mmu: { trueFaults, ...monitor.mmu.statistics() },
			interrupts: { delivered: monitor.injection.delivered },
		};
	}

	memoryHash(): string {
		return sha256(this.monitor.physical.contents());
	}
}

// Machines whose guest runs in outer rings of the host on shadow page tables and shadow descriptors: under "bt" and "trap".

import { PageKind } from "../engine/physical-memory.ts";
import { Segment } from "../isa/state.ts";
import { DmaWatchpoints } from "../machine/dma-watchpoints.ts";
import { sha256 } from "../machine/hash.ts";
import type { HostStop } from "../machine/host-machine.ts";
import type { BootState } from "../machine/loaders/boot-state.ts";
import { loadImage } from "../machine/loaders/load-image.ts";
import {
	type Address,
	type EventName,
	type ExecutionBreakpoint,
	MachineError,
	type Processor,
	type StepOptions,
	type Stop,
	type Watchpoint,
} from "../machine/virtual-machine.ts";
import { BreakpointMap } from "./breakpoint-map.ts";
import { GuestProcessor } from "./guest-processor.ts";
import { GuestWatchpoints } from "./guest-watchpoints.ts";
import { HostProcessor } from "./host-processor.ts";
import { HostedMachine, PCPU, VCPU } from "./hosted-machine.ts";
import type { KernelExecution } from "./kernel-execution.ts";
import { type Monitor, type MonitorSurroundings, vmmOverhead } from "./monitor.ts";
import type { EventDetails } from "./monitor-observer.ts";
import type { Fragment } from "./translate/fragment.ts";
import type { TranslationCache } from "./translate/translation-cache.ts";

/** Access rights as in SegmentSlot.access: present, 32-bit, 4-KByte granularity; accessed. */
const FLAT_CODE = 0xc09b;
const FLAT_DATA = 0xc093;
const REGISTERS = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
/** Host instructions of one guest instruction at most, callouts and faults on its way included. */
const STEP_LIMIT = 100_000;

export abstract class DeprivilegedMachine<Kernel extends KernelExecution> extends HostedMachine {
	monitor!: Monitor<Kernel>;
	protected readonly vcpu = new GuestProcessor();
	protected readonly pcpu = new HostProcessor();
	protected readonly breakpoints = new BreakpointMap();
	private readonly watchpoints = new GuestWatchpoints((stop) => this.stopAt(stop));
	private readonly dmaWatchpoints = new DmaWatchpoints({
		physical: (address) => this.dmaAddress(address, this.guestPhysical(address)),
		instruction: () => this.vcpu.linearInstructionPointer(),
		hit: (stop) => this.stopAt(stop),
	});
	private watched: readonly Watchpoint[] = [];
	/** Guest address where the machine stood when it was told to run: a breakpoint there is passed over once. */
	protected passed = -1;

	/** Makes the VMM with the technique's way to run kernel code. */
	protected abstract makeMonitor(surroundings: MonitorSurroundings): Monitor<Kernel>;

	/** A new VMM is there, before it starts. */
	protected abstract attached(): void;

	protected start(): void {
		const { configuration } = this;
		if (!configuration.image)
			throw new MachineError(
				`The technique "${configuration.vmm}" starts a kernel image in protected mode: name one, or choose "none".`,
			);
		this.makeHost(vmmOverhead(configuration.memory), {
			interruptRequest: (asserted) => this.monitor?.interruptRequest(asserted),
			nonMaskableInterrupt: () => {},
			initSignal: () =>
				this.end({
					reason: "halted",
					description: `The guest has sent its processor INIT, behind which it begins in real-address mode: that runs under "none" and under "hvm" with EPT ("mmu": "ept").`,
				}),
			memory: () => this.monitor.physical,
		});
		const { host, guestDevices: devices } = this;
		this.monitor = this.makeMonitor({
			ports: devices.ports,
			acknowledgeInterrupt: () => devices.acknowledge(),
			recycled: this.monitor?.physical.kind,
			observer: {
				event: (event, description, details) => this.event(event, description, details),
				wants: () => this.filters.length > 0,
				record: (kind, reason, instruction, detail) => this.events.record(kind, reason, VCPU, instruction, detail),
				translated: (fragment) => this.translated(fragment),
				tripleFault: () => this.end({ reason: "triple-fault", processor: VCPU, description: this.describeShutdown() }),
				halted: () =>
					this.end({ reason: "halted", description: "The vCPU is halted with interrupts off; nothing can wake it." }),
			},
		});
		const { monitor } = this;
		monitor.physical.bus = devices.memory;
		monitor.vcpu.msrs.localApic = devices.localApicPort;
		monitor.physical.kind.fill(PageKind.mmio, 0xa0, 0xc0);
		this.assignDevices(monitor.physical, monitor.frames, monitor.messages);
		this.vcpu.attach(monitor, this.remapping);
		const kernel = monitor.guest.kernelRunsDirectly ? "guest kernel, directly" : "translation cache";
		this.pcpu.attach(host, kernel, this.remapping);
		this.attached();
		devices.reset();
		const boot = loadImage(
			configuration.image,
			configuration,
			{
				size: configuration.memory,
				write: (address, bytes) => void monitor.physical.poke(address, bytes),
			},
			devices.platform,
		);
		monitor.start();
		this.enterBootState(boot);
		this.breakpoints.attach(host.engine.code, this.translations());
		this.watchpoints.attach(monitor);
		this.dmaWatchpoints.attach(this.dmaPath);
		this.setWatchpoints(this.watched);
	}

	/** A fragment was made. */
	protected translated(_fragment: Fragment): void {}

	/** Translated code, under a technique that has it. */
	protected translations(): TranslationCache | undefined {
		return undefined;
	}

	/** The vCPU as the boot protocol asks, and into the guest. */
	private enterBootState(boot: BootState): void {
		const { monitor } = this;
		const { vcpu, registers, control } = monitor;
		const flat = { base: 0, limit: 0xffffffff };
		Object.assign(vcpu.cs, { selector: boot.codeSelector, access: FLAT_CODE, ...flat });
		Object.assign(vcpu.ss, { selector: boot.dataSelector, access: FLAT_DATA, ...flat });
		Object.assign(vcpu.gs, { selector: boot.dataSelector, access: FLAT_DATA, ...flat });
		control.loadFlatData([Segment.es, Segment.ds, Segment.fs, Segment.gs], boot.dataSelector);
		Object.assign(vcpu.gdtr, boot.gdt ?? { base: 0, limit: 0 });
		if (boot.gdt) monitor.descriptors.loadGlobal(boot.gdt.base, boot.gdt.limit);
		for (let register = 0; register < 8; register++) registers.write32(register, 0);
		for (const [name, value] of Object.entries(boot.registers))
			registers.write32(REGISTERS[name as keyof typeof REGISTERS], value);
		registers.eip = boot.instructionPointer;
		registers.eflags = 0x202;
		monitor.enterGuest();
	}

	private guestPhysical({ space, value }: Address): bigint | undefined {
		if (space === "lin") return this.vcpu.translate(value, "gpa");
		if (space === "gpa") return value;
		const page = this.monitor.physical.pmap.indexOf(Number(value >> 12n));
		return page < 0 ? undefined : BigInt(page) * 4096n + (value & 0xfffn);
	}

	processors(): Processor[] {
		return [this.vcpu, this.pcpu];
	}

	/** A breakpoint at the place where the host stands is passed over. */
	protected passBreakpoint(): void {
		this.host.engine.passBreakpoint();
	}

	protected beforeRun(pass: boolean): void {
		this.passed = -1;
		if (!pass) return;
		// Between two fragments the vCPU stands at the instruction that the next one begins with.
		if (this.vcpu.view.position()?.glue) this.passed = this.vcpu.view.eip;
		this.passBreakpoint();
	}

	/** Lets the host run guest code. */
	protected runHost(instructions: number): HostStop | undefined {
		return this.host.run(instructions);
	}

	protected afterRun(): Stop | undefined {
		return this.inEntryPage() ? this.advanceOrEnd(1) : undefined;
	}

	protected advance(instructions: number): Stop | undefined {
		const { monitor } = this;
		if (monitor.suspended) monitor.proceed();
		else {
			const stop = this.runHost(instructions);
			if (stop?.kind === "host-entry") monitor.enter();
			else if (stop) return this.conclude(stop);
		}
		return this.conclude(undefined);
	}

	private conclude(stop: HostStop | undefined): Stop | undefined {
		if (this.resetAsked) {
			this.start();
			return undefined;
		}
		const pending = this.takePending();
		if (pending) return pending;
		if (this.ended) return this.ended;
		switch (stop?.kind) {
			case "breakpoint": {
				const hit = this.breakpoints.hits(this.vcpu, this.pcpu);
				const { passed } = this;
				this.passed = -1;
				if (hit && passed !== this.vcpu.view.eip) return hit;
				this.host.engine.passBreakpoint();
				return undefined;
			}
			case "shutdown":
				throw new Error("The host shut down: the VMM's own tables are broken.");
			case "halted":
				this.end({
					reason: "halted",
					description: "The vCPU is halted, and nothing that is pending can wake it.",
				});
				return this.ended;
			default:
				return undefined;
		}
	}

	private describeShutdown(): string {
		const eip = this.vcpu.linearInstructionPointer();
		return `Triple fault: the vCPU shut down at 0x${eip.toString(16)} (${this.vcpu.describe()}).`;
	}

	step(processor: number, options: StepOptions = {}): Stop {
		if (this.ended) return this.ended;
		this.ranOut = false;
		if (processor !== VCPU && processor !== PCPU)
			throw new MachineError(`There is no processor ${processor}: 1 is the vCPU, 2 the physical CPU.`);
		// A halted vCPU has no instruction to step: it goes on to the interrupt that wakes it.
		const held = !options.takeInterrupts && !this.monitor.isIdle;
		this.host.holdInterrupts = this.monitor.holdInterrupts = held;
		try {
			return processor === PCPU ? this.stepHost() : this.stepGuest();
		} finally {
			this.host.holdInterrupts = false;
			this.monitor.releaseInterrupts();
		}
	}

	/** At most one host instruction, and what the VMM has to do after it. */
	private stepOnce(): Stop | undefined {
		this.passBreakpoint();
		const stop = this.advanceOrEnd(1);
		if (stop || !this.inEntryPage()) return stop;
		return this.advanceOrEnd(1);
	}

	/** One host instruction; what the VMM does on the way counts as part of it. */
	private stepHost(): Stop {
		const { engine } = this.host;
		const before = engine.retired;
		for (let tries = 0; tries < STEP_LIMIT && engine.retired === before; tries++) {
			const stop = this.stepOnce();
			if (stop) return stop;
			if (this.monitor.isIdle) break;
		}
		return { reason: "step", processor: PCPU };
	}

	/** The host has entered the VMM, which has not seen it yet. */
	private inEntryPage(): boolean {
		return !this.monitor.holdsGuestRegisters && this.host.processor.core.state.cpl === 0;
	}

	/** Host instructions until the vCPU stands at the next boundary between guest instructions. */
	private stepGuest(): Stop {
		let progressed = false;
		for (let tries = 0; tries < STEP_LIMIT; tries++) {
			const { eip } = this.vcpu.view;
			const glue = this.vcpu.view.position()?.glue ?? false;
			const { retired } = this.host.engine;
			const stop = this.stepOnce();
			if (stop) return stop;
			if (this.monitor.isIdle) break;
			if (this.vcpu.view.eip !== eip || (!glue && this.host.engine.retired !== retired)) progressed = true;
			const now = this.vcpu.view.position();
			if (progressed && (now === undefined || (now.boundary && !now.glue))) break;
		}
		return { reason: "step", processor: VCPU };
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.ranOut = false;
		this.breakpoints.set(breakpoints);
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		this.watched = watchpoints;
		const ofProcessor = watchpoints.filter(({ by, address }) => by !== "dma" && address.space !== "iova");
		this.dmaWatchpoints.set(watchpoints);
		this.watchpoints.set(ofProcessor, this.vcpu);
	}

	/** Tells an event of the VMM; true when the machine has to stop at it. */
	protected event(event: EventName, description: string, { vector, errorCode, address }: EventDetails): boolean {
		const eip = BigInt(this.monitor.registers.eip >>> 0);
		const text =
			event === "exception" && vector !== undefined ? this.describeFault(vector, errorCode, eip) : description;
		const faultAddress = address === undefined ? undefined : BigInt(address);
		const stop = this.eventStop(event, VCPU, text, { vector, errorCode, faultAddress });
		this.pending ??= stop;
		return stop !== undefined;
	}

	/** What statistics() says of the shadows and interrupts. */
	protected monitorStatistics() {
		const { statistics, shadow, traps } = this.monitor;
		return {
			mmu: {
				hiddenFaults: shadow.hiddenFaults,
				trueFaults: statistics.trueFaults,
				traceWrites: traps.traceWrites,
				shadowTables: shadow.size,
			},
			interrupts: { delivered: statistics.interruptsDelivered },
		};
	}

	memoryHash(): string {
		return sha256(this.monitor.physical.contents());
	}
}

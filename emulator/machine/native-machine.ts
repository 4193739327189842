// `--vmm none`: the guest owns the host. Its processors are the hardware's, and its tables are the hardware's.

import type { WatchedAccess } from "../cpu/memory-access.ts";
import { PROCESSOR_SIGNATURE } from "../cpu/processor-state.ts";
import type { DiskImage } from "../devices/ata/disk-image.ts";
import { RAM_BASE } from "../isa/state.ts";
import { checkBootSource, firmwareKernel } from "./boot-source.ts";
import { iommuStatistics, watchRemapping } from "./dma-faults.ts";
import { DmaWatchpoints } from "./dma-watchpoints.ts";
import { enterBootState } from "./enter-boot-state.ts";
import { FirmwareRom } from "./firmware-rom.ts";
import { sha256 } from "./hash.ts";
import { HostMachine, type HostStop } from "./host-machine.ts";
import { type HostSnapshot, restoreHostSnapshot, takeHostSnapshot } from "./host-snapshot.ts";
import type { IommuView } from "./hypervisor-views.ts";
import type { LoadTarget } from "./loaders/boot-state.ts";
import { loadImage } from "./loaders/load-image.ts";
import { placeMultiprocessorTable } from "./loaders/multiprocessor-table.ts";
import { NativeEvents, type WatchedMachine } from "./native-events.ts";
import { NativeProcessor } from "./native-processor.ts";
import { openDisks, optionalDevices } from "./optional-configuration.ts";
import type { RemappingView } from "./remapping-view.ts";
import { SerialInput, type SerialInputState } from "./serial-input.ts";
import {
	type AddressSpace,
	type DeviceView,
	type DisplayView,
	type EventFilter,
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
} from "./virtual-machine.ts";
import { VmEventLog } from "./vm-events.ts";
import { VmxEvents, type VmxEventsState } from "./vmx-events.ts";
import { HostVmxView, type HostVmxViewState } from "./vmx-view.ts";
import { WatchpointSet } from "./watchpoint-set.ts";

interface NativeSnapshot extends MachineSnapshot {
	readonly host: HostSnapshot;
	readonly ended: Stop | undefined;
	readonly input: SerialInputState;
	readonly events: unknown;
	readonly vmx: HostVmxViewState | undefined;
	readonly vmxEvents: VmxEventsState | undefined;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0);

export class NativeMachine implements VirtualMachine {
	readonly technique = "none";
	readonly host: HostMachine;
	readonly disks: readonly DiskImage[];
	readonly events = new VmEventLog(() => this.host.engine.retired);
	readonly iommus: readonly IommuView[];
	private readonly remapping: RemappingView | undefined;
	/** By number. */
	private readonly all: readonly NativeProcessor[];
	private readonly input: SerialInput;
	private readonly watchpoints: WatchpointSet;
	private readonly dmaWatchpoints: DmaWatchpoints;
	private readonly serialListeners: ((bytes: Uint8Array) => void)[] = [];
	private readonly consoleListeners: ((byte: number) => void)[] = [];
	private breakpoints: readonly ExecutionBreakpoint[] = [];
	private filters: readonly EventFilter[] = [];
	private pending: Stop | undefined;
	private ended: Stop | undefined;
	private resetAsked = false;
	/** The last run ended with its budget, so that nobody has been told yet of a breakpoint where the machine stands. */
	private ranOut = false;
	private stepping = false;
	readonly vmx?: HostVmxView;
	private readonly vmxEvents?: VmxEvents;
	private readonly nativeEvents: NativeEvents;

	/** @throws {MachineError} when the image cannot be started. */
	constructor(private readonly configuration: MachineConfiguration) {
		checkBootSource(configuration);
		const { firmware, memory } = configuration;
		this.disks = openDisks(configuration.disks ?? []);
		this.host = new HostMachine({
			engine: configuration.engine,
			memoryBytes: memory,
			processors: configuration.processors,
			...(firmware ? { firmware: new FirmwareRom(firmware.name, firmware.bytes) } : {}),
			kernel: firmwareKernel(configuration),
			optional: optionalDevices(configuration, this.disks),
			onSerial: (byte) => {
				for (const listener of this.serialListeners) listener(new Uint8Array([byte]));
			},
			onDebugConsole: (byte) => {
				for (const listener of this.consoleListeners) listener(byte);
			},
			onReset: () => {
				this.resetAsked = true;
			},
		});
		this.remapping = watchRemapping(this.host.devices.optional, {
			events: this.events,
			now: () => this.host.engine.retired,
			filters: () => this.filters,
			stop: (stop) => this.stopAt(stop),
		});
		this.iommus = this.remapping ? [this.remapping] : [];
		this.all = this.host.processors.map((_, number) => new NativeProcessor(this.host, number, this.remapping));
		this.input = new SerialInput(this.host.clock, this.host.devices.com1);
		this.dmaWatchpoints = new DmaWatchpoints({
			physical: ({ space, value }) => (space === "lin" ? this.processor.translate(value, "hpa") : value),
			instruction: () => this.processor.linearInstructionPointer(),
			hit: (stop) => this.stopAt(stop),
		});
		this.dmaWatchpoints.attach(this.host.devices.optional?.path);
		this.watchpoints = new WatchpointSet(
			(watchpoint, access, value) => this.watchHit(watchpoint, access, value),
			(linear) => (this.host.processor.core.paging.ept ? this.processor.translate(linear, "gpa") : undefined),
		);
		const watched: WatchedMachine = {
			host: this.host,
			events: this.events,
			filters: () => this.filters,
			processor: () => this.running,
			instruction: () => this.processor.linearInstructionPointer(),
			stop: (stop) => this.stopAt(stop),
		};
		this.nativeEvents = new NativeEvents(watched);
		const units = this.host.processors.flatMap(({ vmx }) => vmx?.unit ?? []);
		if (units.length > 0) {
			this.vmx = new HostVmxView(this.host, units);
			this.vmxEvents = new VmxEvents(watched, units);
			// A step ends on the other side of a VM entry or exit, not behind its first instruction.
			const endStep = () => {
				if (this.stepping) this.host.stop({ kind: "requested" });
			};
			for (const unit of units) unit.observers.push({ entered: endStep, left: endStep });
		}
		this.start();
	}

	private start(): void {
		const { host } = this;
		host.powerOn();
		this.events.clear();
		this.nativeEvents.clear();
		this.vmxEvents?.clear();
		this.remapping?.clear();
		for (const disk of this.disks) disk.discardWrites();
		host.physical.u8.fill(0, RAM_BASE, RAM_BASE + host.physical.ramBytes);
		this.ended = undefined;
		this.boot();
	}

	/** What follows a reset: the firmware, or the image loaded as a boot loader would load it. */
	private boot(): void {
		const { configuration, host } = this;
		this.pending = undefined;
		this.resetAsked = false;
		// The processor stands at its reset vector (SDM Vol. 3A §9.1.4), which lies in the ROM.
		if (configuration.firmware) return;
		if (!configuration.image)
			throw new MachineError(
				"Nothing says what to start: name a kernel image, or a firmware that starts from the disks.",
			);
		const target: LoadTarget = {
			size: configuration.memory,
			processors: configuration.processors,
			write: (address, bytes) => void host.physical.poke(address, bytes),
		};
		const boot = loadImage(configuration.image, configuration, target, host.devices.platform);
		// Kernels of every kind find several processors there, also those that make nothing of the ACPI tables.
		if (host.turns.several) placeMultiprocessorTable(target, PROCESSOR_SIGNATURE);
		enterBootState(host.processor, boot);
	}

	processors(): Processor[] {
		return [...this.all];
	}

	/** The processor that has the turn. */
	private get processor(): NativeProcessor {
		return this.all[this.host.turns.current]!;
	}

	get running(): number {
		return this.host.turns.current + 1;
	}

	instructionCount(): number {
		return this.host.engine.retired;
	}

	run(instructions: number): Stop | undefined {
		if (this.ended) return this.ended;
		const end = this.host.engine.retired + instructions;
		if (!this.ranOut) this.host.engine.passBreakpoint();
		this.ranOut = false;
		while (this.host.engine.retired < end) {
			const stop = this.conclude(this.host.run(end - this.host.engine.retired));
			if (stop) return stop;
			if (this.host.stoodStill) break;
		}
		this.ranOut = true;
		return undefined;
	}

	/** What a stop of the host means; undefined to go on. */
	private conclude(stop: HostStop | undefined): Stop | undefined {
		if (this.resetAsked) {
			this.host.reset();
			this.boot();
			return undefined;
		}
		if (this.pending) {
			const { pending } = this;
			this.pending = undefined;
			return pending;
		}
		switch (stop?.kind) {
			case "breakpoint": {
				const hits = this.breakpointsHere();
				if (hits.length > 0) return { reason: "breakpoint", processor: this.running, ids: hits };
				this.host.engine.passBreakpoint();
				return undefined;
			}
			case "shutdown":
				return this.end({ reason: "triple-fault", processor: this.running, description: this.describeShutdown() });
			case "halted":
				return this.end({
					reason: "halted",
					description: this.host.turns.several
						? "All processors are halted, and nothing that is pending can wake one."
						: "The processor is halted, and nothing that is pending can wake it.",
				});
			case "poweroff":
				return this.end({ reason: "poweroff" });
			case "debug-exit":
				return this.end({ reason: "debug-exit", value: stop.value });
			default:
				return undefined;
		}
	}

	private end(stop: Stop): Stop {
		this.ended = stop;
		return stop;
	}

	private describeShutdown(): string {
		const rip = this.processor.linearInstructionPointer();
		return `Triple fault: the processor shut down at 0x${rip.toString(16)} (${this.processor.describe()}).`;
	}

	private breakpointsHere(): number[] {
		const linear = this.processor.linearInstructionPointer();
		const found = new Map<AddressSpace, bigint | undefined>([["lin", linear]]);
		const addressIn = (space: AddressSpace): bigint | undefined => {
			if (!found.has(space)) found.set(space, this.processor.translate(linear, space));
			return found.get(space);
		};
		return this.breakpoints.filter(({ address }) => address.value === addressIn(address.space)).map(({ id }) => id);
	}

	/** The other processors are held. The one that is stepped has the turn from then on. */
	step(processor: number, options: StepOptions = {}): Stop {
		if (this.ended) return this.ended;
		const { turns } = this.host;
		if (turns.several && processor !== this.running) {
			// Where this one stands is known to whoever steps another.
			if (!this.ranOut) this.host.engine.passBreakpoint();
			turns.give(processor - 1);
		}
		// One that is halted, or waits for its start, goes on when something wakes it, which running the machine brings.
		if (turns.several && this.host.processor.halted) return { reason: "step", processor };
		this.ranOut = false;
		this.host.holdInterrupts = !options.takeInterrupts;
		this.stepping = true;
		try {
			this.host.engine.passBreakpoint();
			this.host.onlyThis = turns.several;
			return this.conclude(this.host.run(1)) ?? { reason: "step", processor };
		} finally {
			this.host.holdInterrupts = this.host.onlyThis = this.stepping = false;
		}
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints = breakpoints;
		this.ranOut = false;
		this.host.engine.code.setBreakpointOffsets(
			new Set(breakpoints.map(({ address }) => Number(address.value & 0xfffn))),
		);
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		const ofProcessor = watchpoints.filter(({ by, address }) => by !== "dma" && address.space !== "iova");
		this.dmaWatchpoints.set(watchpoints);
		this.watchpoints.set(ofProcessor);
		for (const processor of this.host.processors)
			processor.setWatches(ofProcessor.length > 0 ? [this.watchpoints] : []);
	}

	private stopAt(stop: Stop): boolean {
		if (this.pending) return false;
		this.pending = stop;
		this.host.stop({ kind: "requested" });
		return true;
	}

	private watchHit(watchpoint: Watchpoint, access: WatchedAccess, value: bigint): void {
		this.stopAt({
			reason: "watchpoint",
			processor: this.running,
			id: watchpoint.id,
			access: access.write ? "write" : "read",
			address: { space: watchpoint.address.space, value },
			length: access.size,
			...(access.oldValue === undefined ? {} : { oldValue: access.oldValue }),
			...(access.newValue === undefined ? {} : { newValue: access.newValue }),
			instruction: this.processor.linearInstructionPointer(),
		});
	}

	setEventFilters(filters: readonly EventFilter[]): void {
		this.filters = filters;
	}

	onSerialOutput(listener: (bytes: Uint8Array) => void): void {
		this.serialListeners.push(listener);
	}

	serialInput(bytes: Uint8Array): void {
		this.input.queue(bytes, this.instructionCount());
	}

	onDebugConsole(listener: (byte: number) => void): void {
		this.consoleListeners.push(listener);
	}

	reset(): void {
		this.start();
	}

	/** Absent with firmware, whose shadow memory is not part of a snapshot. */
	get takeSnapshot(): VirtualMachine["takeSnapshot"] {
		if (this.configuration.firmware) return undefined;
		return (previous) => {
			const host = takeHostSnapshot(this.host, (previous as NativeSnapshot | undefined)?.host);
			return {
				bytes: host.bytes,
				host,
				ended: this.ended,
				input: this.input.save(),
				events: this.events.save(),
				vmx: this.vmx?.save(),
				vmxEvents: this.vmxEvents?.save(),
			} satisfies NativeSnapshot;
		};
	}

	restoreSnapshot(snapshot: MachineSnapshot): void {
		const { host, ended, input, events, vmx, vmxEvents } = snapshot as NativeSnapshot;
		restoreHostSnapshot(this.host, host);
		this.input.restore(input);
		this.events.restore(events);
		if (vmx) this.vmx?.restore(vmx);
		if (vmxEvents) this.vmxEvents?.restore(vmxEvents);
		this.ended = ended;
		this.pending = undefined;
		this.nativeEvents.clear();
		this.resetAsked = false;
		this.ranOut = true;
	}

	statistics(): MachineStatistics {
		const { host } = this;
		return {
			instructions: host.engine.retired,
			tiers: host.engine.tiers,
			tlb: {
				fills: sum(host.processors.map(({ core }) => core.tlb.fills)),
				flushes: sum(host.processors.map(({ core }) => core.tlb.flushes)),
			},
			interrupts: { delivered: sum(host.processors.map(({ delivery }) => delivery.delivered)) },
			...(host.turns.several ? { processors: this.shares() } : {}),
			...this.vmxEvents?.statistics(),
			...iommuStatistics(this.remapping),
			blocks: {
				decoded: host.engine.code.blocksDecoded,
				invalidated: host.engine.code.blocksInvalidated,
				flushes: host.engine.code.flushes,
			},
		};
	}

	/** What each processor has done. */
	private shares(): readonly { readonly instructions: number; readonly interrupts: number }[] {
		return this.host.processors.map(({ delivery }, number) => ({
			instructions: this.host.turns.instructions(number),
			interrupts: delivery.delivered,
		}));
	}

	memoryHash(): string {
		const { physical } = this.host;
		return sha256(physical.u8.subarray(RAM_BASE, RAM_BASE + physical.ramBytes));
	}

	get display(): DisplayView {
		return this.host.devices.display;
	}

	devices(): DeviceView[] {
		return this.host.devices.all.map((device) => ({ name: device.name, registers: device.registers() }));
	}
}

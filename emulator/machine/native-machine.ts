// `--vmm none`: the guest owns the host. Its one processor is the hardware's, and its tables are the hardware's.

import type { EventSource } from "../cpu/interrupt-delivery.ts";
import type { WatchedAccess } from "../cpu/memory-access.ts";
import {
	inspectedTables,
	inspectMappings,
	inspectWalk,
	physicalTables,
	translateInspected,
} from "../cpu/page-walk-view.ts";
import type { DiskImage } from "../devices/ata/disk-image.ts";
import { Vector } from "../engine/fault.ts";
import { RAM_BASE, Segment, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { checkBootSource } from "./boot-source.ts";
import { readDeviceAddresses, writeDeviceAddresses } from "./device-addresses.ts";
import { iommuStatistics, watchRemapping } from "./dma-faults.ts";
import { DmaWatchpoints } from "./dma-watchpoints.ts";
import { enterBootState } from "./enter-boot-state.ts";
import { describeException, exceptionMnemonic } from "./exception-names.ts";
import { FirmwareRom } from "./firmware-rom.ts";
import { sha256 } from "./hash.ts";
import { HostMachine, type HostStop } from "./host-machine.ts";
import { type HostSnapshot, restoreHostSnapshot, takeHostSnapshot } from "./host-snapshot.ts";
import type { IommuView } from "./hypervisor-views.ts";
import type { LoadTarget } from "./loaders/boot-state.ts";
import { loadImage } from "./loaders/load-image.ts";
import { openDisks, optionalDevices } from "./optional-configuration.ts";
import { RegisterFile } from "./register-file.ts";
import type { RemappingView } from "./remapping-view.ts";
import { SerialInput, type SerialInputState } from "./serial-input.ts";
import {
	type Address,
	type AddressSpace,
	type DeviceView,
	type EventFilter,
	type ExecutionBreakpoint,
	type MachineConfiguration,
	MachineError,
	type MachineSnapshot,
	type MachineStatistics,
	type Mapping,
	type Processor,
	type RegisterValue,
	type StepOptions,
	type Stop,
	type VirtualMachine,
	type Walk,
	type Watchpoint,
} from "./virtual-machine.ts";
import { type VmEventField, VmEventLog } from "./vm-events.ts";
import { WatchpointSet } from "./watchpoint-set.ts";

/** The processor as a debugger sees it. Guest-physical and host-physical addresses are the same here. */
class NativeProcessor implements Processor {
	readonly id = 1;
	readonly kind = "vcpu";
	private readonly file: RegisterFile;

	constructor(
		private readonly host: HostMachine,
		private readonly remapping: RemappingView | undefined,
	) {
		this.file = new RegisterFile(host.processor);
	}

	describe(): string {
		const { state } = this.host.processor.core;
		return `vCPU 0 (${state.modeName}, CPL ${state.i32[State.cpl >> 2]}, CR3 0x${this.register("cr3")!.toString(16)})`;
	}

	codeSize(): 16 | 32 | 64 {
		return (8 << this.host.physical.i32[State.codeSize >> 2]!) as 16 | 32 | 64;
	}

	instructionPointer(): bigint {
		return this.host.processor.core.state.rip;
	}

	linearInstructionPointer(): bigint {
		const base = this.host.physical.i64[(segmentSlot(Segment.cs) + SegmentSlot.effectiveBase) >> 3]!;
		const linear = base + this.instructionPointer();
		return BigInt.asUintN(this.codeSize() === 64 ? 64 : 32, linear);
	}

	registers(): RegisterValue[] {
		return this.file.list();
	}

	register(name: string): bigint | undefined {
		return this.file.read(name);
	}

	setRegister(name: string, value: bigint): void {
		this.file.write(name, value);
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		if (address.space === "lin") return this.host.processor.core.memory.peekLinear(address.value, length);
		if (address.space === "iova") return readDeviceAddresses(this.remapping, this.host.physical, address, length);
		const { start, available } = this.physicalRange(address, length);
		return available > 0 ? this.host.physical.peek(start, available) : undefined;
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		if (address.space === "lin") return this.host.processor.core.memory.pokeLinear(address.value, bytes);
		if (address.space === "iova") return writeDeviceAddresses(this.remapping, this.host.physical, address, bytes);
		const { start, available } = this.physicalRange(address, bytes.length);
		return available > 0 && this.host.physical.poke(start, bytes.subarray(0, available)) ? available : 0;
	}

	/** How many of `length` bytes from a physical address on lie in RAM or ROM. */
	private physicalRange(address: Address, length: number): { start: number; available: number } {
		const start = address.value < 0n || address.value >= 1n << 52n ? -1 : Number(address.value);
		if (start < 0) return { start: 0, available: 0 };
		let available = 0;
		while (available < length && this.host.physical.isBacked(start + available)) {
			available = Math.min(length, available + 4096 - ((start + available) & 0xfff));
		}
		return { start, available };
	}

	walk(linear: bigint, access: { write?: boolean; user?: boolean; execute?: boolean } = {}): Walk[] {
		const { core } = this.host.processor;
		const user = access.user ?? core.state.i32[State.cpl >> 2] === 3;
		const walk = inspectWalk(physicalTables(this.host.physical), inspectedTables(core.state), linear, {
			...access,
			user,
		});
		const steps = walk.steps.map((step) => ({
			...step,
			entryAddress: { space: "gpa" as const, value: BigInt(step.entryAddress) },
		}));
		const result = walk.result && {
			...walk.result,
			address: { space: "gpa" as const, value: BigInt(walk.result.address) },
		};
		return [{ table: "guest", linear, steps, ...(result ? { result } : {}) }];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		if (table !== "guest")
			throw new MachineError(
				`There is no table "${table}" under "none": the guest's own ("guest") are the hardware's.`,
			);
		const found = inspectMappings(
			physicalTables(this.host.physical),
			inspectedTables(this.host.processor.core.state),
			from,
			limit,
		);
		return found.mappings.map((mapping) => ({
			...mapping,
			target: { space: "gpa" as const, value: BigInt(mapping.target) },
		}));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space === "iova") return undefined;
		const physical = translateInspected(this.host.physical, inspectedTables(this.host.processor.core.state), linear);
		return physical === undefined ? undefined : BigInt(physical);
	}
}

interface NativeSnapshot extends MachineSnapshot {
	readonly host: HostSnapshot;
	readonly ended: Stop | undefined;
	readonly input: SerialInputState;
	readonly events: unknown;
}

export class NativeMachine implements VirtualMachine {
	readonly technique = "none";
	readonly host: HostMachine;
	readonly disks: readonly DiskImage[];
	readonly events = new VmEventLog(() => this.host.engine.retired);
	readonly iommus: readonly IommuView[];
	private readonly remapping: RemappingView | undefined;
	private readonly processor: NativeProcessor;
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

	/** @throws {MachineError} when the image cannot be started. */
	constructor(private readonly configuration: MachineConfiguration) {
		checkBootSource(configuration);
		const { firmware, memory } = configuration;
		this.disks = openDisks(configuration.disks ?? []);
		this.host = new HostMachine({
			memoryBytes: memory,
			...(firmware ? { firmware: new FirmwareRom(firmware.name, firmware.bytes) } : {}),
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
		this.processor = new NativeProcessor(this.host, this.remapping);
		this.input = new SerialInput(this.host.clock, this.host.devices.com1);
		this.dmaWatchpoints = new DmaWatchpoints({
			physical: ({ space, value }) => (space === "lin" ? this.processor.translate(value, "hpa") : value),
			instruction: () => this.processor.linearInstructionPointer(),
			hit: (stop) => this.stopAt(stop),
		});
		this.dmaWatchpoints.attach(this.host.devices.optional?.path);
		this.watchpoints = new WatchpointSet((watchpoint, access) => this.watchHit(watchpoint, access));
		this.host.processor.delivery.onEvent = (vector, errorCode, source) => this.seeEvent(vector, errorCode, source);
		this.host.processor.core.state.onModeChange = (mode, previous) => this.seeMode(mode, previous);
		this.start();
	}

	private start(): void {
		const { host } = this;
		host.powerOn();
		this.events.clear();
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
			write: (address, bytes) => void host.physical.poke(address, bytes),
		};
		const boot = loadImage(configuration.image, configuration, target);
		enterBootState(host.processor, boot);
	}

	processors(): Processor[] {
		return [this.processor];
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
				if (hits.length > 0) return { reason: "breakpoint", processor: 1, ids: hits };
				this.host.engine.passBreakpoint();
				return undefined;
			}
			case "shutdown":
				return this.end({ reason: "triple-fault", processor: 1, description: this.describeShutdown() });
			case "halted":
				return this.end({
					reason: "halted",
					description: "The processor is halted, and nothing that is pending can wake it.",
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
		let physical: bigint | undefined;
		return this.breakpoints
			.filter(({ address }) => {
				if (address.space === "lin") return address.value === linear;
				physical ??= this.processor.translate(linear, "gpa");
				return address.value === physical;
			})
			.map(({ id }) => id);
	}

	step(_processor: number, options: StepOptions = {}): Stop {
		if (this.ended) return this.ended;
		this.ranOut = false;
		this.host.holdInterrupts = !options.takeInterrupts;
		try {
			this.host.engine.passBreakpoint();
			return this.conclude(this.host.run(1)) ?? { reason: "step", processor: 1 };
		} finally {
			this.host.holdInterrupts = false;
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
		this.host.processor.setWatches(ofProcessor.length > 0 ? [this.watchpoints] : []);
	}

	private stopAt(stop: Stop): void {
		if (this.pending) return;
		this.pending = stop;
		this.host.stop({ kind: "requested" });
	}

	private watchHit(watchpoint: Watchpoint, access: WatchedAccess): void {
		this.stopAt({
			reason: "watchpoint",
			processor: 1,
			id: watchpoint.id,
			access: access.write ? "write" : "read",
			address:
				watchpoint.address.space === "lin"
					? { space: "lin", value: access.linear }
					: { space: "gpa", value: BigInt(access.physical) },
			length: access.size,
			...(access.oldValue === undefined ? {} : { oldValue: access.oldValue }),
			...(access.newValue === undefined ? {} : { newValue: access.newValue }),
			instruction: this.processor.linearInstructionPointer(),
		});
	}

	setEventFilters(filters: readonly EventFilter[]): void {
		this.filters = filters;
	}

	/**
	 * An exception stops the machine before it is delivered, at the instruction that caused it; going on executes that instruction
	 * again, and its exception is then passed over once. An interrupt or INT n stops it at the handler's first instruction.
	 */
	private seeEvent(vector: number, errorCode: number | undefined, source: EventSource): boolean {
		const linear = this.processor.linearInstructionPointer();
		const { shown } = this;
		this.shown = undefined;
		const again = shown?.linear === linear && shown.vector === vector;
		if (!again) this.recordEvent(vector, errorCode, source, linear);
		const name = source === "external" || source === "nmi" ? "interrupt" : "exception";
		const matching = this.filters.filter(
			(filter) =>
				(filter.event === name && (filter.vector === undefined || filter.vector === vector)) ||
				(filter.event === "true-page-fault" && source === "exception" && vector === Vector.pageFault),
		);
		if (matching.length === 0 || this.pending || again) return false;
		const { state } = this.host.processor.core;
		this.pending = {
			reason: "event",
			processor: 1,
			ids: matching.map(({ id }) => id),
			event: matching[0]!.event,
			description: `${describeException(vector, errorCode, source)} at 0x${linear.toString(16)}`,
			vector,
			...(errorCode === undefined ? {} : { errorCode }),
			...(vector === Vector.pageFault ? { faultAddress: BigInt.asUintN(64, state.i64[State.cr2 >> 3]!) } : {}),
		};
		this.host.stop({ kind: "requested" });
		if (source !== "exception") return false;
		this.shown = { linear, vector };
		return true;
	}

	private recordEvent(vector: number, errorCode: number | undefined, source: EventSource, linear: bigint): void {
		if (source === "external" || source === "nmi") {
			this.events.record("interrupt", source === "nmi" ? "NMI" : `vector ${vector}`, 1, linear);
			return;
		}
		if (source !== "exception") return;
		const { state } = this.host.processor.core;
		const detail: VmEventField[] = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
		if (vector !== Vector.pageFault) {
			this.events.record("exception", exceptionMnemonic(vector), 1, linear, detail);
			return;
		}
		const cpl = state.i32[State.cpl >> 2];
		const address = { name: "address", value: BigInt.asUintN(64, state.i64[State.cr2 >> 3]!) };
		this.events.record("true-fault", cpl === 3 ? "user" : "kernel", 1, linear, [address, ...detail]);
	}

	/** The exception at which the machine stands. */
	private shown: { readonly linear: bigint; readonly vector: number } | undefined;

	private seeMode(mode: string, previous: string): void {
		this.events.record("mode-switch", `${previous} → ${mode}`, 1, this.processor.linearInstructionPointer());
		const matching = this.filters.filter((filter) => filter.event === "mode-switch");
		if (matching.length === 0 || this.pending) return;
		this.pending = {
			reason: "event",
			processor: 1,
			ids: matching.map(({ id }) => id),
			event: "mode-switch",
			description: `The processor went from ${previous} to ${mode} mode`,
		};
		this.host.stop({ kind: "requested" });
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
			const { ended, input, events } = this;
			return { bytes: host.bytes, host, ended, input: input.save(), events: events.save() } satisfies NativeSnapshot;
		};
	}

	restoreSnapshot(snapshot: MachineSnapshot): void {
		const { host, ended, input, events } = snapshot as NativeSnapshot;
		restoreHostSnapshot(this.host, host);
		this.input.restore(input);
		this.events.restore(events);
		this.ended = ended;
		this.pending = this.shown = undefined;
		this.resetAsked = false;
		this.ranOut = true;
	}

	statistics(): MachineStatistics {
		const { host } = this;
		return {
			instructions: host.engine.retired,
			tiers: { interpreter: host.engine.retired, compiled: 0 },
			tlb: { fills: host.tlb.fills, flushes: host.tlb.flushes },
			interrupts: { delivered: host.processor.delivery.delivered },
			...iommuStatistics(this.remapping),
			blocks: {
				decoded: host.engine.code.blocksDecoded,
				invalidated: host.engine.code.blocksInvalidated,
				flushes: host.engine.code.flushes,
			},
		};
	}

	memoryHash(): string {
		const { physical } = this.host;
		return sha256(physical.u8.subarray(RAM_BASE, RAM_BASE + physical.ramBytes));
	}

	devices(): DeviceView[] {
		return this.host.devices.all.map((device) => ({ name: device.name, registers: device.registers() }));
	}
}

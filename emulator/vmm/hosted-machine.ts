// What machines with a VMM have in common: the host, the guest's own devices on the host's clock, serial line and console,
// stops that wait until the host stands still, and the run loop with its budget. What the VMM does is the technique's.

import type { DiskImage } from "../devices/ata/disk-image.ts";
import type { DmaPath } from "../devices/dma-port.ts";
import { firmwareKernel } from "../machine/boot-source.ts";
import { type DmaFaultSurroundings, iommuStatistics, reportRecord, watchRemapping } from "../machine/dma-faults.ts";
import { type BackedMemory, dmaMemory } from "../machine/dma-memory.ts";
import { describeException } from "../machine/exception-names.ts";
import { HostMachine } from "../machine/host-machine.ts";
import type { IommuView } from "../machine/hypervisor-views.ts";
import { openDisks, optionalDevices } from "../machine/optional-configuration.ts";
import { PcDevices, type PcSurroundings } from "../machine/pc-devices.ts";
import type { RemappingView } from "../machine/remapping-view.ts";
import { SerialInput, type SerialInputState } from "../machine/serial-input.ts";
import {
	type Address,
	type DeviceView,
	type DisplayView,
	type EventFilter,
	type EventName,
	type MachineConfiguration,
	MachineError,
	type Stop,
} from "../machine/virtual-machine.ts";
import { VmEventLog } from "../machine/vm-events.ts";
import { GuestRefusal } from "./guest/guest-context.ts";
import type { MessageInterrupts } from "./io/message-interrupts.ts";
import { AssignedLines, assignable, Passthrough, type PinnedMemory, remappingTableBytes } from "./io/passthrough.ts";
import type { FrameSource } from "./io/remapping-tables.ts";

export const VCPU = 1;
export const PCPU = 2;
const LEAST_MEMORY = 1 << 20;
const MOST_MEMORY = 2 ** 31;

/** What the guest's devices drive and reach. */
export interface GuestConnections
	extends Pick<
		PcSurroundings,
		"interruptRequest" | "nonMaskableInterrupt" | "initSignal" | "firmware" | "shadowMemory"
	> {
	/** Guest-physical memory as bus masters reach it. */
	memory(): BackedMemory;
}

/** What is known of an event that can be broken on. */
export interface EventFacts {
	readonly vector?: number | undefined;
	readonly errorCode?: number | undefined;
	readonly faultAddress?: bigint | undefined;
	readonly exitReason?: number | undefined;
	readonly qualification?: bigint | undefined;
	readonly guestPhysical?: bigint | undefined;
	readonly hypercall?: string | undefined;
	readonly arguments?: readonly bigint[] | undefined;
}

export interface RunState {
	readonly ended: Stop | undefined;
	readonly input: SerialInputState;
	readonly events: unknown;
}

export abstract class HostedMachine {
	readonly events = new VmEventLog(() => this.host.engine.retired);
	readonly disks: readonly DiskImage[];
	host!: HostMachine;
	protected guestDevices!: PcDevices;
	private lines: AssignedLines | undefined;
	/** The host's devices in the hands of the guest, with io "passthrough". */
	protected passthrough: Passthrough | undefined;
	/** The host's remapping unit, when it has one. */
	protected remapping: RemappingView | undefined;
	private input!: SerialInput;
	private readonly serialListeners: ((bytes: Uint8Array) => void)[] = [];
	private readonly consoleListeners: ((byte: number) => void)[] = [];
	protected filters: readonly EventFilter[] = [];
	/** The stop to report as soon as the host stands still. */
	protected pending: Stop | undefined;
	/** Nothing runs any more until reset(). */
	protected ended: Stop | undefined;
	/** The guest has pulled its reset line. */
	protected resetAsked = false;
	/** The last run ended with its budget, so that nobody has been told yet of a breakpoint where the machine stands. */
	protected ranOut = false;

	/** @throws {MachineError} when the disks cannot be opened. */
	constructor(protected readonly configuration: MachineConfiguration) {
		this.disks = openDisks(configuration.disks ?? []);
	}

	/** Power-on of the technique: `makeHost`, the VMM, the image. @throws {MachineError} */
	protected abstract start(): void;

	/** Lets the host run for at most so many instructions, up to the next moment at which the VMM has work, and does that work. */
	protected abstract advance(instructions: number): Stop | undefined;

	/** Called as run() begins: a breakpoint at the place where the machine stands is to be passed over, when `pass` is set. */
	protected abstract beforeRun(pass: boolean): void;

	/** What the VMM has done since the last call, in instructions that would have taken as long: it uses up the budget of a run too. */
	protected workDone(): number {
		return 0;
	}

	/** Called when the budget is used up: the last instruction may have led into the VMM, whose work takes no instruction. */
	protected abstract afterRun(): Stop | undefined;

	private checkMemory(): void {
		const { memory, vmm } = this.configuration;
		if (!Number.isInteger(memory / 4096) || memory < LEAST_MEMORY || memory > MOST_MEMORY)
			throw new MachineError(
				`${memory} bytes of guest memory are not possible under "${vmm}": give a multiple of 4096 from 1M to 2G.`,
			);
	}

	/** Makes a host with `overhead` bytes of memory beyond the guest's, and the guest's devices. @throws {MachineError} */
	protected makeHost(overhead: number, guest: GuestConnections): void {
		const { configuration } = this;
		const { memory } = configuration;
		this.checkMemory();
		this.pending = this.ended = undefined;
		this.resetAsked = false;
		const optional = optionalDevices(configuration, this.disks);
		const passes = configuration.io === "passthrough";
		this.lines = passes ? new AssignedLines() : undefined;
		this.passthrough = undefined;
		const host = new HostMachine({
			engine: configuration.engine,
			memoryBytes: memory + overhead + (passes ? remappingTableBytes(memory) : 0),
			recycled: this.host?.physical.recyclable,
			...(this.lines ? { optional: assignable(optional, configuration.iommu, this.lines) } : {}),
			onSerial: () => {},
			onDebugConsole: () => {},
			onReset: () => {},
		});
		this.host = host;
		this.events.clear();
		this.watchUnit();
		const { memory: guestMemory, ...connections } = guest;
		this.guestDevices = new PcDevices({
			...connections,
			clock: host.clock,
			memoryBytes: memory,
			kernel: firmwareKernel(configuration),
			reset: () => {
				this.resetAsked = true;
				host.stop({ kind: "requested" });
			},
			// No vCPU runs while it waits for one.
			startUp: () => {},
			powerOff: () => this.end({ reason: "poweroff" }),
			debugExit: (value) => this.end({ reason: "debug-exit", value }),
			debugConsole: (byte) => {
				for (const listener of this.consoleListeners) listener(byte);
			},
			serial: (byte) => {
				for (const listener of this.serialListeners) listener(new Uint8Array([byte]));
			},
			optional: passes ? undefined : optional && { ...optional, memory: dmaMemory(guestMemory) },
			timeOfTsc: (tsc) => Number(tsc) - this.timestampOffset,
		});
		this.input = new SerialInput(host.clock, this.guestDevices.com1);
	}

	/** Makes a host of so many bytes whose own devices are those that guests use and whose COM1 is the machine's serial line. */
	protected makeSharedHost(bytes: number): void {
		const { configuration } = this;
		this.checkMemory();
		this.pending = this.ended = undefined;
		this.resetAsked = false;
		const host = new HostMachine({
			engine: configuration.engine,
			memoryBytes: bytes,
			recycled: this.host?.physical.recyclable,
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
		this.host = host;
		this.guestDevices = host.devices;
		this.events.clear();
		this.watchUnit();
		this.input = new SerialInput(host.clock, host.devices.com1);
	}

	/** Requests that the host's remapping unit stops are events of this machine. */
	private watchUnit(): void {
		this.remapping = watchRemapping(this.host.devices.optional, this.faultSurroundings);
	}

	private get faultSurroundings(): DmaFaultSurroundings {
		return {
			events: this.events,
			now: () => this.host.engine.retired,
			filters: () => this.filters,
			stop: (stop) => this.stopAt(stop),
			byInterrupt: this.lines !== undefined,
		};
	}

	/** Gives the host's devices to the guest when the configuration says so; to be called before the guest's devices are reset. */
	protected assignDevices(memory: PinnedMemory, frames: FrameSource, messages: MessageInterrupts): void {
		if (!this.lines) return;
		const { host, guestDevices, remapping, faultSurroundings } = this;
		this.passthrough = new Passthrough(host, guestDevices, memory, frames, messages, (fault) =>
			reportRecord(fault, remapping!, faultSurroundings),
		);
		this.lines.connect(this.guestDevices);
	}

	/** The way of the guest's bus masters to memory: its canonical devices', or the host's that are assigned to it. */
	protected get dmaPath(): DmaPath | undefined {
		return (this.passthrough ? this.host.devices : this.guestDevices).optional?.path;
	}

	/**
	 * An address in the space of `dmaPath`'s memory: guest-physical, or host-physical with assigned devices.
	 * @param guestPhysical what the technique says it is; undefined when it is not mapped.
	 */
	protected dmaAddress({ space, value }: Address, guestPhysical: bigint | undefined): bigint | undefined {
		if (!this.passthrough) return guestPhysical;
		if (space === "hpa") return value;
		return guestPhysical === undefined ? undefined : this.passthrough.hostAddress(guestPhysical);
	}

	get iommus(): readonly IommuView[] {
		return this.remapping ? [this.remapping] : [];
	}

	/** What the guest's time-stamp counter is ahead of virtual time. */
	protected get timestampOffset(): number {
		return 0;
	}

	instructionCount(): number {
		return this.host.engine.retired;
	}

	/** The machine has come to its end; the first reason counts. */
	protected end(stop: Stop): void {
		this.ended ??= stop;
		this.host.stop({ kind: "requested" });
	}

	/** Stops the machine as soon as the host stands still; the first reason counts. */
	protected stopAt(stop: Stop): void {
		if (this.pending) return;
		this.pending = stop;
		this.host.stop({ kind: "requested" });
	}

	protected takePending(): Stop | undefined {
		const { pending } = this;
		this.pending = undefined;
		return pending;
	}

	private refusal(error: MachineError): string {
		return error instanceof GuestRefusal ? error.under(this.configuration.vmm) : error.message;
	}

	/** What the VMM refuses ends the run; the machine stays inspectable. */
	protected advanceOrEnd(instructions: number): Stop | undefined {
		try {
			return this.advance(instructions);
		} catch (error) {
			if (error instanceof MachineError) this.ended = { reason: "halted", description: this.refusal(error) };
			else if (this.passthrough?.unprotected) this.ended = { reason: "halted", description: destroyed(error) };
			else throw error;
			return this.ended;
		}
	}

	run(instructions: number): Stop | undefined {
		if (this.ended) return this.ended;
		const end = this.host.engine.retired + instructions;
		let entries = 0;
		this.beforeRun(!this.ranOut);
		this.ranOut = false;
		// An entry into the VMM that retires nothing counts too: a guest that only faults must not keep the caller waiting.
		while (this.host.engine.retired + entries < end) {
			const before = this.host.engine.retired;
			const stop = this.advanceOrEnd(end - before);
			if (stop) return stop;
			if (this.host.stoodStill) break;
			if (this.host.engine.retired === before) entries++;
			entries += this.workDone();
		}
		const stop = this.afterRun();
		this.ranOut = stop === undefined;
		return stop;
	}

	setEventFilters(filters: readonly EventFilter[]): void {
		this.filters = filters;
	}

	/** The filters that an event matches; none while another stop waits. */
	protected matching(event: EventName, facts: EventFacts): readonly EventFilter[] {
		if (this.filters.length === 0 || this.pending) return [];
		return this.filters.filter(
			(filter) =>
				(filter.event === event || (filter.event === "exception" && event === "true-page-fault")) &&
				(filter.vector === undefined || filter.vector === facts.vector) &&
				(filter.exitReason === undefined || filter.exitReason === facts.exitReason) &&
				(filter.hypercall === undefined || filter.hypercall === facts.hypercall),
		);
	}

	/** The stop for an event of a processor, when a filter asks for it. */
	protected eventStop(event: EventName, processor: number, description: string, facts: EventFacts): Stop | undefined {
		const matching = this.matching(event, facts);
		if (matching.length === 0) return undefined;
		const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
		const ids = matching.map(({ id }) => id);
		return { reason: "event", processor, ids, event: matching[0]!.event, description, ...known };
	}

	/** "Page fault (#PF, error code 0x2) at 0x1000" */
	protected describeFault(vector: number, errorCode: number | undefined, instruction: bigint): string {
		return `${describeException(vector, errorCode, "exception")} at 0x${instruction.toString(16)}`;
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
		for (const disk of this.disks) disk.discardWrites();
		this.start();
	}

	/** Of the run, for restoreRun(): its end, input that waits, the timeline. */
	protected saveRun(): RunState {
		return { ended: this.ended, input: this.input.save(), events: this.events.save() };
	}

	/** To be called when the host has been restored. */
	protected restoreRun({ ended, input, events }: RunState): void {
		this.input.restore(input);
		this.events.restore(events);
		this.ended = ended;
		this.pending = undefined;
		this.ranOut = true;
	}

	/** What statistics() says under every technique. */
	protected hostStatistics() {
		const { host } = this;
		return {
			instructions: host.engine.retired,
			tiers: host.engine.tiers,
			tlb: { fills: host.tlb.fills, flushes: host.tlb.flushes },
			...iommuStatistics(this.remapping),
		};
	}

	get display(): DisplayView {
		return this.guestDevices.display;
	}

	devices(): DeviceView[] {
		const assigned = this.passthrough ? [...this.passthrough.functions, ...this.host.devices.optional!.all] : [];
		return [...this.guestDevices.all, ...assigned].map((device) => {
			return { name: device.name, registers: device.registers() };
		});
	}
}

/** Without a remapping unit an assigned device can write anywhere, also into what the VMM lives on. */
function destroyed(error: unknown): string {
	const what = error instanceof Error ? error.message : String(error);
	return `The VMM's own memory is broken (${what}): no IOMMU keeps the assigned devices from it; start the machine with one.`;
}

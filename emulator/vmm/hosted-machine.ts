// What machines with a VMM have in common: the host, the guest's own devices on the host's clock, serial line and console,
// stops that wait until the host stands still, and the run loop with its budget. What the VMM does is the technique's.

import type { DiskImage } from "../devices/ata/disk-image.ts";
import { type BackedMemory, dmaMemory } from "../machine/dma-memory.ts";
import { describeException } from "../machine/exception-names.ts";
import { HostMachine } from "../machine/host-machine.ts";
import { openDisks, optionalDevices } from "../machine/optional-configuration.ts";
import { PcDevices, type PcSurroundings } from "../machine/pc-devices.ts";
import { SerialInput } from "../machine/serial-input.ts";
import {
	type DeviceView,
	type EventFilter,
	type EventName,
	type MachineConfiguration,
	MachineError,
	type Stop,
} from "../machine/virtual-machine.ts";
import { VmEventLog } from "../machine/vm-events.ts";
import { GuestRefusal } from "./guest/guest-context.ts";

export const VCPU = 1;
export const PCPU = 2;
const LEAST_MEMORY = 1 << 20;
const MOST_MEMORY = 2 ** 31;

/** What the guest's devices drive and reach. */
export interface GuestConnections
	extends Pick<PcSurroundings, "interruptRequest" | "nonMaskableInterrupt" | "firmware" | "shadowMemory"> {
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

export abstract class HostedMachine {
	readonly events = new VmEventLog(() => this.host.engine.retired);
	readonly disks: readonly DiskImage[];
	host!: HostMachine;
	protected guestDevices!: PcDevices;
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
		const host = new HostMachine({
			memoryBytes: memory + overhead,
			onSerial: () => {},
			onDebugConsole: () => {},
			onReset: () => {},
		});
		this.host = host;
		this.events.clear();
		const optional = optionalDevices(configuration, this.disks);
		const { memory: guestMemory, ...connections } = guest;
		this.guestDevices = new PcDevices({
			...connections,
			clock: host.clock,
			memoryBytes: memory,
			reset: () => {
				this.resetAsked = true;
				host.stop({ kind: "requested" });
			},
			powerOff: () => this.end({ reason: "poweroff" }),
			debugExit: (value) => this.end({ reason: "debug-exit", value }),
			debugConsole: (byte) => {
				for (const listener of this.consoleListeners) listener(byte);
			},
			serial: (byte) => {
				for (const listener of this.serialListeners) listener(new Uint8Array([byte]));
			},
			optional: optional && { ...optional, memory: dmaMemory(guestMemory) },
			timeOfTsc: (tsc) => Number(tsc) + (host.now() - host.engine.retired),
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
			memoryBytes: bytes,
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
		this.input = new SerialInput(host.clock, host.devices.com1);
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

	/** What the VMM refuses ends the run; the machine stays inspectable. */
	protected advanceOrEnd(instructions: number): Stop | undefined {
		try {
			return this.advance(instructions);
		} catch (error) {
			if (!(error instanceof MachineError)) throw error;
			const { vmm } = this.configuration;
			const description = error instanceof GuestRefusal ? error.under(vmm) : error.message;
			this.ended = { reason: "halted", description };
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
			if (this.host.engine.retired === before) entries++;
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

	/** What statistics() says under every technique. */
	protected hostStatistics() {
		const { host } = this;
		return {
			instructions: host.engine.retired,
			tiers: { interpreter: host.engine.retired, compiled: 0 },
			tlb: { fills: host.tlb.fills, flushes: host.tlb.flushes },
		};
	}

	devices(): DeviceView[] {
		return this.guestDevices.all.map((device) => ({ name: device.name, registers: device.registers() }));
	}
}

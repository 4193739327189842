// `--io passthrough`: the host's bus masters assigned to the guest. Registers and interrupts go to the guest; DMA goes through the
// remapping unit, whose tables map the guest's pages, and nothing else, to their host frames. All of the guest's memory is pinned,
// for a device cannot wait until a page is there.

import type { AccessSize, InterruptLine, RegisterBlock } from "../../devices/device.ts";
import { INTERRUPT_RANGE, type SourceId } from "../../devices/dma-port.ts";
import { interruptMessage } from "../../devices/message-signalled-interrupt.ts";
import { BASE_ADDRESS_0 } from "../../devices/pci-configuration-space.ts";
import { PageKind } from "../../engine/physical-memory.ts";
import type { FaultRecord } from "../../machine/dma-faults.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import type { OptionalDeviceConfiguration } from "../../machine/optional-devices.ts";
import type { PcDevices } from "../../machine/pc-devices.ts";
import { MachineError } from "../../machine/virtual-machine.ts";
import { AssignedFunction, type HostFunction } from "./assigned-function.ts";
import type { Message, MessageRoute } from "./assigned-messages.ts";
import { COMPATIBILITY_ADDRESS, type MessageInterrupts } from "./message-interrupts.ts";
import { RemappingDriver } from "./remapping-driver.ts";
import { type DomainTables, type FrameSource, RemappingTables } from "./remapping-tables.ts";

/** A message in remappable format without subhandle names its entry by address bits 19:5 (VT-d specification 3.3, §5.1.2.2). */
const REMAPPABLE_ADDRESS = 0xfee0_0010n;
/** Domain identifier of the guest. */
const GUEST_DOMAIN = 1;
/** Where the VMM puts the functions on the host: above all memory, below the I/O APIC; ports of no standard device. */
const FIRST_MEMORY_BASE = 0xf000_0000;
const FIRST_PORT_BASE = 0xc000;
/** Ports and interrupts of an IDE function in compatibility mode: no base address register has them (PIIX3 data sheet, §2.5). */
const IDE_CLASS = 0x0101;
const IDE_PORTS = [
	[0x1f0, 8],
	[0x3f6, 1],
	[0x170, 8],
	[0x376, 1],
] as const;
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;

/** The guest's memory as the VMM has it. */
export interface PinnedMemory {
	readonly ramBytes: number;
	kindOf(page: number): number;
	/** Host frame of a page, allocated when it has none. */
	frameOf(page: number): number;
	/** Bytes of a page have changed by another hand than the guest's: traced pages and copies of code. */
	onWrite(address: number, length: number): void;
}

/** Host memory that the tables of a guest of this size take. */
export function remappingTableBytes(guestBytes: number): number {
	return Math.ceil(guestBytes / (1 << 21)) * 4096 + 16 * 4096;
}

/** Interrupt lines of assigned functions. They lead to the guest's interrupt controllers as soon as there are some. */
export class AssignedLines {
	private readonly waiting: (() => void)[] = [];
	private guest: PcDevices | undefined;

	/** For OptionalDeviceConfiguration.line: 1 to 4 are INTA# to INTD#, others ISA interrupts. */
	readonly line = (source: SourceId, number: number): InterruptLine => {
		let target: InterruptLine | undefined;
		let level = false;
		const connect = () => {
			const { irq, isaBridge } = this.guest!.expansion;
			target = number > 4 ? irq(number) : isaBridge.line((source >> 3) & 31, source & 7, number);
			target.set(level);
		};
		if (this.guest) connect();
		else this.waiting.push(connect);
		return {
			set: (asserted) => {
				level = asserted;
				target?.set(asserted);
			},
		};
	};

	connect(guest: PcDevices): void {
		this.guest = guest;
		for (const connect of this.waiting.splice(0)) connect();
	}
}

/** What of a configuration has to go to the host. @throws {MachineError} when there is nothing to assign. */
export function assignable(
	optional: Omit<OptionalDeviceConfiguration, "memory"> | undefined,
	iommu: boolean | undefined,
	lines: AssignedLines,
): Omit<OptionalDeviceConfiguration, "memory"> {
	if (!optional || (optional.devices.length === 0 && optional.disks.length === 0 && !optional.cdrom))
		throw new MachineError(
			'The I/O model "passthrough" assigns devices of the host: give it a disk or a device, in "disks" and "devices" ("--disk" and "--device" on the command line).',
		);
	return { ...optional, iommu: iommu ?? true, line: lines.line };
}

export class Passthrough {
	private readonly pageOf = new Map<number, number>();
	private nextMemoryBase = FIRST_MEMORY_BASE;
	private nextPortBase = FIRST_PORT_BASE;
	/** The guest's second-level tables; undefined without a remapping unit. */
	readonly domain: DomainTables | undefined;
	private readonly driver: RemappingDriver | undefined;
	private readonly tables: RemappingTables | undefined;
	/** The functions on the guest's bus. */
	readonly functions: readonly AssignedFunction[];

	/**
	 * Assigns every bus master of the host to the guest.
	 * @param frames for the tables.
	 * @param messages gives vectors of the host: for the unit's faults and for the functions' messages.
	 * @param faulted is told of requests that the unit has stopped.
	 * @throws {MachineError} when host memory is used up.
	 */
	constructor(
		private readonly host: HostMachine,
		private readonly guest: PcDevices,
		private readonly memory: PinnedMemory,
		frames: FrameSource,
		private readonly messages: MessageInterrupts,
		faulted: (fault: FaultRecord) => void,
	) {
		const optional = host.devices.optional!;
		const tables = optional.iommu && new RemappingTables(host.physical, frames);
		this.tables = tables;
		this.domain = tables?.makeDomain(GUEST_DOMAIN);
		this.pin();
		for (const { source } of optional.path.masters()) if (this.domain) tables?.assign(source, this.domain);
		if (tables) {
			const driver = new RemappingDriver(host.devices.memory, host.physical, tables.queue, tables.status);
			const vector = messages.allocate(() => driver.takeFaults().forEach(faulted));
			driver.start(tables.root, tables.interrupts, vector);
			this.driver = driver;
		}
		this.functions = optional.path.masters().map(({ source }, index) => this.assign(source, index));
		host.onDmaWrite = (address, length) => this.written(address, length);
	}

	/** Without a unit, device addresses are host-physical addresses: nothing keeps a device from the VMM's own memory. */
	get unprotected(): boolean {
		return this.domain === undefined;
	}

	/** The guest is reset: its functions as well. */
	reset(): void {
		for (const assigned of this.functions) assigned.reset();
	}

	/** The guest's tables have changed: the unit forgets what it has read of them. */
	invalidate(): void {
		this.driver?.invalidate();
	}

	/** Where a guest-physical address lies in host memory; undefined when it is no memory. */
	hostAddress(guestPhysical: bigint): bigint | undefined {
		const page = Number(guestPhysical >> 12n);
		const { memory } = this;
		if (page < 0 || page >= memory.ramBytes / 4096 || memory.kindOf(page) !== PageKind.ram) return undefined;
		return BigInt(memory.frameOf(page)) * 4096n + (guestPhysical & 0xfffn);
	}

	/** Every page of RAM gets its frame, which stays; ROM can be read. */
	private pin(): void {
		for (let page = 0; page < this.memory.ramBytes / 4096; page++) this.map(page);
	}

	private map(page: number): void {
		const { memory, domain, pageOf } = this;
		const kind = memory.kindOf(page);
		if (kind !== PageKind.ram && kind !== PageKind.rom) return;
		const frame = memory.frameOf(page);
		pageOf.set(frame, page);
		domain?.map(page, frame, kind === PageKind.ram);
	}

	/** Shadow memory was switched: pages from `first` on, up to but not `end`, are other ones or have other rights. */
	pagesChanged(first: number, end: number): void {
		for (let page = first; page < end; page++) {
			this.domain?.unmap(page);
			this.map(page);
		}
		this.invalidate();
	}

	/** A device wrote host memory. What is not the guest's is the VMM's own: it has no copies of it. */
	private written(address: number, length: number): void {
		for (let done = 0; done < length; ) {
			const at = address + done;
			const part = Math.min(length - done, 4096 - (at % 4096));
			const page = this.pageOf.get(Math.floor(at / 4096));
			if (page !== undefined) this.memory.onWrite(page * 4096 + (at % 4096), part);
			done += part;
		}
	}

	private assign(source: SourceId, index: number): AssignedFunction {
		const { guest } = this;
		const device = (source >> 3) & 31;
		const functionNumber = source & 7;
		const route = this.route(source, index, () => this.send(assigned.message));
		const host = this.hostFunction(device, functionNumber, route);
		const assigned: AssignedFunction = new AssignedFunction(host, guest.expansion.pci);
		guest.expansion.pci.add(device, functionNumber, assigned);
		if (host.identity.classCode >>> 8 === IDE_CLASS) this.passPorts(host.name);
		return assigned;
	}

	/** The way of a function's message to a vector of the host, `taken` there: by an entry of its own, or without a unit directly. */
	private route(source: SourceId, index: number, taken: () => void): MessageRoute {
		const { tables, driver, messages } = this;
		const vector = messages.allocate(taken);
		return {
			get isOpen() {
				return tables?.isOpen(index) ?? false;
			},
			open: () => {
				if (!tables) return { address: BigInt(COMPATIBILITY_ADDRESS), data: vector };
				tables.openInterrupt(index, source, vector);
				return { address: REMAPPABLE_ADDRESS | BigInt(index << 5), data: 0 };
			},
			close: () => {
				tables?.closeInterrupt(index);
				driver?.invalidateInterrupts();
			},
		};
	}

	/** The function has interrupted the host: the guest gets the message that it asked for, as a write by the function. */
	private send(message: Message | undefined): void {
		if (!message) return;
		const { address, data } = message;
		if (address >> 20n === INTERRUPT_RANGE >> 20n) {
			this.guest.expansion.apicBus.deliver(interruptMessage(Number(address), data));
			return;
		}
		const target = this.hostAddress(address);
		if (target === undefined) return;
		this.host.physical.write(Number(target), 4, data);
		this.memory.onWrite(Number(address), 4);
	}

	/** Accesses to the guest's ports of the IDE channels are accesses to the host's. */
	private passPorts(name: string): void {
		const { host, guest } = this;
		for (const [first, count] of IDE_PORTS) {
			const block = forward((offset) => first + offset, host.devices.ports);
			guest.ports.register(first, count, block, `${name} at 0x${first.toString(16)}`);
		}
	}

	private hostFunction(device: number, functionNumber: number, route: MessageRoute): HostFunction {
		const found = this.host.devices.expansion.pci.find(device, functionNumber)!;
		const { ports, memory, optional } = this.host.devices;
		const { identity } = found.configuration;
		const configuration = (offset: number) => {
			const address = 0x8000_0000 + ((device << 11) | (functionNumber << 8) | (offset & 0xfc));
			ports.write(CONFIG_ADDRESS, 4, address);
			return CONFIG_DATA + (offset & 3);
		};
		const readConfiguration = (offset: number, size: AccessSize) => ports.read(configuration(offset), size);
		const writeConfiguration = (offset: number, size: AccessSize, value: number) =>
			ports.write(configuration(offset), size, value);
		const bases = new Map(
			Object.entries(identity.baseAddresses ?? {}).map(([number, { space, size }]) => {
				return [Number(number), this.placeFor(space === "io", size)] as const;
			}),
		);
		const place = () => {
			for (const [number, base] of bases) writeConfiguration(BASE_ADDRESS_0 + 4 * number, 4, base);
		};
		place();
		return {
			name: found.name,
			identity,
			readConfiguration,
			writeConfiguration,
			registers: (number) => {
				const base = bases.get(number)!;
				const bar = identity.baseAddresses![number]!;
				return forward((offset) => base + offset, bar.space === "io" ? ports : memory, bar.block.widestAccess);
			},
			reset: () => {
				optional!.all.find(({ name }) => name === found.name)?.reset();
				place();
			},
			route,
		};
	}

	/** A free range of the host's, aligned to its size. */
	private placeFor(io: boolean, size: number): number {
		const from = io ? this.nextPortBase : this.nextMemoryBase;
		const base = Math.ceil(from / size) * size;
		if (io) this.nextPortBase = base + size;
		else this.nextMemoryBase = base + size;
		return base;
	}
}

/** Registers that lie in one of the host's spaces. */
function forward(
	address: (offset: number) => number,
	space: {
		read(address: number, size: AccessSize): number;
		write(address: number, size: AccessSize, value: number): void;
	},
	widestAccess?: AccessSize,
): RegisterBlock {
	return {
		...(widestAccess === undefined ? {} : { widestAccess }),
		read: (offset, size) => space.read(address(offset), size),
		write: (offset, size, value) => space.write(address(offset), size, value),
	};
}

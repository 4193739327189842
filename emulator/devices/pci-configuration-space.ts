// The 256 bytes of a PCI function's configuration space: what is fixed, what can be written, and the base address registers.
// Reference: PCI Local Bus Specification 3.0, chapter 6.

import type { AccessSize, RegisterBlock, RegisterView } from "./device.ts";
import { bits, hex } from "./register-format.ts";

/** Offsets of the type 0 header. */
export const VENDOR_ID = 0x00;
export const DEVICE_ID = 0x02;
export const COMMAND = 0x04;
export const STATUS = 0x06;
export const REVISION_ID = 0x08;
export const HEADER_TYPE = 0x0e;
export const BASE_ADDRESS_0 = 0x10;
export const SUBSYSTEM_VENDOR_ID = 0x2c;
export const CAPABILITIES_POINTER = 0x34;
export const INTERRUPT_LINE = 0x3c;
export const INTERRUPT_PIN = 0x3d;

export const COMMAND_IO_SPACE = 0x001;
export const COMMAND_MEMORY_SPACE = 0x002;
export const COMMAND_BUS_MASTER = 0x004;
export const COMMAND_INTERRUPT_DISABLE = 0x400;

/** One base address register. `size` is a power of two, at least 4 for I/O and 16 for memory. */
export interface BaseAddressRegister {
	readonly space: "io" | "memory32" | "memory64";
	readonly size: number;
	readonly prefetchable?: boolean;
	/** The registers that appear where the guest puts them. */
	readonly block: RegisterBlock;
	readonly name: string;
}

/** The identity of a function and its base address registers by number (a 64-bit one takes its number and the next). */
export interface PciIdentity {
	readonly vendor: number;
	readonly device: number;
	readonly revision?: number;
	/** Base class, subclass, programming interface: 24 bits. */
	readonly classCode: number;
	readonly multifunction?: boolean;
	readonly subsystemVendor?: number;
	readonly subsystem?: number;
	/** 1 to 4 for INTA# to INTD#; 0 or absent for none. */
	readonly interruptPin?: number;
	readonly baseAddresses?: Readonly<Record<number, BaseAddressRegister>>;
}

/** Puts a function's registers into the machine's address spaces. */
export interface PciMapper {
	/** False when something else is there: the registers stay unreachable until it is gone. */
	map(bar: BaseAddressRegister, base: number): boolean;
	unmap(bar: BaseAddressRegister, base: number): void;
}

/** The saved part: the bytes. Where the base address registers are mapped follows from them. */
interface ConfigurationState {
	bytes: Uint8Array;
}

/** Register block: 256 bytes. Devices write `bytes` freely and open their own registers to the guest with `allowWrites`. */
export class PciConfigurationSpace implements RegisterBlock {
	readonly bytes = new Uint8Array(256);
	/** Bits that the guest can set and clear. */
	private readonly writable = new Uint8Array(256);
	/** Bits that the guest clears by writing 1. */
	private readonly clearedByOne = new Uint8Array(256);
	private readonly initial: Uint8Array;
	private readonly mapped = new Map<number, number>();
	private readonly blocked = new Set<number>();
	/** Called after a write by the guest that touched `[offset, offset + size)`. */
	onWrite: (offset: number, size: number) => void = () => {};

	constructor(
		readonly identity: PciIdentity,
		private readonly mapper: PciMapper,
	) {
		const { bytes, writable } = this;
		this.put(VENDOR_ID, 2, identity.vendor);
		this.put(DEVICE_ID, 2, identity.device);
		this.put(REVISION_ID, 4, ((identity.classCode << 8) | (identity.revision ?? 0)) >>> 0);
		bytes[HEADER_TYPE] = identity.multifunction ? 0x80 : 0;
		this.put(SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendor ?? 0);
		this.put(SUBSYSTEM_VENDOR_ID + 2, 2, identity.subsystem ?? 0);
		bytes[INTERRUPT_PIN] = identity.interruptPin ?? 0;
		// Section 6.2.2: I/O, memory, bus master, parity response, SERR#, interrupt disable.
		writable[COMMAND] = 0x47;
		writable[COMMAND + 1] = 0x05;
		this.clearedByOne[STATUS + 1] = 0xf9;
		writable[INTERRUPT_LINE] = 0xff;
		for (const [number, bar] of this.bars()) {
			const offset = BASE_ADDRESS_0 + 4 * number;
			const flags = bar.space === "io" ? 1 : (bar.space === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
			this.put(offset, 4, flags);
			const mask = -bar.size & (bar.space === "io" ? ~3 : ~15);
			for (let i = 0; i < 4; i++) writable[offset + i] = mask >>> (8 * i);
			if (bar.space === "memory64") writable.fill(0xff, offset + 4, offset + 8);
		}
		this.initial = bytes.slice();
	}

	/** Opens `[offset, offset + mask.length)` to the guest's writes; `value` is what reset leaves there. */
	allowWrites(offset: number, mask: readonly number[], value: readonly number[] = []): void {
		this.writable.set(mask, offset);
		this.bytes.set(value, offset);
		this.initial.set(value, offset);
	}

	/** The 16 bits of the command register. */
	get command(): number {
		return this.bytes[COMMAND]! | (this.bytes[COMMAND + 1]! << 8);
	}

	/** Where base address register `number` is decoded now; undefined when it is not. */
	baseAddress(number: number): number | undefined {
		return this.mapped.get(number);
	}

	read(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes[(offset + i) & 0xff]!;
		return value;
	}

	write(offset: number, size: AccessSize, value: number): void {
		for (let i = 0; i < size; i++) {
			const at = (offset + i) & 0xff;
			const written = (value >>> (8 * i)) & 0xff;
			const kept = this.bytes[at]! & ~this.writable[at]! & ~(written & this.clearedByOne[at]!);
			this.bytes[at] = kept | (written & this.writable[at]!);
		}
		this.updateMappings();
		this.onWrite(offset, size);
	}

	/** Brings the mapped ranges in line with the command and base address registers; blocked ones are tried again. */
	updateMappings(): void {
		for (const [number, bar] of this.bars()) {
			const wanted = this.wantedBase(number, bar);
			const present = this.mapped.get(number);
			if (present === wanted && wanted !== undefined) continue;
			if (present !== undefined) {
				this.mapped.delete(number);
				this.mapper.unmap(bar, present);
			}
			this.blocked.delete(number);
			if (wanted === undefined) continue;
			if (this.mapper.map(bar, wanted)) this.mapped.set(number, wanted);
			else this.blocked.add(number);
		}
	}

	reset(): void {
		this.bytes.set(this.initial);
		this.updateMappings();
	}

	save(): unknown {
		return { bytes: this.bytes.slice() } satisfies ConfigurationState;
	}

	restore(state: unknown): void {
		this.bytes.set((state as ConfigurationState).bytes);
		this.updateMappings();
	}

	registers(): RegisterView[] {
		const commandNames = ["I/O", "memory", "bus master", "", "", "", "parity", "", "SERR#", "", "INTx off"];
		const views: RegisterView[] = [
			{ name: "vendor ID", width: 16, value: this.read(VENDOR_ID, 2) },
			{ name: "device ID", width: 16, value: this.read(DEVICE_ID, 2) },
			{ name: "command", width: 16, value: this.command, meaning: bits(this.command, commandNames) },
			{ name: "status", width: 16, value: this.read(STATUS, 2) },
			{ name: "class and revision", width: 32, value: this.read(REVISION_ID, 4) },
		];
		for (const [number, bar] of this.bars()) {
			const base = this.mapped.get(number);
			const blocked = this.blocked.has(number) ? ", another device is there" : "";
			views.push({
				name: `BAR${number}`,
				width: 32,
				value: this.read(BASE_ADDRESS_0 + 4 * number, 4),
				meaning: `${bar.name}, ${bar.space}, ${bar.size} bytes, ${base === undefined ? `not decoded${blocked}` : `at ${hex(base, 32)}`}`,
			});
		}
		views.push({ name: "interrupt line", width: 8, value: this.bytes[INTERRUPT_LINE]! });
		return views;
	}

	/** Writes a field whatever the guest may do. */
	put(offset: number, size: AccessSize, value: number): void {
		for (let i = 0; i < size; i++) this.bytes[offset + i] = value >>> (8 * i);
	}

	private bars(): [number, BaseAddressRegister][] {
		return Object.entries(this.identity.baseAddresses ?? {}).map(([number, bar]) => [Number(number), bar]);
	}

	private wantedBase(number: number, bar: BaseAddressRegister): number | undefined {
		const offset = BASE_ADDRESS_0 + 4 * number;
		const low = this.read(offset, 4);
		if (bar.space === "io") {
			const base = (low & ~3) >>> 0;
			// The port space has 16 address lines; a sizing write (all ones) lies above it, and 0 means not assigned.
			return this.command & COMMAND_IO_SPACE && base > 0 && base + bar.size <= 0x1_0000 ? base : undefined;
		}
		if (!(this.command & COMMAND_MEMORY_SPACE)) return undefined;
		const high = bar.space === "memory64" ? this.read(offset + 4, 4) : 0;
		const base = high * 2 ** 32 + ((low & ~15) >>> 0);
		// A sizing write leaves a range that ends at 4 GiB (or beyond the physical addresses): never decoded.
		return base > 0 && base + bar.size !== 2 ** 32 && base + bar.size <= 2 ** 52 ? base : undefined;
	}
}

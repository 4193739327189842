// QEMU's firmware configuration device, by its ports (no DMA interface).
// Reference: QEMU, docs/specs/fw_cfg.rst.

import type { AccessSize, Device, RegisterBlock, RegisterView } from "./device.ts";

/** Offsets: a 16-bit selector and an 8-bit data register that share port 0x511. */
const SELECTOR = 0;
const DATA = 1;

/** Keys. */
const SIGNATURE = 0x0000;
const INTERFACE_VERSION = 0x0001;
const RAM_SIZE = 0x0003;
const CPU_COUNT = 0x0005;
const BOOT_MENU = 0x000e;
const MAXIMUM_CPUS = 0x000f;
/** A Linux kernel that firmware is to start: size and bytes of its setup part, of the rest, of the initrd and the command line. */
const KERNEL_SIZE = 0x0008;
const INITRD_SIZE = 0x000b;
const KERNEL_DATA = 0x0011;
const INITRD_DATA = 0x0012;
const COMMAND_LINE_SIZE = 0x0014;
const COMMAND_LINE_DATA = 0x0015;
const SETUP_SIZE = 0x0017;
const SETUP_DATA = 0x0018;
const FILE_DIRECTORY = 0x0019;
const FILE_FIRST = 0x0020;

/** Interface version: the traditional ports only (bit 1, DMA, is clear). */
const TRADITIONAL_INTERFACE = 0x01;
/** A directory entry: size, select, reserved, 56 bytes of name; big-endian. */
const FILE_ENTRY_SIZE = 64;
const FILE_NAME_SIZE = 56;

/** One range of the physical memory map as "etc/e820" lists it. */
export interface MemoryRange {
	readonly base: number;
	readonly length: number;
	/** ACPI address range types: 1 memory, 2 reserved, 3 ACPI reclaimable, 4 ACPI NVS. */
	readonly type: number;
}

/** A kernel in its parts. */
export interface FirmwareKernel {
	readonly setup: Uint8Array;
	readonly kernel: Uint8Array;
	readonly initrd: Uint8Array;
	/** With its terminating zero. */
	readonly commandLine: Uint8Array;
}

/** What the device tells the firmware. */
export interface FirmwareConfiguration {
	readonly cpuCount: number;
	/** Bytes of memory below 4 GiB. */
	readonly memoryBytes: number;
	readonly memoryMap: readonly MemoryRange[];
	/** More files by name, for example "bootorder". One whose bytes depend on what the firmware does is asked for them; their number stays. */
	readonly files?: Readonly<Record<string, ItemBytes>>;
	readonly kernel?: FirmwareKernel | undefined;
}

type ItemBytes = Uint8Array | (() => Uint8Array);

interface FwCfgState {
	key: number;
	/** Bytes of the selected item that have been read. */
	position: number;
}

function littleEndian(value: number, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	for (let i = 0; i < size; i++) bytes[i] = Math.floor(value / 2 ** (8 * i)) % 256;
	return bytes;
}

function ascii(text: string): Uint8Array {
	return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function current(item: ItemBytes): Uint8Array {
	return item instanceof Uint8Array ? item : item();
}

/** Register block: 2 ports at 0x510. The items are fixed at construction; the guest only selects and reads. */
export class FwCfg implements Device, RegisterBlock {
	readonly name = "fw_cfg";
	readonly widestAccess = 2;
	private readonly items = new Map<number, ItemBytes>();
	private readonly names = new Map<number, string>();
	private state: FwCfgState = { key: 0, position: 0 };

	/** @throws RangeError for a file name longer than 55 characters. */
	constructor(configuration: FirmwareConfiguration) {
		const item = (key: number, name: string, bytes: ItemBytes) => {
			this.items.set(key, bytes);
			this.names.set(key, name);
		};
		item(SIGNATURE, "signature", ascii("QEMU"));
		item(INTERFACE_VERSION, "interface version", littleEndian(TRADITIONAL_INTERFACE, 4));
		item(RAM_SIZE, "memory size", littleEndian(configuration.memoryBytes, 8));
		item(CPU_COUNT, "CPU count", littleEndian(configuration.cpuCount, 2));
		item(BOOT_MENU, "boot menu", littleEndian(0, 2));
		item(MAXIMUM_CPUS, "maximum CPUs", littleEndian(configuration.cpuCount, 2));
		const { kernel } = configuration;
		if (kernel) {
			const part = (sizeKey: number, dataKey: number, name: string, bytes: Uint8Array) => {
				item(sizeKey, `${name} size`, littleEndian(bytes.length, 4));
				item(dataKey, name, bytes);
			};
			part(SETUP_SIZE, SETUP_DATA, "kernel setup", kernel.setup);
			part(KERNEL_SIZE, KERNEL_DATA, "kernel", kernel.kernel);
			part(INITRD_SIZE, INITRD_DATA, "initrd", kernel.initrd);
			part(COMMAND_LINE_SIZE, COMMAND_LINE_DATA, "command line", kernel.commandLine);
		}
		const map = new Uint8Array(configuration.memoryMap.length * 20);
		configuration.memoryMap.forEach((range, i) => {
			map.set(littleEndian(range.base, 8), 20 * i);
			map.set(littleEndian(range.length, 8), 20 * i + 8);
			map.set(littleEndian(range.type, 4), 20 * i + 16);
		});
		const files = Object.entries({ "etc/e820": map, ...configuration.files }).sort(([a], [b]) => (a < b ? -1 : 1));
		const directory = new Uint8Array(4 + files.length * FILE_ENTRY_SIZE);
		const view = new DataView(directory.buffer);
		view.setUint32(0, files.length);
		files.forEach(([name, bytes], i) => {
			if (name.length >= FILE_NAME_SIZE)
				throw new RangeError(`fw_cfg: the file name "${name}" is longer than 55 characters.`);
			const entry = 4 + i * FILE_ENTRY_SIZE;
			view.setUint32(entry, current(bytes).length);
			view.setUint16(entry + 4, FILE_FIRST + i);
			directory.set(ascii(name), entry + 8);
			item(FILE_FIRST + i, name, bytes);
		});
		item(FILE_DIRECTORY, "file directory", directory);
	}

	/** Reads past the end of an item, and of items that are not there, give 0. */
	read(offset: number, size: AccessSize): number {
		if (offset !== DATA || size !== 1) return 0;
		const item = this.items.get(this.state.key);
		const bytes = item && current(item);
		return bytes && this.state.position < bytes.length ? bytes[this.state.position++]! : 0;
	}

	/** Only the selector can be written, as 16 bits; bit 14 (write mode) and the architecture bit 15 are parts of the key. */
	write(offset: number, size: AccessSize, value: number): void {
		if (offset === SELECTOR && size === 2) this.state = { key: value & 0xffff, position: 0 };
	}

	reset(): void {
		this.state = { key: 0, position: 0 };
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as FwCfgState) };
	}

	registers(): RegisterView[] {
		const { key, position } = this.state;
		return [
			{ name: "selector", width: 16, value: key, meaning: this.names.get(key) ?? "no such item" },
			{ name: "position", width: 32, value: position },
		];
	}
}

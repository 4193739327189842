// PCI bus 0 and the way to its configuration spaces (configuration mechanism #1), with the host bridge of an Intel 440FX.
// References: PCI Local Bus Specification 3.0, section 3.2.2.3.2; Intel 82441FX (PMC) data sheet (order number 290549).

import type { AccessSize, Device, RegisterBlock, RegisterView } from "./device.ts";
import type { IoPortBus } from "./io-port-bus.ts";
import type { MemoryBus } from "./memory-bus.ts";
import { type BaseAddressRegister, PciConfigurationSpace, type PciMapper } from "./pci-configuration-space.ts";
import { allOnes } from "./register-format.ts";

/** A function of a device on the bus. */
export interface PciFunction {
	readonly name: string;
	readonly configuration: PciConfigurationSpace;
}

/** Offsets from port 0xcf8. */
const CONFIG_ADDRESS = 0;
/** Reset control register of the PIIX3, a byte inside CONFIG_ADDRESS. */
const RESET_CONTROL = 1;
const CONFIG_DATA = 4;
const ADDRESS_ENABLE = 0x8000_0000;
const RESET_CPU = 0x04;

/** PMC registers of device 0. */
const PAM0 = 0x59;
const PAM_COUNT = 7;
const SMRAM = 0x72;

/** Bus 0: up to 32 devices of 8 functions, and the address spaces they decode in. */
export class PciBus implements PciMapper {
	private readonly functions: (PciFunction | undefined)[] = new Array(256).fill(undefined);
	private retrying = false;

	constructor(
		private readonly ports: IoPortBus,
		private readonly memory: MemoryBus,
	) {}

	/** @throws RangeError when the place is taken or does not exist. */
	add(device: number, functionNumber: number, what: PciFunction): void {
		const place = device * 8 + functionNumber;
		if (!(device >= 0 && device < 32 && functionNumber >= 0 && functionNumber < 8) || this.functions[place])
			throw new RangeError(`${what.name} cannot be PCI device 00:${device.toString(16)}.${functionNumber}.`);
		this.functions[place] = what;
	}

	find(device: number, functionNumber: number): PciFunction | undefined {
		return this.functions[device * 8 + functionNumber];
	}

	/** The functions on the bus with their places, for a view. */
	describe(): { device: number; function: number; what: PciFunction }[] {
		return this.functions.flatMap((what, place) => (what ? [{ device: place >> 3, function: place & 7, what }] : []));
	}

	map(bar: BaseAddressRegister, base: number): boolean {
		const space = bar.space === "io" ? this.ports : this.memory;
		if (space.overlapping(base, bar.size)) return false;
		space.register(base, bar.size, bar.block, bar.name);
		return true;
	}

	unmap(bar: BaseAddressRegister, base: number): void {
		(bar.space === "io" ? this.ports : this.memory).unregister(base);
		if (this.retrying) return;
		this.retrying = true;
		for (const one of this.functions) one?.configuration.updateMappings();
		this.retrying = false;
	}
}

interface HostBridgeState {
	configAddress: number;
	resetControl: number;
	configuration: unknown;
}

/** Device 00:00.0, 8086:1237. Register block: 8 ports at 0xcf8. */
export class PciHostBridge implements Device, RegisterBlock, PciFunction {
	readonly name = "440FX host bridge";
	readonly configuration: PciConfigurationSpace;
	private state = { configAddress: 0, resetControl: 0 };

	/**
	 * @param onReset port 0xcf9 asks for a reset of the machine.
	 * @param onShadow PAM0 to PAM6 have changed: who answers at 0xc0000-0xfffff (bits 4 and 0 of each half: read, bits 5 and 1: write from RAM).
	 */
	constructor(
		private readonly bus: PciBus,
		private readonly onReset: () => void,
		private readonly onShadow: (pam: Uint8Array) => void = () => {},
	) {
		this.configuration = new PciConfigurationSpace(
			{
				vendor: 0x8086,
				device: 0x1237,
				revision: 2,
				classCode: 0x06_0000,
				// By these firmware made for QEMU's PC knows that fw_cfg is there (QEMU, docs/specs/pci-ids.rst).
				subsystemVendor: 0x1af4,
				subsystem: 0x1100,
			},
			bus,
		);
		this.configuration.allowWrites(PAM0, [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33]);
		this.configuration.allowWrites(SMRAM, [0x78], [0x02]);
		this.configuration.onWrite = (offset, size) => {
			if (offset < PAM0 + PAM_COUNT && offset + size > PAM0) this.tellShadow();
		};
		bus.add(0, 0, this);
	}

	/** Only a whole dword reaches CONFIG_ADDRESS; narrower accesses are ordinary I/O (section 3.2.2.3.2). */
	read(offset: number, size: AccessSize): number {
		if (offset >= CONFIG_DATA) {
			const target = this.target();
			return target ? target.configuration.read(this.register(offset), size) : allOnes(size);
		}
		if (offset === CONFIG_ADDRESS && size === 4) return this.state.configAddress;
		return offset === RESET_CONTROL && size === 1 ? this.state.resetControl : allOnes(size);
	}

	write(offset: number, size: AccessSize, value: number): void {
		if (offset >= CONFIG_DATA) this.target()?.configuration.write(this.register(offset), size, value);
		else if (offset === CONFIG_ADDRESS && size === 4) this.state.configAddress = (value & 0x80ff_fffc) >>> 0;
		else if (offset === RESET_CONTROL && size === 1) {
			const rises = value & ~this.state.resetControl & RESET_CPU;
			this.state.resetControl = value & 0x06;
			if (rises) this.onReset();
		}
	}

	reset(): void {
		this.state = { configAddress: 0, resetControl: 0 };
		this.configuration.reset();
		this.tellShadow();
	}

	save(): unknown {
		return { ...this.state, configuration: this.configuration.save() } satisfies HostBridgeState;
	}

	restore(state: unknown): void {
		const { configAddress, resetControl, configuration } = state as HostBridgeState;
		this.state = { configAddress, resetControl };
		this.configuration.restore(configuration);
		this.tellShadow();
	}

	registers(): RegisterView[] {
		const pam = this.configuration.bytes.subarray(PAM0, PAM0 + PAM_COUNT);
		return [
			{
				name: "CONFIG_ADDRESS",
				width: 32,
				value: this.state.configAddress,
				meaning: this.target()?.name ?? "no function",
			},
			...this.configuration.registers(),
			...[...pam].map((value, i) => ({ name: `PAM${i}`, width: 8, value, meaning: "shadow RAM: read, write" })),
		];
	}

	private tellShadow(): void {
		this.onShadow(this.configuration.bytes.slice(PAM0, PAM0 + PAM_COUNT));
	}

	private target(): PciFunction | undefined {
		const address = this.state.configAddress;
		if (!(address & ADDRESS_ENABLE) || (address >>> 16) & 0xff) return undefined;
		return this.bus.find((address >>> 11) & 31, (address >>> 8) & 7);
	}

	private register(offset: number): number {
		return (this.state.configAddress & 0xfc) | (offset & 3);
	}
}

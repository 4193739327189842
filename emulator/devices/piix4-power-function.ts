// The power management function of a PIIX4, 8086:7113: says at which ports the power management registers lie.
// Reference: Intel 82371AB (PIIX4) data sheet (order number 290562), section 7.1 "Power Management PCI Configuration Registers".

import { ACPI_POWER_LENGTH, ACPI_POWER_PORT, type AcpiPower } from "./acpi-power.ts";
import type { Device, RegisterView } from "./device.ts";
import type { IoPortBus } from "./io-port-bus.ts";
import { INTERRUPT_LINE, PciConfigurationSpace } from "./pci-configuration-space.ts";
import type { PciBus, PciFunction } from "./pci-host-bridge.ts";

/** PMBA: bits 15-6 are the base, bit 0 says that it is an I/O address. */
const PMBA = 0x40;
/** DEVACTB: bit 25 lets writes to the APM control port raise SMIs. */
const DEVACTB = 0x58;
/** PMREGMISC: bit 0 lets the function decode the block at PMBA. */
const PMREGMISC = 0x80;
/** SMBBA and SMBHSTCFG: kept, there is no SMBus controller behind them. */
const SMBBA = 0x90;
const SMBHSTCFG = 0xd2;
const SCI_INTERRUPT = 9;

/** Device 00:01.3. */
export class Piix4PowerFunction implements Device, PciFunction {
	readonly name = "PIIX4 power management function";
	readonly configuration: PciConfigurationSpace;
	private mapped: number | undefined;

	/** @param firmware leaves the block where it is found without firmware; otherwise the block is nowhere until someone places it. */
	constructor(
		bus: PciBus,
		private readonly ports: IoPortBus,
		private readonly registerBlock: AcpiPower,
		firmware: boolean,
	) {
		this.configuration = new PciConfigurationSpace(
			{ vendor: 0x8086, device: 0x7113, revision: 3, classCode: 0x06_8000, interruptPin: 1 },
			bus,
		);
		const base = firmware ? 0 : ACPI_POWER_PORT;
		this.configuration.allowWrites(PMBA, [0xc0, 0xff], [(base & 0xc0) | 1, base >> 8]);
		// Deviation: the bit is set from the start. The processor has no SMM, and firmware that finds the bit set takes its handler as installed.
		this.configuration.allowWrites(DEVACTB, [0xff, 0xff, 0xff, 0x1d], [0, 0, 0, 0x02]);
		this.configuration.allowWrites(PMREGMISC, [0x01], [firmware ? 0 : 1]);
		this.configuration.allowWrites(SMBBA, [0xf0, 0xff], [0x01]);
		this.configuration.allowWrites(SMBHSTCFG, [0x0f]);
		this.configuration.allowWrites(INTERRUPT_LINE, [0xff], [firmware ? 0 : SCI_INTERRUPT]);
		this.configuration.onWrite = () => this.decode();
		bus.add(1, 3, this);
	}

	reset(): void {
		this.configuration.reset();
		this.decode();
	}

	save(): unknown {
		return this.configuration.save();
	}

	restore(state: unknown): void {
		this.configuration.restore(state);
		this.decode();
	}

	registers(): RegisterView[] {
		return this.configuration.registers();
	}

	/** First port of the block, as PMBA has it. */
	get registerPort(): number {
		const { bytes } = this.configuration;
		return (bytes[PMBA]! & 0xc0) | (bytes[PMBA + 1]! << 8);
	}

	/** Where the block is to be; undefined when it is off. */
	private wanted(): number | undefined {
		return this.configuration.bytes[PMREGMISC]! & 1 ? this.registerPort : undefined;
	}

	/** Something else that lies where the block was put stays there. */
	private decode(): void {
		const wanted = this.wanted();
		if (wanted === this.mapped) return;
		if (this.mapped !== undefined) this.ports.unregister(this.mapped);
		this.mapped = undefined;
		if (wanted === undefined || this.ports.overlapping(wanted, ACPI_POWER_LENGTH)) return;
		this.ports.register(wanted, ACPI_POWER_LENGTH, this.registerBlock, this.registerBlock.name);
		this.mapped = wanted;
	}
}

// The standard devices of a PC on given buses: the host has one set, and a VMM gives each guest another.

import type { LocalApicPort } from "../cpu/local-apic-port.ts";
import { AcpiPower } from "../devices/acpi-power.ts";
import { ApicBus } from "../devices/apic-bus.ts";
import { CoprocessorError } from "../devices/coprocessor-error.ts";
import { DebugConsole } from "../devices/debug-console.ts";
import { DebugExit } from "../devices/debug-exit.ts";
import type { Clock, Device, InterruptLine, RegisterBlock } from "../devices/device.ts";
import { Dma8237 } from "../devices/dma8237.ts";
import { FastA20 } from "../devices/fast-a20.ts";
import { type FirmwareKernel, FwCfg } from "../devices/fw-cfg.ts";
import { I8042 } from "../devices/i8042.ts";
import { IoApic } from "../devices/io-apic.ts";
import { IoPortBus } from "../devices/io-port-bus.ts";
import { LocalApic } from "../devices/local-apic.ts";
import { MemoryBus } from "../devices/memory-bus.ts";
import {
	PcTestDevice,
	TEST_DEVICE_INTERRUPTS_PORT,
	TEST_DEVICE_MEMORY,
	TEST_DEVICE_MEMORY_BYTES,
	TEST_DEVICE_PORT,
} from "../devices/pc-test-device.ts";
import { INTERRUPT_LINE, INTERRUPT_PIN } from "../devices/pci-configuration-space.ts";
import { PciBus, PciHostBridge } from "../devices/pci-host-bridge.ts";
import { Pic8259Pair } from "../devices/pic8259.ts";
import { Piix3IsaBridge } from "../devices/piix3-isa-bridge.ts";
import { Piix4PowerFunction } from "../devices/piix4-power-function.ts";
import { Pit8254 } from "../devices/pit8254.ts";
import { PostCode } from "../devices/post-code.ts";
import { RtcMc146818 } from "../devices/rtc-mc146818.ts";
import { SharedInterruptLine } from "../devices/shared-interrupt-line.ts";
import { SystemControlPortB } from "../devices/system-control-port-b.ts";
import { Uart16550 } from "../devices/uart16550.ts";
import { UnassignedRange } from "../devices/unassigned-range.ts";
import { VgaText } from "../devices/vga-text.ts";
import type { AcpiPlatform } from "./acpi/platform.ts";
import { acpiFiles } from "./acpi/table-loader.ts";
import { memoryMap } from "./loaders/boot-state.ts";
import { type OptionalDeviceConfiguration, OptionalDevices, type PciSurroundings } from "./optional-devices.ts";

/** What the devices need of the machine around them. */
export interface PcSurroundings {
	readonly clock: Clock;
	/** Bytes of RAM from address 0. */
	readonly memoryBytes: number;
	/** How many processors there are, each with a local APIC; one when left out. Each is told by its number below. */
	readonly processors?: number | undefined;
	/** A processor's INTR input, driven by its local APIC (or that of the first by the 8259A pair when the APIC is disabled). */
	interruptRequest(asserted: boolean, processor: number): void;
	nonMaskableInterrupt(processor: number): void;
	/** An INIT signal has come to the processor, which tells its local APIC when it takes it. */
	initSignal(processor: number): void;
	/** A start-up IPI: begin at page `vector`, if the processor waits for one. */
	startUp(vector: number, processor: number): void;
	/** The whole machine is to be reset: keyboard controller, port 0x92, port 0xcf9. */
	reset(): void;
	powerOff(): void;
	debugExit(value: number): void;
	debugConsole(byte: number): void;
	/** A byte sent on COM1. */
	serial(byte: number): void;
	/** Firmware, not a loader, starts the machine: the devices are left as power-on leaves them. */
	readonly firmware?: boolean;
	/** A kernel for the firmware to start. */
	readonly kernel?: FirmwareKernel | undefined;
	/** PAM0 to PAM6 of the host bridge have changed. */
	shadowMemory?(pam: Uint8Array): void;
	/** Devices that are there only on demand; none when left out. */
	readonly optional?: OptionalDeviceConfiguration | undefined;
	/** The first virtual time at which the time-stamp counter of a processor has reached a value. */
	timeOfTsc(tsc: bigint, processor: number): number;
}

const VGA_WINDOW = 0xa0000;
const IO_APIC_PAGE = 0xfec00000;
/** SeaBIOS shows its screen on this port too (SeaBIOS, docs/Runtime_config.md): COM1, little-endian. */
const SERIAL_CONSOLE_PORT = new Uint8Array([0xf8, 0x03]);

export class PcDevices {
	readonly ports: IoPortBus;
	readonly memory: MemoryBus;
	readonly pic: Pic8259Pair;
	/** That of the bootstrap processor. */
	readonly localApic: LocalApic;
	/** By number of the processor. */
	readonly localApics: readonly LocalApic[];
	readonly ioApic: IoApic;
	readonly pit: Pit8254;
	readonly com1: Uart16550;
	readonly coprocessorError: CoprocessorError;
	readonly keyboard: I8042;
	readonly display: VgaText;
	/** Where further devices can be put. */
	readonly expansion: PciSurroundings;
	/** Present when the machine was asked for devices beyond the bare PC's. */
	readonly optional: OptionalDevices | undefined;
	readonly all: readonly Device[];
	private readonly powerFunction: Piix4PowerFunction;

	constructor(readonly surroundings: PcSurroundings) {
		const { clock } = surroundings;
		const unassignedPorts = new UnassignedRange("Unassigned I/O ports");
		const unassignedMemory = new UnassignedRange("Unassigned physical addresses");
		this.ports = new IoPortBus(unassignedPorts);
		this.memory = new MemoryBus(unassignedMemory);
		const apicBus = new ApicBus();
		// The pair drives LINT0; while the local APIC is disabled its INTR reaches the processor directly (SDM Vol. 3A §10.4.3).
		const intr: InterruptLine = {
			set: (asserted) => {
				this.picAsserts = asserted;
				for (const apic of this.localApics ?? []) if (apic.enabled) apic.lint0.set(asserted);
				if (!this.localApic?.enabled) surroundings.interruptRequest(asserted, 0);
			},
		};
		this.pic = new Pic8259Pair(intr);
		const processors = surroundings.processors ?? 1;
		this.localApics = Array.from({ length: processors }, (_, number) => {
			return new LocalApic(number, {
				clock,
				bus: apicBus,
				interruptPending: (pending) => surroundings.interruptRequest(pending, number),
				acknowledgeExternal: () => this.pic.acknowledge(),
				nonMaskable: () => surroundings.nonMaskableInterrupt(number),
				systemManagement: () => {},
				init: () => surroundings.initSignal(number),
				startUp: (vector) => surroundings.startUp(vector, number),
				timeOfTsc: (tsc) => surroundings.timeOfTsc(tsc, number),
			});
		});
		this.localApic = this.localApics[0]!;
		this.selectedApic = this.localApic;
		this.ioApic = new IoApic(apicBus);
		const shared = new Map<number, SharedInterruptLine>();
		/** One more driver of an ISA interrupt. It reaches both controllers; input 2 of the I/O APIC is IRQ 0 (MultiProcessor Specification 1.4, §5.3). */
		const irq = (number: number): InterruptLine => {
			let line = shared.get(number);
			if (!line) {
				const toPic = this.pic.line(number);
				const toApic = this.ioApic.line(number === 0 ? 2 : number);
				line = new SharedInterruptLine({
					set: (asserted) => {
						toPic.set(asserted);
						toApic.set(asserted);
					},
				});
				shared.set(number, line);
			}
			return line.driver();
		};
		this.pit = new Pit8254(clock, irq(0));
		this.com1 = new Uart16550(irq(4), (byte) => surroundings.serial(byte), "16550A COM1");
		const com2 = new Uart16550(irq(3), () => {}, "16550A COM2");
		this.coprocessorError = new CoprocessorError(irq(13));
		const portB = new SystemControlPortB(clock, this.pit);
		const rtc = new RtcMc146818(clock, irq(8), { memoryBytes: surroundings.memoryBytes });
		// Deviation: address line 20 is never masked; the gate's bit is kept for programs that look at it.
		const fastA20: FastA20 = new FastA20(
			(enabled) => this.keyboard.followA20(enabled),
			() => surroundings.reset(),
		);
		this.display = new VgaText(clock);
		this.keyboard = new I8042(
			irq(1),
			irq(12),
			(enabled) => fastA20.followA20(enabled),
			() => surroundings.reset(),
		);
		const pci = new PciBus(this.ports, this.memory);
		const hostBridge = new PciHostBridge(
			pci,
			() => surroundings.reset(),
			(pam) => surroundings.shadowMemory?.(pam),
		);
		const isaBridge = new Piix3IsaBridge(pci, irq);
		const { ports: portBus, memory, ioApic } = this;
		this.expansion = { clock, ports: portBus, memory, ioApic, irq, pci, isaBridge, apicBus };
		this.optional = surroundings.optional && new OptionalDevices(surroundings.optional, this.expansion);
		const power = new AcpiPower(clock, irq(9), () => surroundings.powerOff());
		this.powerFunction = new Piix4PowerFunction(pci, portBus, power, surroundings.firmware ?? false);
		const dma = new Dma8237();
		const postCode = new PostCode();
		const debugExit = new DebugExit((value) => surroundings.debugExit(value));
		const debugConsole = new DebugConsole((byte) => surroundings.debugConsole(byte));
		const testLines = new Map<number, InterruptLine>();
		const testDevice = new PcTestDevice((number) => {
			let line = testLines.get(number);
			if (!line) {
				// Interrupt 2 is the cascade of the 8259A pair; input 2 of the I/O APIC is its own.
				line = number < 16 && number !== 2 ? irq(number) : this.ioApic.line(number);
				testLines.set(number, line);
			}
			return line;
		});
		const fwCfg = new FwCfg({
			cpuCount: processors,
			memoryBytes: surroundings.memoryBytes,
			memoryMap: memoryMap(surroundings.memoryBytes),
			files: { "etc/sercon-port": SERIAL_CONSOLE_PORT, ...this.acpiFiles() },
			kernel: surroundings.kernel,
		});

		const { ports } = this;
		ports.register(0x00, 16, dma.first, dma.name);
		ports.register(0x20, 2, this.pic.master, "8259A master");
		ports.register(0x40, 4, this.pit, this.pit.name);
		ports.register(0x60, 1, this.keyboard.data, "i8042 data");
		ports.register(0x61, 1, portB, portB.name);
		ports.register(0x64, 1, this.keyboard.command, "i8042 command");
		ports.register(0x70, 2, rtc, rtc.name);
		ports.register(0x80, 1, postCode, postCode.name);
		ports.register(0x81, 15, dma.pages, "DMA page registers");
		ports.register(0x92, 1, fastA20, fastA20.name);
		ports.register(0xa0, 2, this.pic.slave, "8259A slave");
		ports.register(0xc0, 32, dma.second, "8237A second");
		ports.register(TEST_DEVICE_PORT, 4, testDevice.scratch, testDevice.name);
		ports.register(TEST_DEVICE_INTERRUPTS_PORT, 24, testDevice.interrupts, "Test device interrupts");
		ports.register(0xf0, 2, this.coprocessorError, this.coprocessorError.name);
		ports.register(0xe9, 1, debugConsole, debugConsole.name);
		ports.register(0xf4, 4, debugExit, debugExit.name);
		ports.register(0x2f8, 8, com2, com2.name);
		ports.register(0x3c0, 32, this.display.ports, this.display.name);
		ports.register(0x3f8, 8, this.com1, this.com1.name);
		ports.register(0x4d0, 2, this.pic.elcr, "Edge/level control");
		ports.register(0x510, 2, fwCfg, fwCfg.name);
		ports.register(0xcf8, 8, hostBridge, hostBridge.name);
		this.memory.register(VGA_WINDOW, 0x20000, this.display.window, "VGA memory");
		this.memory.register(IO_APIC_PAGE, 4096, this.ioApic, this.ioApic.name);
		this.memory.register(TEST_DEVICE_MEMORY, TEST_DEVICE_MEMORY_BYTES, testDevice.memory, testDevice.name);
		this.placeLocalApic();
		this.all = [
			this.pic,
			...this.localApics,
			this.ioApic,
			this.pit,
			this.coprocessorError,
			portB,
			rtc,
			this.com1,
			com2,
			this.keyboard,
			this.display,
			fastA20,
			hostBridge,
			isaBridge,
			power,
			this.powerFunction,
			dma,
			postCode,
			debugExit,
			debugConsole,
			fwCfg,
			testDevice,
			...(this.optional?.all ?? []),
			unassignedPorts,
			unassignedMemory,
		];
	}

	/** What the ACPI tables of this machine say. */
	get platform(): AcpiPlatform {
		const { memoryBytes } = this.surroundings;
		const powerPort = this.powerFunction.registerPort;
		const processors = this.localApics.length;
		return { processors, memoryBytes, powerPort, remapping: this.optional?.iommu !== undefined };
	}

	/** For firmware, which puts the power management registers where it wants before it asks. */
	private acpiFiles(): Record<string, () => Uint8Array> {
		let { platform } = this;
		let files = acpiFiles(platform);
		const file = (name: string) => () => {
			if (platform.powerPort !== this.powerFunction.registerPort) {
				platform = this.platform;
				files = acpiFiles(platform);
			}
			return files[name]!;
		};
		return Object.fromEntries(Object.keys(files).map((name) => [name, file(name)]));
	}

	private picAsserts = false;

	/** They are restored behind the devices that drive their inputs. */
	get interruptControllers(): readonly Device[] {
		return [this.pic, ...this.localApics, this.ioApic];
	}

	/** A processor's interrupt acknowledge cycle: the vector. */
	acknowledge(processor = 0): number {
		const localApic = this.localApics[processor]!;
		return localApic.enabled ? localApic.acknowledge() : this.pic.acknowledge();
	}

	/** The local APIC of the bootstrap processor as that reaches it. */
	get localApicPort(): LocalApicPort {
		return this.localApicPortOf(0);
	}

	/** The local APIC of a processor as that reaches it. */
	localApicPortOf(processor: number): LocalApicPort {
		const localApic = this.localApics[processor]!;
		return {
			endOfInterrupt: () => localApic.endOfInterrupt(),
			writeBaseMsr: (value) => this.writeLocalApicBase(localApic, value),
			readX2apic: (register) => localApic.readX2apic(register),
			writeX2apic: (register, value) => localApic.writeX2apic(register, value),
			get tscDeadline() {
				return localApic.tscDeadline;
			},
			writeTscDeadline: (value) => localApic.writeTscDeadline(value),
			get taskPriorityClass() {
				return localApic.taskPriorityClass;
			},
			set taskPriorityClass(value) {
				localApic.taskPriorityClass = value;
			},
		};
	}

	/** IA32_APIC_BASE is written: the page may move or go, and INTR may have to change its way. */
	private writeLocalApicBase(localApic: LocalApic, value: bigint): boolean {
		if (!localApic.writeBaseMsr(value)) return false;
		this.placeLocalApic();
		if (localApic.enabled) localApic.lint0.set(this.picAsserts);
		else this.surroundings.interruptRequest(localApic === this.localApic && this.picAsserts, localApic.number);
		return true;
	}

	/** A processor runs from now on: the page of its own local APIC is what it sees. */
	selectProcessor(processor: number): void {
		this.selectedApic = this.localApics[processor]!;
		this.placeLocalApic();
	}

	/**
	 * The page is there in xAPIC mode only (SDM Vol. 3A §10.4.3, §10.12.2).
	 * Deviation: over RAM or another device's registers it is not seen; they are.
	 */
	private placeLocalApic(): void {
		const { memory, selectedApic, localApicWindow } = this;
		const page = selectedApic.enabled && !selectedApic.x2apic ? Number(selectedApic.baseMsr & ~0xfffn) : undefined;
		if (page === this.localApicPage) return;
		if (this.localApicPage !== undefined) memory.unregister(this.localApicPage);
		this.localApicPage = undefined;
		if (page === undefined || memory.overlapping(page, 4096)) return;
		memory.register(page, 4096, localApicWindow, this.localApic.name);
		this.localApicPage = page;
	}

	/** That of the processor that runs. */
	private selectedApic: LocalApic;
	private readonly localApicWindow: RegisterBlock = {
		read: (offset, size) => this.selectedApic.read(offset, size),
		write: (offset, size, value) => this.selectedApic.write(offset, size, value),
	};

	private localApicPage: number | undefined;

	/** Interrupts of PCI functions as firmware leaves them: routed, level triggered, and named in each function's configuration. */
	private assignPciInterrupts(): void {
		const { pci, isaBridge } = this.expansion;
		for (const { device, what } of pci.describe()) {
			const pin = what.configuration.bytes[INTERRUPT_PIN]!;
			// A function that names a line is wired to it.
			if (pin === 0 || what.configuration.bytes[INTERRUPT_LINE] !== 0) continue;
			const irq = isaBridge.assignInterrupt(device, pin);
			what.configuration.write(INTERRUPT_LINE, 1, irq);
			const { elcr } = this.pic;
			elcr.write(1, 1, elcr.read(1, 1) | (1 << (irq - 8)));
		}
	}

	/**
	 * Power-on reset of every device. When no firmware runs, the local APIC is in virtual wire mode, as firmware leaves it
	 * (MultiProcessor Specification 1.4, §3.6.2.1).
	 */
	reset(): void {
		for (const device of this.all) device.reset();
		if (!this.surroundings.firmware) {
			this.localApic.enterVirtualWireMode();
			this.assignPciInterrupts();
		}
		this.placeLocalApic();
	}
}

// The ISA bridge of a PIIX3, 8086:7000: routes the four PCI interrupt lines to ISA interrupts.
// Reference: Intel 82371SB (PIIX3) data sheet (order number 290550), "PIRQRC[A:D]".

import type { Device, InterruptLine, RegisterView } from "./device.ts";
import { PciConfigurationSpace } from "./pci-configuration-space.ts";
import type { PciBus, PciFunction } from "./pci-host-bridge.ts";

/** PIRQRC[A:D]: bit 7 disables the route, bits 3-0 are the ISA interrupt. */
const PIRQRC = 0x60;
const PIRQRC_DISABLED = 0x80;
/** ISA interrupts that a PIRQ can be routed to: not 0, 1, 2, 8, 13. */
const ROUTABLE = 0xdef8;
/** What firmware for this chipset usually gives PIRQ A to D. */
const FIRMWARE_ROUTES = [10, 11, 10, 11] as const;
/** X-bus chip select register and the top-of-memory register, kept but without effect here. */
const XBCS = 0x4e;
const TOM = 0x69;

interface IsaBridgeState {
	/** Per PIRQ and function number: a bit for each device that asserts it. */
	asserted: number[][];
	configuration: unknown;
}

/** Device 00:01.0. It is also where PCI functions get their interrupt lines. */
export class Piix3IsaBridge implements Device, PciFunction {
	readonly name = "PIIX3 ISA bridge";
	readonly configuration: PciConfigurationSpace;
	private asserted = nothingAsserted();
	/** The routable ISA interrupts, each driven by one driver of this bridge. */
	private readonly isaLines = new Map<number, InterruptLine>();

	/** @param isaLine makes a driver of an ISA interrupt; with PIRQs on it, shared and level triggered. */
	constructor(bus: PciBus, isaLine: (irq: number) => InterruptLine) {
		for (let irq = 0; irq < 16; irq++) if ((ROUTABLE >> irq) & 1) this.isaLines.set(irq, isaLine(irq));
		this.configuration = new PciConfigurationSpace(
			{ vendor: 0x8086, device: 0x7000, classCode: 0x06_0100, multifunction: true },
			bus,
		);
		this.configuration.allowWrites(PIRQRC, [0x8f, 0x8f, 0x8f, 0x8f], [0x80, 0x80, 0x80, 0x80]);
		this.configuration.allowWrites(XBCS, [0xff, 0x01], [0x03, 0x00]);
		this.configuration.allowWrites(TOM, [0xfe], [0x02]);
		this.configuration.onWrite = (offset, size) => {
			if (offset < PIRQRC + 4 && offset + size > PIRQRC) this.drive();
		};
		bus.add(1, 0, this);
	}

	/** The interrupt line of a function: `pin` 1 to 4 for INTA# to INTD#. The board turns the pins from slot to slot. */
	line(device: number, functionNumber: number, pin: number): InterruptLine {
		const pirq = (pin - 1 + device - 1) & 3;
		return {
			set: (asserted) => {
				const row = this.asserted[pirq]!;
				const bit = 1 << (device & 31);
				const before = row[functionNumber & 7]!;
				const after = asserted ? before | bit : before & ~bit;
				if (after === before) return;
				row[functionNumber & 7] = after;
				this.drive();
			},
		};
	}

	/** Routes the interrupt of a function as firmware does it; the result is the ISA interrupt, whose trigger has to be the level. */
	assignInterrupt(device: number, pin: number): number {
		const pirq = (pin - 1 + device - 1) & 3;
		const irq = FIRMWARE_ROUTES[pirq]!;
		this.configuration.write(PIRQRC + pirq, 1, irq);
		return irq;
	}

	/** The ISA interrupt that PIRQ 0 to 3 (A to D) goes to; undefined when it is not routed. */
	route(pirq: number): number | undefined {
		const value = this.configuration.bytes[PIRQRC + pirq]!;
		const irq = value & 15;
		return value & PIRQRC_DISABLED || !((ROUTABLE >> irq) & 1) ? undefined : irq;
	}

	reset(): void {
		this.configuration.reset();
		this.drive();
	}

	save(): unknown {
		return structuredClone<IsaBridgeState>({ asserted: this.asserted, configuration: this.configuration.save() });
	}

	restore(state: unknown): void {
		const { asserted, configuration } = structuredClone(state as IsaBridgeState);
		this.asserted = asserted;
		this.configuration.restore(configuration);
		this.drive();
	}

	registers(): RegisterView[] {
		const routes = [0, 1, 2, 3].map((pirq) => {
			const irq = this.route(pirq);
			const asserted = this.asserted[pirq]!.some((mask) => mask !== 0) ? ", asserted" : "";
			return {
				name: `PIRQRC${"ABCD"[pirq]}`,
				width: 8,
				value: this.configuration.bytes[PIRQRC + pirq]!,
				meaning: `${irq === undefined ? "not routed" : `IRQ ${irq}`}${asserted}`,
			};
		});
		return [...this.configuration.registers(), ...routes];
	}

	private drive(): void {
		let level = 0;
		for (let pirq = 0; pirq < 4; pirq++) {
			const irq = this.route(pirq);
			if (irq !== undefined && this.asserted[pirq]!.some((mask) => mask !== 0)) level |= 1 << irq;
		}
		for (const [irq, line] of this.isaLines) line.set(((level >> irq) & 1) === 1);
	}
}

function nothingAsserted(): number[][] {
	return [0, 1, 2, 3].map(() => new Array(8).fill(0));
}

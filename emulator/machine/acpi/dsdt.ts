// The definition block: processors, the PCI root with its windows and interrupt wiring, the ISA devices, and how to power off.
// Reference: ACPI Specification 6.4, chapters 5 to 7 and section 6.2.13 (_PRT).

import { SLEEP_TYPE_S5 } from "../../devices/acpi-power.ts";
import * as aml from "./aml.ts";
import { type AcpiPlatform, IO_APIC_BASE, PCI_INTERRUPTS } from "./platform.ts";
import {
	busRange,
	INTERRUPT_NUMBER,
	isaInterrupt,
	memoryRange,
	portRange,
	ports,
	resources,
	sharedInterrupt,
} from "./resources.ts";
import { table } from "./table-bytes.ts";

const REVISION = 2;
/** PIRQRC[A:D] of the PIIX3, and the bit that says that the line goes nowhere (devices/piix3-isa-bridge.ts). */
const PIRQ_REGISTERS = 0x60;
const PIRQ_DISABLED = 0x80;
const PIRQS = ["A", "B", "C", "D"] as const;
/** _STA (§6.3.7): present, decoding, shown, working; a disabled link is neither shown nor decoding. */
const ENABLED = 0x0b;
const DISABLED = 0x09;
/** Device numbers on bus 0 that are wired: the PIIX3's and those of the slots. */
const FIRST_WIRED = 1;
const LAST_WIRED = 7;
/** _PRT: every function of a device. */
const EVERY_FUNCTION = 0xffff;
const PCI_CONFIGURATION_PORTS = 0xcf8;
const VGA_WINDOW = [0xa_0000, 0xb_ffff] as const;

const processor = (number: number): aml.Term =>
	aml.device(
		`C${number.toString(16).toUpperCase().padStart(3, "0")}`,
		aml.name("_HID", aml.string("ACPI0007")),
		aml.name("_UID", aml.integer(number)),
	);

/** The way of PIRQ A to D to an ISA interrupt, which the register of the ISA bridge says. */
function link(letter: string, index: number): aml.Term {
	const register = aml.path(`PRQ${letter}`);
	return aml.device(
		`LNK${letter}`,
		aml.name("_HID", aml.eisaId("PNP0C0F")),
		aml.name("_UID", aml.integer(index + 1)),
		aml.name("_PRS", resources(sharedInterrupt(PCI_INTERRUPTS))),
		aml.name("CURR", resources(sharedInterrupt([0]))),
		aml.method(
			"_STA",
			0,
			aml.when(aml.and(register, aml.integer(PIRQ_DISABLED)), aml.returns(aml.integer(DISABLED))),
			aml.returns(aml.integer(ENABLED)),
		),
		aml.method("_DIS", 0, aml.or(register, aml.integer(PIRQ_DISABLED), register)),
		aml.method(
			"_CRS",
			0,
			aml.createDoubleField(aml.path("CURR"), INTERRUPT_NUMBER, "NUMB"),
			aml.store(aml.and(register, aml.integer(0x0f)), aml.path("NUMB")),
			aml.returns(aml.path("CURR")),
		),
		aml.method(
			"_SRS",
			1,
			aml.createDoubleField(aml.argument(0), INTERRUPT_NUMBER, "NUMB"),
			aml.store(aml.path("NUMB"), register),
		),
	);
}

/** Pins turn from slot to slot, as Piix3IsaBridge.line() has it. */
function interruptRouting(): aml.Term {
	const entries: aml.Term[] = [];
	for (let device = FIRST_WIRED; device <= LAST_WIRED; device++)
		for (let pin = 0; pin < 4; pin++) {
			const letter = PIRQS[(pin + device - 1) & 3];
			const address = aml.integer(device * 0x1_0000 + EVERY_FUNCTION);
			entries.push(aml.packageOf(address, aml.integer(pin), aml.path(`LNK${letter}`), aml.integer(0)));
		}
	return aml.name("_PRT", aml.packageOf(...entries));
}

const isaDevice = (name: string, id: string, number: number, ...descriptors: readonly aml.Term[]): aml.Term =>
	aml.device(
		name,
		aml.name("_HID", aml.eisaId(id)),
		aml.name("_UID", aml.integer(number)),
		aml.name("_CRS", resources(...descriptors)),
	);

const isaBridge = (): aml.Term =>
	aml.device(
		"ISA",
		aml.name("_ADR", aml.integer(0x1_0000)),
		aml.region("PIRQ", aml.RegionSpace.pciConfiguration, PIRQ_REGISTERS, PIRQS.length),
		// The links name the registers as their own.
		aml.scope("\\_SB", aml.byteFields("\\_SB.PCI0.ISA.PIRQ", ...PIRQS.map((letter) => `PRQ${letter}`))),
		isaDevice("RTC", "PNP0B00", 0, ports(0x70, 2), isaInterrupt(8)),
		isaDevice("KBD", "PNP0303", 0, ports(0x60, 1), ports(0x64, 1), isaInterrupt(1)),
		isaDevice("MOU", "PNP0F13", 0, isaInterrupt(12)),
		isaDevice("COM1", "PNP0501", 1, ports(0x3f8, 8), isaInterrupt(4)),
		isaDevice("COM2", "PNP0501", 2, ports(0x2f8, 8), isaInterrupt(3)),
	);

const rootBridge = ({ memoryBytes }: AcpiPlatform): aml.Term =>
	aml.device(
		"PCI0",
		aml.name("_HID", aml.eisaId("PNP0A03")),
		aml.name("_UID", aml.integer(0)),
		aml.name(
			"_CRS",
			resources(
				busRange(0, 0),
				ports(PCI_CONFIGURATION_PORTS, 8),
				portRange(0, PCI_CONFIGURATION_PORTS - 1),
				portRange(PCI_CONFIGURATION_PORTS + 8, 0xffff),
				memoryRange(...VGA_WINDOW),
				memoryRange(memoryBytes, IO_APIC_BASE - 1),
			),
		),
		interruptRouting(),
		isaBridge(),
	);

export function dsdt(platform: AcpiPlatform): number[] {
	const sleepType = aml.integer(SLEEP_TYPE_S5);
	const terms = [
		aml.name("\\_S5", aml.packageOf(sleepType, sleepType, aml.integer(0), aml.integer(0))),
		aml.scope(
			"\\_SB",
			...Array.from({ length: platform.processors }, (_, number) => processor(number)),
			rootBridge(platform),
			...PIRQS.map(link),
		),
	];
	return table("DSDT", REVISION, terms.flat());
}

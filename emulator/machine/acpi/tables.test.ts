import assert from "node:assert/strict";
import { test } from "node:test";
import {
	findRootPointer,
	type ReadMemory,
	readDefinitions,
	readEntries,
	readTables,
	runTableLoader,
} from "../../../test/tools/acpi-reader.ts";
import { IoPortBus } from "../../devices/io-port-bus.ts";
import { REMAPPING_UNIT_BASE } from "../../devices/iommu/register-map.ts";
import { MemoryBus } from "../../devices/memory-bus.ts";
import { PciBus } from "../../devices/pci-host-bridge.ts";
import { Piix3IsaBridge } from "../../devices/piix3-isa-bridge.ts";
import { UnassignedRange } from "../../devices/unassigned-range.ts";
import { HostMachine } from "../host-machine.ts";
import { IO_APIC_SOURCE, type OptionalDeviceConfiguration } from "../optional-devices.ts";
import { integer, packageOf, scope } from "./aml.ts";
import { placeAcpiTables } from "./direct-boot.ts";
import type { AcpiPlatform } from "./platform.ts";
import { table } from "./table-bytes.ts";
import { acpiFiles } from "./table-loader.ts";

const PLATFORM: AcpiPlatform = { processors: 1, memoryBytes: 64 << 20, powerPort: 0x600, remapping: false };

function directBoot(platform: AcpiPlatform): ReadMemory {
	const bytes = new Uint8Array(1 << 20);
	placeAcpiTables({ size: platform.memoryBytes, write: (address, content) => bytes.set(content, address) }, platform);
	return (address, length) => bytes.subarray(address, address + length);
}

function tablesOf(platform: AcpiPlatform) {
	const memory = directBoot(platform);
	return readTables(memory, findRootPointer(memory)!);
}

test("the root pointer is found in the BIOS area, and leads to tables with right lengths and sums, there too", () => {
	const tables = tablesOf(PLATFORM);
	assert.deepEqual([...tables.keys()].sort(), ["APIC", "DSDT", "FACP", "FACS", "RSDT", "XSDT"]);
	for (const { address, bytes } of tables.values()) assert.ok(address >= 0xf0000 && address + bytes.length <= 0x100000);
});

test("the FADT says where the power management registers are, twice the same", () => {
	const { bytes, view } = tablesOf({ ...PLATFORM, powerPort: 0xb000 }).get("FACP")!;
	assert.equal(bytes.length, 244);
	assert.equal(view.getUint16(46, true), 9, "SCI");
	assert.equal(view.getUint32(48, true), 0, "SMI_CMD: ACPI is always on");
	for (const [plain, generic, port, length] of [
		[56, 148, 0xb000, bytes[88]],
		[64, 172, 0xb004, bytes[89]],
		[76, 208, 0xb008, bytes[91]],
	] as const) {
		assert.equal(view.getUint32(plain, true), port);
		assert.deepEqual([bytes[generic], bytes[generic + 1], bytes[generic + 2]], [1, 8 * length!, 0]);
		assert.equal(view.getBigUint64(generic + 4, true), BigInt(port));
	}
	// What is not there has no address and no length.
	for (const at of [60, 68, 72, 80, 84]) assert.equal(view.getUint32(at, true), 0);
	for (const at of [90, 92, 93]) assert.equal(bytes[at], 0);
	assert.equal(view.getBigUint64(120, true), 0xcf9n, "reset register");
});

test("the MADT names each processor, the I/O APIC, and the interrupts that differ from ISA's", () => {
	for (const processors of [1, 4]) {
		const madt = tablesOf({ ...PLATFORM, processors }).get("APIC")!;
		assert.equal(madt.view.getUint32(36, true), 0xfee00000);
		const entries = readEntries(madt, 44);
		const ofType = (type: number) => entries.filter((entry) => entry.type === type).map(({ view }) => view);
		assert.deepEqual(
			ofType(0).map((view) => [view.getUint8(2), view.getUint8(3), view.getUint32(4, true)]),
			Array.from({ length: processors }, (_, id) => [id, id, 1]),
		);
		assert.deepEqual(
			ofType(1).map((view) => [view.getUint8(2), view.getUint32(4, true), view.getUint32(8, true)]),
			[[0, 0xfec00000, 0]],
		);
		assert.deepEqual(
			ofType(2).map((view) => [view.getUint8(3), view.getUint32(4, true), view.getUint16(8, true)]),
			[
				[0, 2, 0],
				[5, 5, 13],
				[9, 9, 13],
				[10, 10, 13],
				[11, 11, 13],
			],
		);
		assert.deepEqual(
			ofType(4).map((view) => [view.getUint8(2), view.getUint16(3, true), view.getUint8(5)]),
			[[255, 0, 1]],
		);
	}
});

test("there is a DMAR table with a VT-d unit only; it names the unit, and the I/O APIC as a requester", () => {
	const dmar = tablesOf({ ...PLATFORM, remapping: true }).get("DMAR")!;
	assert.deepEqual([dmar.bytes[36], dmar.bytes[37]], [39, 1]);
	const [unit, ...rest] = readEntries(dmar, 48, true);
	assert.deepEqual(rest, []);
	const { view } = unit!;
	assert.deepEqual([unit!.type, view.getUint8(4), view.getUint16(6, true)], [0, 1, 0]);
	assert.equal(view.getBigUint64(8, true), BigInt(REMAPPING_UNIT_BASE));
	assert.deepEqual([view.getUint8(16), view.getUint8(17), view.getUint8(20)], [3, 8, 0]);
	assert.equal((view.getUint8(21) << 8) | (view.getUint8(22) << 3) | view.getUint8(23), IO_APIC_SOURCE);
	assert.equal(view.byteLength, 24);
});

test("the definition block: processors, devices, power-off", () => {
	const { values, devices, methods, fields, regions } = readDefinitions(
		tablesOf({ ...PLATFORM, processors: 18 }).get("DSDT")!,
	);
	assert.deepEqual(values.get("\\_S5_"), [0, 0, 0, 0]);
	assert.equal(devices.filter((name) => /^\\_SB_\.C[0-9A-F]{3}$/.test(name)).length, 18);
	assert.equal(values.get("\\_SB_.C011._UID"), 17);
	// The identities in their compressed form (PNP0A03, PNP0C0F, PNP0501).
	assert.equal(values.get("\\_SB_.PCI0._HID"), 0x030ad041);
	assert.equal(values.get("\\_SB_.LNKD._HID"), 0x0f0cd041);
	assert.equal(values.get("\\_SB_.PCI0.ISA_.COM2._HID"), 0x0105d041);
	assert.equal(methods.get("\\_SB_.LNKA._SRS"), 1);
	assert.deepEqual(fields.get("\\_SB_.PRQD"), { region: "\\_SB_.PCI0.ISA_.PIRQ", bit: 24 });
	assert.deepEqual(regions.get("\\_SB_.PCI0.ISA_.PIRQ"), { space: 2, offset: 0x60, length: 4 });
	const windows = values.get("\\_SB_.PCI0._CRS") as Uint8Array;
	const memory = windows.subarray(windows.lastIndexOf(0x87));
	assert.equal(Buffer.from(memory).readUInt32LE(10), PLATFORM.memoryBytes);
	assert.equal(Buffer.from(memory).readUInt32LE(14), 0xfebfffff);
});

test("the interrupt routing is the wiring of the ISA bridge", () => {
	const { values } = readDefinitions(tablesOf(PLATFORM).get("DSDT")!);
	const ports = new IoPortBus(new UnassignedRange("ports"));
	const level = new Array<boolean>(16).fill(false);
	const bridge = new Piix3IsaBridge(new PciBus(ports, new MemoryBus(new UnassignedRange("memory"))), (irq) => ({
		set: (asserted) => {
			level[irq] = asserted;
		},
	}));
	const links = ["LNKA", "LNKB", "LNKC", "LNKD"];
	// Another interrupt for each link, by the register that the link's methods write.
	const interrupts = [3, 4, 5, 6];
	interrupts.forEach((irq, i) => {
		bridge.configuration.write(0x60 + i, 1, irq);
	});
	const routing = values.get("\\_SB_.PCI0._PRT") as [number, number, { reference: string }, number][];
	assert.equal(routing.length, 28);
	for (const [address, pin, { reference }, index] of routing) {
		assert.equal(address % 0x10000, 0xffff);
		assert.equal(index, 0);
		const line = bridge.line(address >> 16, 0, pin + 1);
		line.set(true);
		assert.deepEqual(
			level.flatMap((asserted, irq) => (asserted ? [irq] : [])),
			[interrupts[links.indexOf(reference)]],
		);
		line.set(false);
	}
});

test("AML packages of every length of their length", () => {
	for (const count of [1, 60, 61, 62, 63, 250]) {
		const elements = Array.from({ length: count }, (_, i) => integer(i * 70_001));
		const block = table("DSDT", 2, [...scope("\\_SB", [8, ...Buffer.from("LIST"), ...packageOf(...elements)])]);
		const bytes = Uint8Array.from(block);
		const { values } = readDefinitions({ address: 0, signature: "DSDT", bytes, view: new DataView(bytes.buffer) });
		assert.deepEqual(
			values.get("\\_SB_.LIST"),
			Array.from({ length: count }, (_, i) => i * 70_001),
		);
	}
});

/** A host that firmware starts; only its devices are used. */
function firmwareHost(iommu: boolean): HostMachine {
	const optional: Omit<OptionalDeviceConfiguration, "memory"> = { devices: [], disks: [], iommu };
	return new HostMachine({
		memoryBytes: 4 << 20,
		optional,
		onSerial: () => {},
		onDebugConsole: () => {},
		onReset: () => {},
	});
}

function readFile({ devices: { ports } }: HostMachine, name: string): Uint8Array {
	const bytes = (key: number, count: number) => {
		ports.write(0x510, 2, key);
		return Buffer.from(Array.from({ length: count }, () => ports.read(0x511, 1)));
	};
	const count = bytes(0x19, 4).readUInt32BE(0);
	const directory = bytes(0x19, 4 + 64 * count);
	for (let at = 4; at < directory.length; at += 64)
		if (directory.toString("latin1", at + 8, at + 64).replace(/\0.*$/s, "") === name)
			return bytes(directory.readUInt16BE(at + 4), directory.readUInt32BE(at));
	return assert.fail(`no file ${name}`);
}

test("firmware gets the tables by fw_cfg and puts them where it likes, with the power management registers where it has put those", () => {
	for (const iommu of [false, true]) {
		const host = firmwareHost(iommu);
		host.devices.ports.write(0xcf8, 4, 0x8000_0b40);
		host.devices.ports.write(0xcfc, 4, 0xb001);
		const files = Object.fromEntries(
			["etc/acpi/tables", "etc/acpi/rsdp"].map((name) => [name, readFile(host, name)] as const),
		);
		const bytes = new Uint8Array(4 << 20);
		const zones = { high: 0x3f0010, biosArea: 0xf5a04 };
		const places = runTableLoader(readFile(host, "etc/table-loader"), files, bytes, zones);
		const memory: ReadMemory = (address, length) => bytes.subarray(address, address + length);
		assert.equal(findRootPointer(memory), places.get("etc/acpi/rsdp"));
		const tables = readTables(memory, places.get("etc/acpi/rsdp")!);
		assert.equal(tables.get("FACP")!.view.getUint32(76, true), 0xb008);
		assert.equal(tables.has("DMAR"), iommu);
		readDefinitions(tables.get("DSDT")!);
	}
});

test("the files have the same lengths wherever the power management registers lie", () => {
	const lengths = (powerPort: number) =>
		Object.values(acpiFiles({ ...PLATFORM, powerPort })).map((bytes) => bytes.length);
	assert.deepEqual(lengths(0), lengths(0xffc0));
});

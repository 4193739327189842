// The devices beyond the bare PC's that a machine's configuration asks for.

import { DiscImage } from "../devices/ata/disc-image.ts";
import { containerFormat, DiskImage } from "../devices/ata/disk-image.ts";
import { MOST_DRIVES, type OptionalDeviceConfiguration } from "./optional-devices.ts";
import { type MachineConfiguration, MachineError, type NamedFile } from "./virtual-machine.ts";

/** The disks of a machine in the order of the configuration. @throws {MachineError} when they cannot be its disks. */
export function openDisks(files: readonly NamedFile[]): DiskImage[] {
	if (files.length > MOST_DRIVES)
		throw new MachineError(`${files.length} disks are too many: a machine has places for ${MOST_DRIVES}.`);
	return files.map(({ name, bytes }) => {
		const format = containerFormat(bytes);
		if (format !== undefined)
			throw new MachineError(
				`The disk ${name} is a ${format} file: convert it to a raw image, for example with "qemu-img convert -O raw".`,
			);
		if (bytes.length === 0) throw new MachineError(`The disk ${name} is empty: give it at least a sector.`);
		return new DiskImage(name, bytes);
	});
}

/** The disc of a configuration. @throws {MachineError} when it cannot be in the drive. */
function openDisc({ name, bytes }: NamedFile, disks: number): DiscImage {
	if (disks === MOST_DRIVES)
		throw new MachineError(
			`There is no place for a CD-ROM drive beside ${MOST_DRIVES} disks: leave one of them out, or the disc ${name}.`,
		);
	const format = containerFormat(bytes);
	if (format !== undefined) throw new MachineError(`The disc ${name} is a ${format} file: give the ISO image itself.`);
	if (bytes.length === 0) throw new MachineError(`The disc ${name} is empty: give an ISO image.`);
	return new DiscImage(name, bytes);
}

/** @throws {MachineError} when its disc cannot be in the drive. Undefined when the machine is a bare PC: the guest then finds what it always found. */
export function optionalDevices(
	configuration: MachineConfiguration,
	disks: readonly DiskImage[],
): Omit<OptionalDeviceConfiguration, "memory"> | undefined {
	const { devices = [], iommu = false } = configuration;
	const cdrom = configuration.cdrom && openDisc(configuration.cdrom, disks.length);
	// Firmware for this chipset takes its IDE function for granted: without one it waits for drives at ports that nobody drives.
	const ide = configuration.firmware !== undefined;
	return devices.length > 0 || disks.length > 0 || cdrom || iommu || ide
		? { devices, disks, cdrom, iommu, ide }
		: undefined;
}

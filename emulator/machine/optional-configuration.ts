// The devices beyond the bare PC's that a machine's configuration asks for.

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

/** Undefined when the machine is a bare PC: the guest then finds what it always found. */
export function optionalDevices(
	configuration: MachineConfiguration,
	disks: readonly DiskImage[],
): Omit<OptionalDeviceConfiguration, "memory"> | undefined {
	const { devices = [], iommu = false } = configuration;
	return devices.length > 0 || disks.length > 0 || iommu ? { devices, disks, iommu } : undefined;
}

// What starts a machine: a kernel image or firmware.

import { type MachineConfiguration, MachineError } from "./virtual-machine.ts";

/** @throws {MachineError} when the configuration names none, or two. */
export function checkBootSource({ firmware, image, disks = [], cdrom }: MachineConfiguration): void {
	if (firmware && image)
		throw new MachineError(
			`Either ${image.name} or the firmware ${firmware.name} starts the machine: leave one of the two out.`,
		);
	if (firmware || image) return;
	const medium = disks[0] ?? cdrom;
	if (medium)
		throw new MachineError(
			`To start from ${medium.name} the machine needs firmware that reads its boot sector: name one (SeaBIOS, for example), or a kernel image.`,
		);
	throw new MachineError("Nothing says what to start: name a kernel image, or a firmware that starts from the disks.");
}

// What starts a machine: a kernel image or firmware.

import type { FirmwareKernel } from "../devices/fw-cfg.ts";
import { zeroTerminated } from "./loaders/boot-state.ts";
import { isBzImage, splitBzImage } from "./loaders/linux-boot.ts";
import { type MachineConfiguration, MachineError } from "./virtual-machine.ts";

/** Offset of the signature in the header of an EFI firmware volume (UEFI Platform Initialization Specification, volume 3, §3.2.1). */
const VOLUME_SIGNATURE_OFFSET = 40;
const VOLUME_SIGNATURE = 0x4856465f; // "_FVH"
const VOLUME_ALIGNMENT = 0x1000;

/** Whether a ROM holds a firmware volume, as UEFI firmware does. */
function isUefi(bytes: Uint8Array): boolean {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = VOLUME_SIGNATURE_OFFSET; at + 4 <= bytes.length; at += VOLUME_ALIGNMENT)
		if (view.getUint32(at, true) === VOLUME_SIGNATURE) return true;
	return false;
}

/** The kernel that UEFI firmware is to start, which asks fw_cfg for it. @throws {MachineError} when it is no Linux kernel, or cut off. */
export function firmwareKernel({
	firmware,
	image,
	initrd,
	append = "",
}: MachineConfiguration): FirmwareKernel | undefined {
	if (!firmware || !image) return undefined;
	if (!isBzImage(image.bytes))
		throw new MachineError(
			`${image.name} is no Linux bzImage, which is what the firmware ${firmware.name} can start: start it without a firmware, or put it on a disk.`,
		);
	return {
		...splitBzImage(image),
		initrd: initrd?.bytes ?? new Uint8Array(0),
		commandLine: zeroTerminated(append),
	};
}

/** @throws {MachineError} when the configuration names none, or two. */
export function checkBootSource({ firmware, image, disks = [], cdrom, initrd }: MachineConfiguration): void {
	if (initrd && !image)
		throw new MachineError(`${initrd.name} goes with a kernel: name that too, or leave "initrd" out.`);
	if (firmware && image && !isUefi(firmware.bytes))
		throw new MachineError(
			`Either ${image.name} or the firmware ${firmware.name} starts the machine (only UEFI firmware starts a kernel): leave one of the two out.`,
		);
	if (firmware || image) return;
	const medium = disks[0] ?? cdrom;
	if (medium)
		throw new MachineError(
			`To start from ${medium.name} the machine needs firmware that reads its boot sector: name one (SeaBIOS, for example), or a kernel image.`,
		);
	throw new MachineError("Nothing says what to start: name a kernel image, or a firmware that starts from the disks.");
}

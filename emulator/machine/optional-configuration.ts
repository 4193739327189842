// The devices beyond the bare PC's that a machine's configuration asks for.

import type { OptionalDeviceConfiguration } from "./optional-devices.ts";
import type { MachineConfiguration } from "./virtual-machine.ts";

/** Undefined when the machine is a bare PC: the guest then finds what it always found. */
export function optionalDevices(
	configuration: MachineConfiguration,
): Omit<OptionalDeviceConfiguration, "memory"> | undefined {
	const devices = configuration.devices ?? [];
	return devices.length > 0 ? { devices } : undefined;
}

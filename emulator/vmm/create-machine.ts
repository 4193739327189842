// Chooses the machine for a configuration.

import { NativeMachine } from "../machine/native-machine.ts";
import { type MachineConfiguration, MachineError, type VirtualMachine } from "../machine/virtual-machine.ts";

/** @throws {MachineError} with one sentence when the configuration cannot be run. */
export function createMachine(configuration: MachineConfiguration): VirtualMachine {
	if (configuration.engine === "compiled") {
		throw new MachineError('The engine "compiled" is not in this version: leave "engine" out or choose "interpreter".');
	}
	switch (configuration.vmm) {
		case "none":
			return new NativeMachine(configuration);
		default:
			throw new MachineError(`The technique "${configuration.vmm}" is not in this version: choose "none".`);
	}
}

// Chooses the machine for a configuration.

import { SavedStates } from "../isa/state.ts";
import { NativeMachine } from "../machine/native-machine.ts";
import { type MachineConfiguration, MachineError, type VirtualMachine } from "../machine/virtual-machine.ts";
import { BinaryTranslationMachine } from "./binary-translation-machine.ts";
import { ParavirtualMachine } from "./paravirt/paravirtual-machine.ts";
import { TrapMachine } from "./trap-machine.ts";
import { HvmMachine } from "./vtx/hvm-machine.ts";

/** @throws {MachineError} with one sentence when the configuration cannot be run. */
export function createMachine(configuration: MachineConfiguration): VirtualMachine {
	checkProcessors(configuration);
	switch (configuration.vmm) {
		case "none":
			if (configuration.io === "split" || configuration.io === "passthrough")
				throw new MachineError(
					`Under "none" the guest owns the host's devices: leave "io" out, or choose a technique with a VMM.`,
				);
			return new NativeMachine(configuration);
		case "trap":
		case "bt": {
			const { vmm, mmu } = configuration;
			if (mmu !== undefined && mmu !== "shadow")
				throw new MachineError(`Under "${vmm}" the tables are shadowed: leave "mmu" out or choose "shadow".`);
			refuseSplit(configuration);
			return vmm === "bt" ? new BinaryTranslationMachine(configuration) : new TrapMachine(configuration);
		}
		case "hvm":
			refuseSplit(configuration);
			return new HvmMachine(configuration);
		case "pv":
			if (configuration.mmu !== undefined)
				throw new MachineError('Under "pv" the hardware walks the guest\'s own tables: leave "mmu" out.');
			if (configuration.io === "passthrough")
				throw new MachineError(
					'Under "pv" no device is passed through: choose "io": "split", or leave it out for a guest without devices.',
				);
			return new ParavirtualMachine(configuration);
	}
}

function checkProcessors({ processors = 1, vmm }: MachineConfiguration): void {
	if (!(Number.isInteger(processors) && processors >= 1 && processors <= SavedStates.count))
		throw new MachineError(`A machine of ${processors} processors is not possible: give it 1 to ${SavedStates.count}.`);
	if (processors > 1 && vmm !== "none")
		throw new MachineError(
			`Under "${vmm}" the machine has one processor: leave "processors" out, or choose the technique "none".`,
		);
}

/** The other techniques' guests know no front ends. */
function refuseSplit({ vmm, io }: MachineConfiguration): void {
	if (io === "split")
		throw new MachineError(
			`The I/O model "split" needs paravirtual guests: choose "direct" or "passthrough" under "${vmm}".`,
		);
}

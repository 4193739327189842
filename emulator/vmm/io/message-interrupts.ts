// Interrupts of the host that devices raise by message (MSI): vectors of the host's local APIC, and who in the VMM takes them.
// Reference: SDM volume 3A, section 11.8.5 "Signaling Interrupt Servicing Completion"; section 11.11.

import { MachineError } from "../../machine/virtual-machine.ts";
import type { RegisterSpace } from "./remapping-driver.ts";

/** Vectors of host messages: no exception, no line of the 8259A pair and no call of translated code has them. */
const FIRST_VECTOR = 0xd0;
const VECTORS = 16;
const END_OF_INTERRUPT = 0xfee0_00b0;
/** The message of a vector to local APIC 0 in compatibility format: physical destination, fixed, edge (SDM Vol. 3A §11.11). */
export const COMPATIBILITY_ADDRESS = 0xfee0_0000;

export class MessageInterrupts {
	private readonly handlers: (() => void)[] = [];

	/** @param host physical space with the local APIC. */
	constructor(private readonly host: RegisterSpace) {}

	/** A vector whose interrupts `taken` hears of. @throws {MachineError} when none is left. */
	allocate(taken: () => void): number {
		if (this.handlers.length === VECTORS)
			throw new MachineError(`More than ${VECTORS} sources of message interrupts: assign fewer devices.`);
		return FIRST_VECTOR + this.handlers.push(taken) - 1;
	}

	/** The host was interrupted: ends the service and tells the owner. False when the vector is none of these. */
	take(vector: number): boolean {
		const taken = this.handlers[vector - FIRST_VECTOR];
		if (!taken) return false;
		this.host.write(END_OF_INTERRUPT, 4, 0);
		taken();
		return true;
	}
}

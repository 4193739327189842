// The guest's registers while the VMM works: the general ones are the host's, ESP, EIP and EFLAGS come from the frame that
// the host pushed when it entered the VMM, and go back into it.

import type { ProcessorState } from "../../cpu/processor-state.ts";

const ESP = 4;

export class GuestRegisters {
	eip = 0;
	esp = 0;
	/** The host's image: IF is always set, IOPL 0. The guest's is made of it and of the vCPU. */
	eflags = 0x202;

	constructor(readonly state: ProcessorState) {}

	read32(register: number): number {
		return register === ESP ? this.esp >>> 0 : this.state.gpr32(register) >>> 0;
	}

	write32(register: number, value: number): void {
		if (register === ESP) this.esp = value >>> 0;
		else this.state.setGpr32(register, value | 0);
	}

	/** A register operand by its number in the encoding; 8-bit numbers 4 to 7 are AH, CH, DH and BH. */
	read(register: number, size: number): number {
		if (size === 4) return this.read32(register);
		if (size === 2) return this.read32(register) & 0xffff;
		return (this.read32(register & 3) >>> (register & 4 ? 8 : 0)) & 0xff;
	}

	write(register: number, size: number, value: number): void {
		if (size === 4) this.write32(register, value);
		else if (size === 2) this.write32(register, (this.read32(register) & 0xffff0000) | (value & 0xffff));
		else {
			const shift = register & 4 ? 8 : 0;
			const old = this.read32(register & 3);
			this.write32(register & 3, (old & ~(0xff << shift)) | ((value & 0xff) << shift));
		}
	}
}

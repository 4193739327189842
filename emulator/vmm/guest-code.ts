// Guest code as the VMM reads it: fetches through the guest's page tables, with their faults.

import { Decoder, DecoderOptions } from "iced-x86";
import { RAM_BASE } from "../isa/state.ts";
import { refuse, Vector } from "./guest/guest-context.ts";
import { GuestFault } from "./guest/guest-fault.ts";
import { Access } from "./guest/guest-page-walk.ts";
import type { GuestPhysicalMemory } from "./guest/guest-physical-memory.ts";
import { FillResult, type ShadowPageTables } from "./shadow/shadow-page-tables.ts";
import { InstructionBytes } from "./translate/instruction-bytes.ts";
import type { VirtualCpu } from "./virtual-cpu.ts";

export const LONGEST_INSTRUCTION = 15;

export class GuestCode {
	constructor(
		private readonly vcpu: VirtualCpu,
		private readonly shadow: ShadowPageTables,
		private readonly physical: GuestPhysicalMemory,
	) {}

	/** The bytes from a linear address to the end of its page, for the current privilege level. @throws {GuestFault} #GP, #PF */
	fetch(linear: number): { bytes: Uint8Array; physical: number } {
		const { shadow, physical } = this;
		if ((linear - this.vcpu.cs.base) >>> 0 > this.vcpu.cs.limit) throw new GuestFault(Vector.generalProtection, 0);
		// The fill makes the shadow, and with it the write trace, of the page table that maps the code.
		const result = shadow.fill(linear, Access.fetch | (this.vcpu.cpl === 3 ? Access.user : 0));
		if (result === FillResult.fault) throw new GuestFault(Vector.pageFault, shadow.walk.errorCode, linear >>> 0);
		const address = shadow.walk.physical;
		if (result === FillResult.device) refuse("executes code in device memory", linear);
		if (result === FillResult.reserved && this.vcpu.cpl === 0) {
			// The code lies where the VMM does; translations do not care, but its page table has to be traced by hand.
			shadow.traceTable(shadow.walk.pteAddress);
		}
		if (!physical.isBacked(address)) refuse("executes code where there is no memory", linear);
		const length = 4096 - (address & 0xfff);
		return { bytes: this.view(physical.hostAddress(address), length), physical: address };
	}

	/** Not a copy: what is kept of it has to be copied. */
	private view(host: number, length: number): Uint8Array {
		return this.physical.host.u8.subarray(RAM_BASE + host, RAM_BASE + host + length);
	}

	/** The bytes from a linear address to the end of its page, as `fetch` gives them, without a fill where the shadow maps them. */
	private mapped(linear: number): Uint8Array {
		const { vcpu, shadow } = this;
		const host = shadow.lookup(linear, vcpu.cpl === 3 ? Access.user : Access.read);
		if (host < 0 || (linear - vcpu.cs.base) >>> 0 > vcpu.cs.limit) return this.fetch(linear).bytes;
		return this.view(host, 4096 - (host & 0xfff));
	}

	/** The instruction at an offset in CS and the offset of the next, for the current privilege level. @throws {GuestFault} of the fetch */
	instructionAt(eip: number): { instruction: InstructionBytes; next: number } {
		const linear = (eip + this.vcpu.cs.base) >>> 0;
		let bytes = this.mapped(linear).subarray(0, LONGEST_INSTRUCTION);
		let length = instructionLength(bytes);
		if (length === 0 && bytes.length < LONGEST_INSTRUCTION) {
			const rest = this.mapped((linear + bytes.length) >>> 0);
			const joined = new Uint8Array(LONGEST_INSTRUCTION);
			joined.set(bytes);
			joined.set(rest.subarray(0, LONGEST_INSTRUCTION - bytes.length), bytes.length);
			bytes = joined;
			length = instructionLength(bytes);
		}
		if (length === 0) throw new GuestFault(Vector.invalidOpcode);
		return { instruction: new InstructionBytes(bytes.slice(0, length)), next: (eip + length) >>> 0 };
	}
}

/** Length of the 32-bit instruction that the bytes begin with; 0 when they do not hold a whole one. */
export function instructionLength(bytes: Uint8Array): number {
	const decoder = new Decoder(32, bytes, DecoderOptions.ForceReservedNop);
	const instruction = decoder.decode();
	const length = instruction.isInvalid ? 0 : instruction.length;
	instruction.free();
	decoder.free();
	return length;
}

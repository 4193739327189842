// IN, OUT, INS and OUTS of the guest, on the guest's devices (SDM Vol. 1 Chapter 19).

import { Segment } from "../../isa/state.ts";
import type { InstructionBytes } from "../translate/instruction-bytes.ts";
import { type GuestContext, Vector } from "./guest-context.ts";
import { GuestFault } from "./guest-fault.ts";

/** The guest's I/O port space. */
export interface GuestPorts {
	read(port: number, size: 1 | 2 | 4): number;
	write(port: number, size: 1 | 2 | 4, value: number): void;
}

const [EAX, ECX, EDX, ESI, EDI] = [0, 1, 2, 6, 7] as const;
const DF = 0x400;
/** Offset of the I/O map base in a 32-bit TSS (SDM Vol. 3A Figure 7-2). */
const IO_MAP_BASE = 0x66;
/** Iterations of a repeated instruction in one go; the rest comes after the interrupts. Few, for the run loop counts a burst as one. */
const BURST = 32;

export class PortInstructions {
	constructor(
		private readonly guest: GuestContext,
		private readonly ports: GuestPorts,
	) {}

	/** @throws {GuestFault} #GP(0) when neither IOPL nor the guest's I/O map allows the ports */
	private checkPermission(port: number, size: number): void {
		const { vcpu, memory } = this.guest;
		if (vcpu.cpl <= vcpu.iopl) return;
		const { tr } = vcpu;
		const denied = new GuestFault(Vector.generalProtection, 0);
		if (tr.access & 0x10000 || IO_MAP_BASE + 1 > tr.limit) throw denied;
		const map = memory.read((tr.base + IO_MAP_BASE) >>> 0, 2, false) + (port >> 3);
		if (map + 1 > tr.limit) throw denied;
		const bits = memory.read((tr.base + map) >>> 0, 2, false) >> (port & 7);
		if (bits & ((1 << size) - 1)) throw denied;
	}

	/** IN and OUT. @throws {GuestFault} */
	single(i: InstructionBytes): void {
		const { registers } = this.guest;
		const { opcode } = i;
		const size = (opcode & 1) === 0 ? 1 : i.operandSize16 ? 2 : 4;
		const port = opcode & 8 ? registers.read(EDX, 2) : i.immediate(1) & 0xff;
		this.checkPermission(port, size);
		if (opcode & 2) this.ports.write(port, size, registers.read(EAX, size));
		else registers.write(EAX, size, this.ports.read(port, size));
	}

	/** INS and OUTS; false when a repeated one is not done. @throws {GuestFault} with the finished steps done */
	string(i: InstructionBytes): boolean {
		const { registers } = this.guest;
		const size = (i.opcode & 1) === 0 ? 1 : i.operandSize16 ? 2 : 4;
		const port = registers.read(EDX, 2);
		this.checkPermission(port, size);
		if (i.repeat === 0) {
			this.step(i, port, size);
			return true;
		}
		const countSize = i.addressSize16 ? 2 : 4;
		for (let done = 0; done < BURST; done++) {
			const count = registers.read(ECX, countSize);
			if (count === 0) return true;
			this.step(i, port, size);
			registers.write(ECX, countSize, count - 1);
		}
		return registers.read(ECX, countSize) === 0;
	}

	private step(i: InstructionBytes, port: number, size: 1 | 2 | 4): void {
		const { guest, ports } = this;
		const { registers } = guest;
		const addressSize = i.addressSize16 ? 2 : 4;
		const input = (i.opcode & 2) === 0;
		const register = input ? EDI : ESI;
		const offset = registers.read(register, addressSize);
		const segment = input ? Segment.es : (i.segmentPrefix ?? Segment.ds);
		const at = guest.linear(segment, offset, size, input);
		if (input) guest.write(at, size, ports.read(port, size));
		else ports.write(port, size, guest.read(at, size));
		registers.write(register, addressSize, offset + (registers.eflags & DF ? -size : size));
	}
}

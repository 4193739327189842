// INT n, INT3, INTO, INT1 and BOUND (SDM Vol. 2A, INT n; Vol. 3B §20.3.3 for virtual-8086 mode with VME).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import { Segment } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import type { EventSource, InterruptDelivery } from "./interrupt-delivery.ts";
import { PageAccess } from "./paging.ts";

/** Offset in the 32-bit TSS of the I/O map base; the interrupt redirection bitmap is the 32 bytes below that map. */
const IO_MAP_BASE = 0x66;

export function softwareInterrupts(core: ProcessorCore, delivery: InterruptDelivery): Record<string, Helper> {
	const { state, operands, memory } = core;

	const raise = (
		record: number,
		vector: number,
		source: Extract<EventSource, "software" | "software-exception" | "int1">,
	): Outcome => {
		const low = operands.nextRip(record);
		if (!delivery.software(vector, source, low, operands.high)) return Outcome.exit;
		return core.leave();
	};

	/** With VME: whether the redirection bitmap sends the vector to the 8086 program's own table (a clear bit; SDM Vol. 3B §20.3.3.4). */
	const isRedirected = (vector: number): boolean => {
		const tss = state.baseLow(Segment.tr);
		const limit = state.limit(Segment.tr);
		if (IO_MAP_BASE + 1 > limit) throw new Fault(Vector.generalProtection, 0);
		const at = memory.readLinear((tss + IO_MAP_BASE) | 0, 0, 2) - 32 + (vector >> 3);
		if (at < 0 || at > limit) throw new Fault(Vector.generalProtection, 0);
		return ((memory.readLinear((tss + at) | 0, 0, 1) >> (vector & 7)) & 1) === 0;
	};

	/** Enters the handler through the interrupt vector table at linear address 0, without leaving virtual-8086 mode. */
	const redirect = (record: number, vector: number): Outcome => {
		const handler = memory.readLinear(vector * 4, 0, 4, PageAccess.user);
		const virtual = state.iopl < 3;
		let flags = core.readEflags();
		if (virtual) flags = (flags & ~Eflags.IF) | Eflags.IOPL | (flags & Eflags.VIF ? Eflags.IF : 0);
		operands.pokeStack(-2, 2, flags);
		operands.pokeStack(-4, 2, state.selector(Segment.cs));
		operands.pokeStack(-6, 2, operands.nextRip(record));
		operands.moveStack(-6);
		state.flagsRest &= ~(Eflags.TF | (virtual ? Eflags.VIF : Eflags.IF));
		core.segmentation.loadRealMode(Segment.cs, handler >>> 16);
		state.setRip(handler & 0xffff, 0);
		state.updateMode();
		delivery.enteredHandler = true;
		return core.leave();
	};

	return {
		interrupt(record) {
			const vector = operands.immediate(record) & 0xff;
			if (state.virtual8086) {
				if (state.cr4 & Cr4.VME && isRedirected(vector)) return redirect(record, vector);
				if (state.iopl < 3) throw new Fault(Vector.generalProtection, 0);
			}
			return raise(record, vector, "software");
		},
		interrupt3: (record) => raise(record, Vector.breakpoint, "software-exception"),
		interruptOverflow(record) {
			if (state.mode64) throw new Fault(Vector.invalidOpcode);
			if ((core.flags.readEflags() & Eflags.OF) === 0) return Outcome.next;
			return raise(record, Vector.overflow, "software-exception");
		},
		interrupt1: (record) => raise(record, Vector.debug, "int1"),
		/** BOUND: register 0 is the index, the memory operand the two bounds (SDM Vol. 2A, BOUND). */
		bound(record, size) {
			if (state.mode64) throw new Fault(Vector.invalidOpcode);
			const signed = (value: number): number => (size === 2 ? (value << 16) >> 16 : value | 0);
			const lower = signed(operands.readMemory(record, size));
			const upper = signed(operands.readMemory(record, size, size));
			const index = signed(operands.readRegister(operands.register(record, 0), size));
			if (index < lower || index > upper) throw new Fault(Vector.boundRange);
			return Outcome.next;
		},
	};
}

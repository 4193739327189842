// Transfers through the guest's own structures: exceptions and interrupts through its IDT, IRET, far JMP, CALL and RET,
// SYSENTER and SYSEXIT (SDM Vol. 3A Chapters 5 and 6; Vol. 2, "Operation" of each). 32-bit gates, rings 0 and 3.

import { combine } from "../../cpu/exceptions.ts";
import { Fault } from "../../engine/fault.ts";
import { Segment } from "../../isa/state.ts";
import { type DescriptorWords, descriptorLimit } from "../segments/shadow-descriptor.ts";
import { type GuestContext, High, privilegeOf, refuse, Vector } from "./guest-context.ts";
import { GuestFault } from "./guest-fault.ts";

const Gate = { task: 5, interrupt16: 6, trap16: 7, interrupt32: 14, trap32: 15 } as const;
const EXTERNAL = 1;
const IN_IDT = 2;
/** TF, NT, RF, VM: cleared on the way into a handler (SDM Vol. 3A §6.12.1). */
const CLEARED_BY_GATE = 0x34100;
const TF = 0x100;
const RF = 0x10000;
/** What IRET and POPF load: the arithmetic flags, TF, DF, NT, RF, AC, ID. */
export const LOADABLE = 0x254dd5;
const VM = 0x20000;
const NT = 0x4000;

export interface Delivery {
	readonly vector: number;
	readonly errorCode?: number | undefined;
	/** INT n, INT3, INTO: the gate's DPL is checked. */
	readonly software?: boolean;
	/** An external interrupt: faults on the way say so. */
	readonly external?: boolean;
}

export class ControlTransfer {
	constructor(
		private readonly guest: GuestContext,
		/** Called for each exception that is raised in the vCPU, before it is delivered. */
		private readonly onException: (vector: number, errorCode: number | undefined, address: number) => void,
	) {}

	/**
	 * Delivers through the guest's IDT; faults on the way become what SDM Vol. 3A §6.15 makes of them. False after a triple
	 * fault: the state is then the one before.
	 */
	deliver(first: Delivery): boolean {
		let event: Delivery = first;
		let isException = !first.software && !first.external;
		for (;;) {
			try {
				this.enter(event);
				return true;
			} catch (fault) {
				if (!(fault instanceof GuestFault)) throw fault;
				if (fault.vector === Vector.pageFault) this.guest.vcpu.cr2 = fault.address;
				const next = combine(event.vector, isException, new Fault(fault.vector, fault.errorCode));
				if (next === undefined) return false;
				this.onException(next.vector, next.errorCode, fault.address);
				event = { vector: next.vector, errorCode: next.errorCode };
				isException = true;
			}
		}
	}

	/** INT n, INT3, INTO, INT1: EIP is the return address. @throws {GuestFault} of the instruction */
	enterSoftware(vector: number): void {
		this.enter({ vector, software: true });
	}

	private enter({ vector, errorCode, software, external }: Delivery): void {
		const { guest } = this;
		const { vcpu, registers, memory } = guest;
		const ext = software ? 0 : EXTERNAL;
		const selectorError = vector * 8 + IN_IDT + ext;
		if (vector * 8 + 7 > vcpu.idtr.limit) throw new GuestFault(Vector.generalProtection, selectorError);
		const at = vcpu.idtr.base + vector * 8;
		const low = memory.read(at >>> 0, 4, false);
		const high = memory.read((at + 4) >>> 0, 4, false);
		const type = (high >>> 8) & 0x1f;
		if (software && ((high >>> 13) & 3) < vcpu.cpl) throw new GuestFault(Vector.generalProtection, selectorError);
		if (type === Gate.task) refuse(`takes vector ${vector} through a task gate`, registers.eip);
		if (type === Gate.interrupt16 || type === Gate.trap16)
			refuse(`takes vector ${vector} through a 16-bit gate`, registers.eip);
		if (type !== Gate.interrupt32 && type !== Gate.trap32)
			throw new GuestFault(Vector.generalProtection, selectorError);
		if ((high & High.present) === 0) throw new GuestFault(Vector.segmentNotPresent, selectorError);
		const selector = low >>> 16;
		const offset = ((low & 0xffff) | (high & 0xffff0000)) >>> 0;
		if ((selector & ~3) === 0) throw new GuestFault(Vector.generalProtection, ext);
		const code = guest.findDescriptor(selector, Vector.generalProtection);
		const isCode = (code[1] & (High.s | High.code)) === (High.s | High.code);
		const dpl = privilegeOf(code);
		if (!isCode || dpl > vcpu.cpl) throw new GuestFault(Vector.generalProtection, (selector & 0xfffc) + ext);
		if ((code[1] & High.present) === 0) throw new GuestFault(Vector.segmentNotPresent, (selector & 0xfffc) + ext);
		const inner = (code[1] & High.conforming) === 0 && dpl < vcpu.cpl;
		if (dpl !== 0 && dpl !== vcpu.cpl) refuse("enters ring 1 or 2", registers.eip);
		if (offset > descriptorLimit(code)) throw new GuestFault(Vector.generalProtection, ext);
		// The host's image has RF set because the host took a fault; the guest's has it only for a fault of its own.
		const flags = (guest.eflags & ~RF) | (!software && !external && isFaultVector(vector) ? RF : 0);
		const frame = [registers.eip, vcpu.cs.selector, flags];
		if (errorCode !== undefined) frame.unshift(errorCode);
		if (inner) {
			frame.push(registers.esp, vcpu.ss.selector);
			const esp = memory.read((vcpu.tr.base + 4) >>> 0, 4, false);
			const ss = memory.read((vcpu.tr.base + 8) >>> 0, 2, false);
			const stack = guest.stackDescriptor(ss, 0, Vector.invalidTss);
			const top = this.pushFrame(frame, stack, esp, ext);
			guest.fillSegment(vcpu.ss, ss, stack);
			registers.esp = top;
		} else {
			registers.esp = this.pushFrame(frame, undefined, registers.esp, ext);
		}
		guest.setCodeSegment(selector, code, inner ? 0 : vcpu.cpl);
		registers.eip = offset;
		if (type === Gate.interrupt32) vcpu.interruptFlag = false;
		vcpu.trapFlag = false;
		registers.eflags &= ~CLEARED_BY_GATE;
	}

	/** Writes dwords, the first lowest, below `esp`; the new ESP. @throws {GuestFault} before anything is written */
	private pushFrame(frame: readonly number[], stack: DescriptorWords | undefined, esp: number, ext: number): number {
		const { guest } = this;
		const { vcpu, memory } = guest;
		const base = stack ? ((stack[0] >>> 16) | ((stack[1] & 0xff) << 16) | (stack[1] & 0xff000000)) >>> 0 : vcpu.ss.base;
		const limit = stack ? descriptorLimit(stack) : vcpu.ss.limit;
		const top = (esp - frame.length * 4) >>> 0;
		if (top > limit || top + frame.length * 4 - 1 > limit) throw new GuestFault(Vector.stackFault, ext);
		const user = stack === undefined && guest.user;
		memory.probeWrite((base + top) >>> 0, frame.length * 4, user);
		frame.forEach((value, index) => {
			memory.write((base + top + index * 4) >>> 0, 4, value, user);
		});
		return top;
	}

	/** IRET and IRETD. @throws {GuestFault} with nothing changed */
	interruptReturn(operandSize16: boolean): void {
		const { guest } = this;
		const { registers } = guest;
		if (guest.eflags & NT) refuse("returns to another task", registers.eip);
		const size = operandSize16 ? 2 : 4;
		const eip = guest.peekStack(0, size);
		const cs = guest.peekStack(size, size) & 0xffff;
		const flags = guest.peekStack(2 * size, size);
		if (flags & VM && size === 4) refuse("enters virtual-8086 mode", registers.eip);
		const mask = (size === 4 ? LOADABLE : LOADABLE & 0xffff) | 0x3200;
		this.returnTo(eip, cs, size, 3 * size, 0, () => {
			const cpl = cs & 3;
			guest.loadEflags(flags, mask, cpl);
		});
	}

	/** Far RET that releases `release` bytes of parameters. @throws {GuestFault} with nothing changed */
	farReturn(operandSize16: boolean, release: number): void {
		const { guest } = this;
		const size = operandSize16 ? 2 : 4;
		const eip = guest.peekStack(0, size);
		const cs = guest.peekStack(size, size) & 0xffff;
		this.returnTo(eip, cs, size, 2 * size + release, release, () => {
			// TF of code that runs directly lies in the host's flags image.
			if ((cs & 3) === 3) guest.vcpu.trapFlag = false;
		});
	}

	private returnTo(eip: number, cs: number, size: 2 | 4, popped: number, release: number, loadFlags: () => void): void {
		const { guest } = this;
		const { vcpu, registers } = guest;
		if ((cs & ~3) === 0) throw new GuestFault(Vector.generalProtection, 0);
		const code = guest.findDescriptor(cs, Vector.generalProtection);
		const rpl = cs & 3;
		const conforming = (code[1] & High.conforming) !== 0;
		const isCode = (code[1] & (High.s | High.code)) === (High.s | High.code);
		const allowed = conforming ? privilegeOf(code) <= rpl : privilegeOf(code) === rpl;
		if (!isCode || rpl < vcpu.cpl || !allowed) throw new GuestFault(Vector.generalProtection, cs & 0xfffc);
		if ((code[1] & High.present) === 0) throw new GuestFault(Vector.segmentNotPresent, cs & 0xfffc);
		if (rpl === 1 || rpl === 2) refuse("returns to ring 1 or 2", registers.eip);
		if (eip > descriptorLimit(code)) throw new GuestFault(Vector.generalProtection, 0);
		if (rpl === vcpu.cpl) {
			loadFlags();
			registers.esp = (registers.esp + popped) >>> 0;
			guest.setCodeSegment(cs, code, vcpu.cpl);
		} else {
			const esp = guest.peekStack(popped, size);
			const ss = guest.peekStack(popped + size, size) & 0xffff;
			const stack = guest.stackDescriptor(ss, 3, Vector.generalProtection);
			loadFlags();
			guest.setCodeSegment(cs, code, 3);
			guest.fillSegment(vcpu.ss, ss, stack);
			registers.esp = (esp + release) >>> 0;
			this.dropInnerSegments();
		}
		registers.eip = eip;
	}

	/** On a return to ring 3: %gs, which the host does not hold, becomes null when ring 3 may not use it; the host's own return does the others. */
	private dropInnerSegments(): void {
		const { gs } = this.guest.vcpu;
		const conforming = (gs.access & 0xc) === 0xc;
		if ((gs.access & 0x10000) === 0 && !conforming && ((gs.access >> 5) & 3) < 3) {
			gs.selector = 0;
			gs.access |= 0x10000;
		}
	}

	/** JMP and CALL far, to code segments of the same privilege level. @throws {GuestFault} with nothing changed */
	farTransfer(selector: number, offset: number, call: boolean, operandSize16: boolean, returnEip: number): void {
		const { guest } = this;
		const { vcpu, registers } = guest;
		if ((selector & ~3) === 0) throw new GuestFault(Vector.generalProtection, 0);
		const code = guest.findDescriptor(selector, Vector.generalProtection);
		if ((code[1] & High.s) === 0) refuse("goes through a call gate, a task gate or a TSS", registers.eip);
		const dpl = privilegeOf(code);
		const conforming = (code[1] & High.conforming) !== 0;
		const allowed = conforming ? dpl <= vcpu.cpl : dpl === vcpu.cpl && (selector & 3) <= vcpu.cpl;
		if ((code[1] & High.code) === 0 || !allowed) throw new GuestFault(Vector.generalProtection, selector & 0xfffc);
		if ((code[1] & High.present) === 0) throw new GuestFault(Vector.segmentNotPresent, selector & 0xfffc);
		const target = operandSize16 ? offset & 0xffff : offset;
		if (target > descriptorLimit(code)) throw new GuestFault(Vector.generalProtection, 0);
		if (call) {
			const size = operandSize16 ? 2 : 4;
			const esp = (registers.esp - 2 * size) >>> 0;
			const at = guest.linear(Segment.ss, esp, 2 * size, true);
			guest.write((at + size) >>> 0, size, vcpu.cs.selector);
			guest.write(at, size, returnEip);
			registers.esp = esp;
		}
		guest.setCodeSegment(selector, code, vcpu.cpl);
		registers.eip = target >>> 0;
	}

	/** SYSENTER (SDM Vol. 2B). @throws {GuestFault} #GP(0) */
	systemEnter(): void {
		const { guest } = this;
		const { vcpu, registers } = guest;
		if ((vcpu.sysenterCs & ~3) === 0) throw new GuestFault(Vector.generalProtection, 0);
		this.flatSegments(vcpu.sysenterCs & 0xfffc, 0);
		vcpu.interruptFlag = false;
		// TF is not cleared: the kernel's first instruction is stepped.
		vcpu.trapFlag = (registers.eflags & TF) !== 0;
		registers.eflags &= ~(VM | RF | TF);
		registers.esp = vcpu.sysenterEsp >>> 0;
		registers.eip = vcpu.sysenterEip >>> 0;
	}

	/** SYSEXIT (SDM Vol. 2B). @throws {GuestFault} #GP(0) */
	systemExit(): void {
		const { guest } = this;
		const { vcpu, registers } = guest;
		if ((vcpu.sysenterCs & ~3) === 0 || vcpu.cpl !== 0) throw new GuestFault(Vector.generalProtection, 0);
		this.flatSegments(((vcpu.sysenterCs & 0xfffc) + 16) | 3, 3);
		registers.eip = registers.read32(2);
		registers.esp = registers.read32(1);
	}

	/** The fixed, flat CS and SS that SYSENTER and SYSEXIT load without looking at descriptors. */
	private flatSegments(selector: number, cpl: 0 | 3): void {
		const { vcpu } = this.guest;
		const dpl = cpl << 5;
		Object.assign(vcpu.cs, { selector, base: 0, limit: 0xffffffff, access: 0xc09b | dpl });
		Object.assign(vcpu.ss, { selector: selector + 8, base: 0, limit: 0xffffffff, access: 0xc093 | dpl });
		vcpu.cpl = cpl;
	}
}

/** Exceptions of the class "fault", whose saved image has RF set (SDM Vol. 3B §17.3.1.1). */
function isFaultVector(vector: number): boolean {
	return (
		vector !== Vector.debug &&
		vector !== 2 &&
		vector !== Vector.breakpoint &&
		vector !== Vector.overflow &&
		vector < 32 &&
		vector !== Vector.doubleFault
	);
}

// What each sensitive instruction gives on a machine of the guest's own, and where to read what it has given here. Only what
// differs between the two is described; a rule that finds the instruction right gives undefined (SDM Vol. 2, "Operation").

import { Segment, type SegmentIndex } from "../../isa/state.ts";
import {
	accessRights,
	checkFarReturn,
	checkFarTarget,
	dataDescriptor,
	LAR,
	verifies,
} from "../guest/descriptor-checks.ts";
import { Vector } from "../guest/guest-context.ts";
import { GuestFault } from "../guest/guest-fault.ts";
import { HostSelector } from "../layout.ts";
import type { Monitor } from "../monitor.ts";
import type { InstructionBytes } from "../translate/instruction-bytes.ts";
import type { TableRegister } from "../virtual-cpu.ts";

/** An instruction's result in words: on the bare machine, and here once it has run (undefined when it cannot be read). */
export interface Outcome {
	readonly hardware: string;
	readonly got: () => string | undefined;
}

const ZF = 0x40;
const IF = 0x200;
const IOPL = 0x3000;
/** B of a stack segment, in SegmentSlot.access. */
const BIG = 0x4000;
const PUSHED = new Map<number, SegmentIndex>([
	[0x06, Segment.es],
	[0x0e, Segment.cs],
	[0x16, Segment.ss],
	[0x1e, Segment.ds],
	[0x0fa0, Segment.fs],
	[0x0fa8, Segment.gs],
]);
const POPPED = new Map<number, SegmentIndex>([
	[0x07, Segment.es],
	[0x17, Segment.ss],
	[0x1f, Segment.ds],
	[0x0fa1, Segment.fs],
	[0x0fa9, Segment.gs],
]);
const FAR_POINTERS = new Map<number, SegmentIndex>([
	[0xc4, Segment.es],
	[0xc5, Segment.ds],
	[0x0fb2, Segment.ss],
	[0x0fb4, Segment.fs],
	[0x0fb5, Segment.gs],
]);

function hex(value: number, bytes: number): string {
	return `0x${(bytes === 2 ? value & 0xffff : value >>> 0).toString(16).padStart(bytes * 2, "0")}`;
}

function faultName({ vector, errorCode }: GuestFault): string {
	const name = vector === Vector.segmentNotPresent ? "#NP" : vector === Vector.stackFault ? "#SS" : "#GP";
	return `${name}(${hex(errorCode ?? 0, 2)})`;
}

/** The fault that a check finds, in words; undefined when it passes. */
function faultOf(check: () => void): string | undefined {
	try {
		check();
		return undefined;
	} catch (fault) {
		if (fault instanceof GuestFault && fault.vector !== Vector.pageFault) return faultName(fault);
		throw fault;
	}
}

/** @throws {GuestFault} when the value is not known */
function known(value: number | undefined): number {
	if (value === undefined) throw new GuestFault(Vector.pageFault);
	return value;
}

export class SensitiveRules {
	constructor(private readonly monitor: Monitor) {}

	/** Undefined when the instruction gives the right result, or cannot be looked at because it is going to fault. */
	expect(i: InstructionBytes): Outcome | undefined {
		try {
			return this.ruleFor(i);
		} catch (fault) {
			if (fault instanceof GuestFault) return undefined;
			throw fault;
		}
	}

	private ruleFor(i: InstructionBytes): Outcome | undefined {
		const { vcpu } = this.monitor;
		this.monitor.emulator.begin(i);
		const pushed = PUSHED.get(i.opcode);
		if (pushed !== undefined) return this.pushed(this.selector(pushed), 2);
		const popped = POPPED.get(i.opcode);
		if (popped !== undefined) return this.loaded(popped, this.stack(0, 2));
		const pointer = FAR_POINTERS.get(i.opcode);
		if (pointer !== undefined) return this.loaded(pointer, this.operand(i, this.size(i)));
		switch (i.opcode) {
			case 0x8c:
				return this.stored(i, this.selector(i.reg as SegmentIndex), 2);
			case 0x8e:
				return this.loaded(i.reg as SegmentIndex, this.operand(i));
			case 0x9a:
				return this.called(i, i.immediate(2, this.size(i)) & 0xffff);
			case 0xea:
				return this.jumped(i.immediate(2, this.size(i)) & 0xffff);
			case 0xff:
				return i.reg === 3 ? this.called(i, this.operand(i, this.size(i))) : this.jumped(this.operand(i, this.size(i)));
			case 0x9c:
				return this.pushed(this.flags() & (this.size(i) === 2 ? 0xffff : ~0x30000), this.size(i));
			case 0x9d:
				return this.flagsLoaded(this.stack(0, this.size(i)));
			case 0xca:
			case 0xcb:
				return this.returned(this.stack(this.size(i), 2));
			case 0xcf:
				return this.interruptReturned(i);
			case 0x0f00:
				if (i.reg === 0) return this.stored(i, vcpu.ldtr.selector, 2);
				if (i.reg === 1) return this.stored(i, vcpu.tr.selector, 2);
				return this.verified(verifies(this.monitor.guest, i.reg === 5, this.operand(i)));
			case 0x0f01:
				if (i.reg === 4) return this.stored(i, vcpu.cr0, i.inMemory ? 2 : this.size(i));
				return this.tableStored(i, i.reg === 0 ? vcpu.gdtr : vcpu.idtr);
			case 0x0f02:
			case 0x0f03:
				return this.rights(i);
			default:
				return undefined;
		}
	}

	private size(i: InstructionBytes): 2 | 4 {
		return i.operandSize16 ? 2 : 4;
	}

	// The guest's state before the instruction.

	/** A segment register's selector as the guest's own machine would hold it. */
	private selector(index: SegmentIndex): number {
		const { vcpu, control, guest } = this.monitor;
		const selector = control.state.selector(index);
		if (selector === HostSelector.cachedCode) return vcpu.cs.selector;
		if (selector === HostSelector.cachedStack) return vcpu.ss.selector;
		if (selector === HostSelector.cachedGs) return vcpu.gs.selector;
		return index === Segment.cs || index === Segment.ss ? (selector & ~3) | guest.vcpu.cpl : selector;
	}

	/** EFLAGS as the guest's own machine would hold them. */
	private flags(): number {
		const { vcpu, host } = this.monitor;
		const flags = host.processor.core.flags.readEflags() & ~(IF | IOPL);
		return flags | (vcpu.interruptFlag ? IF : 0) | (vcpu.iopl << 12);
	}

	/** A word of the stack. @throws {GuestFault} when the host does not map it */
	private stack(offset: number, size: 2 | 4): number {
		return known(this.valueAt(this.stackAddress(offset), size));
	}

	private stackAddress(offset: number): number {
		const { state } = this.monitor.control;
		const at = this.stackPointer() + offset;
		return state.baseLow(Segment.ss) + (state.access(Segment.ss) & BIG ? at : at & 0xffff);
	}

	/** Linear address of the operand in memory: the processor itself checks segment and page. */
	private address(i: InstructionBytes): number {
		const { emulator, control } = this.monitor;
		return (control.state.baseLow(i.segment) + emulator.operandOffset()) >>> 0;
	}

	/** The 16-bit ModRM operand, or what lies `beyond` its begin. @throws {GuestFault} when the host does not map it */
	private operand(i: InstructionBytes, beyond = 0): number {
		if (!i.inMemory) return this.monitor.registers.read(i.rm, 2);
		return known(this.valueAt(this.address(i) + beyond, 2));
	}

	// What the instruction has given.

	/** The host's ESP: it may have entered the VMM behind the instruction, by a single step. */
	private stackPointer(): number {
		const { control } = this.monitor;
		return control.state.cpl === 0 ? control.readFrame().esp : control.state.gpr32(4) >>> 0;
	}

	/** A value as the host maps it, read without any effect; undefined where it maps no RAM. */
	private valueAt(linear: number, size: 2 | 4): number | undefined {
		const found = this.monitor.host.processor.core.memory.peekLinear(BigInt(linear >>> 0), size);
		return found?.length === size ? found.reduce((sum, byte, at) => sum + byte * 2 ** (8 * at), 0) : undefined;
	}

	private zero(): boolean {
		const { control, host } = this.monitor;
		const flags = control.state.cpl === 0 ? control.readFrame().eflags : host.processor.core.flags.readEflags();
		return (flags & ZF) !== 0;
	}

	// The rules.

	private pushed(value: number, size: 2 | 4): Outcome {
		const base = this.monitor.control.state.baseLow(Segment.ss);
		return {
			hardware: hex(value, size),
			got: () => {
				const found = this.valueAt(base + this.stackPointer(), size);
				return found === undefined ? undefined : hex(found, size);
			},
		};
	}

	private stored(i: InstructionBytes, value: number, size: 2 | 4): Outcome {
		const { control } = this.monitor;
		if (!i.inMemory) return { hardware: hex(value, size), got: () => hex(control.state.gpr32(i.rm), size) };
		const at = this.address(i);
		return {
			hardware: hex(value, size),
			got: () => {
				const found = this.valueAt(at, 2);
				return found === undefined ? undefined : hex(found, size);
			},
		};
	}

	private tableStored(i: InstructionBytes, { base, limit }: TableRegister): Outcome {
		const at = this.address(i);
		const text = (base: number, limit: number) => `base ${hex(base, 4)}, limit ${hex(limit, 2)}`;
		return {
			hardware: text(base, limit),
			got: () => {
				const [seenLimit, seenBase] = [this.valueAt(at, 2), this.valueAt(at + 2, 4)];
				return seenLimit === undefined || seenBase === undefined ? undefined : text(seenBase, seenLimit);
			},
		};
	}

	private rights(i: InstructionBytes): Outcome {
		const { guest, control } = this.monitor;
		const size = this.size(i);
		const value = accessRights(guest, i.opcode, this.operand(i));
		const what = i.opcode === LAR ? "rights" : "limit";
		const text = (value: number | undefined) => (value === undefined ? "ZF 0" : `${what} ${hex(value, size)}`);
		return { hardware: text(value), got: () => text(this.zero() ? control.state.gpr32(i.reg) : undefined) };
	}

	private verified(zero: boolean): Outcome {
		const text = (zero: boolean) => `ZF ${zero ? 1 : 0}`;
		return { hardware: text(zero), got: () => text(this.zero()) };
	}

	/** Loads of a segment register that the host lets pass. */
	private loaded(index: SegmentIndex, selector: number): Outcome | undefined {
		const { guest } = this.monitor;
		const fault = faultOf(() => {
			if (index !== Segment.ss) dataDescriptor(guest, selector);
			else guest.stackDescriptor(selector, guest.vcpu.cpl, Vector.generalProtection);
		});
		return fault === undefined ? undefined : { hardware: fault, got: () => `loaded ${hex(selector, 2)}` };
	}

	private jumped(selector: number): Outcome | undefined {
		const fault = faultOf(() => checkFarTarget(this.monitor.guest, selector));
		return fault === undefined ? undefined : { hardware: fault, got: () => `went to ${hex(selector, 2)}` };
	}

	private called(i: InstructionBytes, selector: number): Outcome {
		const wrong = this.jumped(selector);
		if (wrong) return wrong;
		const size = this.size(i);
		const base = this.monitor.control.state.baseLow(Segment.ss);
		return {
			hardware: `pushed CS ${hex(this.selector(Segment.cs), 2)}`,
			got: () => {
				const found = this.valueAt(base + this.stackPointer() + size, 2);
				return found === undefined ? undefined : `pushed CS ${hex(found, 2)}`;
			},
		};
	}

	private returned(selector: number): Outcome | undefined {
		const { guest } = this.monitor;
		const fault = faultOf(() => checkFarReturn(guest, selector));
		const outer = (selector & 3) > guest.vcpu.cpl;
		if (fault === undefined && !outer) return undefined;
		return {
			hardware: fault ?? `went out to ring ${selector & 3}`,
			got: () => `returned to ${hex(selector, 2)}`,
		};
	}

	private interruptReturned(i: InstructionBytes): Outcome | undefined {
		const size = this.size(i);
		return this.returned(this.stack(size, 2)) ?? this.flagsLoaded(this.stack(2 * size, size));
	}

	/** POPF, IRET: IF and IOPL of the image are not loaded, and nothing tells the VMM. */
	private flagsLoaded(image: number): Outcome | undefined {
		const { vcpu } = this.monitor;
		const text = (enabled: boolean, iopl: number) => `IF ${enabled ? 1 : 0}, IOPL ${iopl}`;
		const enabled = vcpu.cpl <= vcpu.iopl ? (image & IF) !== 0 : vcpu.interruptFlag;
		const iopl = vcpu.cpl === 0 ? (image & IOPL) >> 12 : vcpu.iopl;
		return { hardware: text(enabled, iopl), got: () => text(vcpu.interruptFlag, vcpu.iopl) };
	}
}

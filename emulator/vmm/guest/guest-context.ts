// What every part of the VMM that does the guest's work needs: the vCPU, its registers, its memory, its descriptors.

import type { ProcessorState } from "../../cpu/processor-state.ts";
import { Segment, type SegmentIndex } from "../../isa/state.ts";
import { MachineError } from "../../machine/virtual-machine.ts";
import { VMM_BASE } from "../layout.ts";
import {
	type DescriptorWords,
	descriptorBase,
	descriptorLimit,
	shadowDescriptor,
} from "../segments/shadow-descriptor.ts";
import type { ShadowDescriptorTables } from "../segments/shadow-descriptor-tables.ts";
import type { ShadowPageTables } from "../shadow/shadow-page-tables.ts";
import type { VirtualCpu, VirtualSegment } from "../virtual-cpu.ts";
import { GuestFault } from "./guest-fault.ts";
import type { GuestLinearMemory } from "./guest-linear-memory.ts";
import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";
import type { GuestRegisters } from "./guest-registers.ts";
import type { SegmentedMemory } from "./instruction-emulator.ts";

export const Vector = {
	divideError: 0,
	debug: 1,
	breakpoint: 3,
	overflow: 4,
	invalidOpcode: 6,
	deviceNotAvailable: 7,
	doubleFault: 8,
	invalidTss: 10,
	segmentNotPresent: 11,
	stackFault: 12,
	generalProtection: 13,
	pageFault: 14,
} as const;

/** Bits of a descriptor's second dword (SDM Vol. 3A §3.4.5). */
export const High = {
	accessed: 1 << 8,
	writable: 1 << 9,
	expandDown: 1 << 10,
	conforming: 1 << 10,
	code: 1 << 11,
	s: 1 << 12,
	present: 1 << 15,
	big: 1 << 22,
} as const;

/** Access rights in the format of SegmentSlot.access. */
export function accessOf([, high]: DescriptorWords): number {
	return (high >>> 8) & 0xf0ff;
}

export function privilegeOf([, high]: DescriptorWords): number {
	return (high >>> 13) & 3;
}

/** A guest situation that the technique does not run; the machine around names the technique. */
export class GuestRefusal extends MachineError {
	constructor(
		private readonly what: string,
		private readonly eip: number,
	) {
		super(`The guest ${what}, which this technique does not run.`);
	}

	/** One sentence for the user. */
	under(technique: string): string {
		const where = `0x${(this.eip >>> 0).toString(16).padStart(8, "0")}`;
		return `The guest ${this.what} at ${where}, which "${technique}" does not run; start it with "vmm": "none".`;
	}
}

/** @throws {GuestRefusal} always */
export function refuse(what: string, eip: number): never {
	throw new GuestRefusal(what, eip);
}

/** The accessed bit in a descriptor's second dword. */
const ACCESSED = 0x100;
/** G says only how a limit is written; A is set by every load. */
const HOW_WRITTEN = 0x8001;

/** The hidden part of one of the host's segment registers is what the shadow of the guest's descriptor loads. */
function isShadow(hidden: VirtualSegment, [low, high]: DescriptorWords): boolean {
	const shadow = shadowDescriptor([low, high | ACCESSED]);
	return (
		descriptorBase(shadow) === hidden.base &&
		descriptorLimit(shadow) === hidden.limit &&
		(accessOf(shadow) & ~HOW_WRITTEN) === (hidden.access & ~HOW_WRITTEN)
	);
}

/**
 * What the guest had loaded where its tables do not tell any more: a segment register keeps its hidden part when the table behind it
 * changes (SDM Vol. 3A §3.4.3).
 */
function asLoaded(segment: VirtualSegment): VirtualSegment {
	if (segment.limit === VMM_BASE - 1 && segment.base === 0) segment.limit = 0xffffffff;
	if ((segment.access & 0x10060) === 0x20) segment.access &= ~0x20;
	return segment;
}

export class GuestContext implements SegmentedMemory {
	constructor(
		readonly host: ProcessorState,
		readonly vcpu: VirtualCpu,
		readonly registers: GuestRegisters,
		readonly physical: GuestPhysicalMemory,
		readonly memory: GuestLinearMemory,
		readonly shadow: ShadowPageTables,
		readonly descriptors: ShadowDescriptorTables,
		/** Kernel code runs as it is: in it too the host's %gs and TF are the guest's. */
		readonly kernelRunsDirectly: boolean,
	) {}

	get user(): boolean {
		return this.vcpu.cpl === 3;
	}

	/** Code of a privilege level runs as it is on the host. */
	private runsDirectly(cpl: number): boolean {
		return cpl === 3 || this.kernelRunsDirectly;
	}

	/** The guest's EFLAGS: the host's image with the guest's IF, IOPL and, in translated code, TF. */
	get eflags(): number {
		const { vcpu, registers } = this;
		let flags = registers.eflags & ~0x3200;
		if (vcpu.interruptFlag) flags |= 0x200;
		if (!this.runsDirectly(vcpu.cpl)) flags = (flags & ~0x100) | (vcpu.trapFlag ? 0x100 : 0);
		return flags | (vcpu.iopl << 12) | 2;
	}

	/**
	 * Loads the guest's EFLAGS: `mask` says which of IF, IOPL and the others may change. The host's IF stays 1, its IOPL 0.
	 * TF goes into the host's image only for code that runs directly.
	 */
	loadEflags(value: number, mask: number, cpl: number): void {
		const { vcpu, registers } = this;
		if (mask & 0x200) vcpu.interruptFlag = (value & 0x200) !== 0;
		if (mask & 0x3000) vcpu.iopl = (value >> 12) & 3;
		const direct = this.runsDirectly(cpl);
		if (mask & 0x100) vcpu.trapFlag = !direct && (value & 0x100) !== 0;
		const hostMask = mask & ~0x3200;
		registers.eflags = (registers.eflags & ~hostMask) | (value & hostMask) | 0x202;
		if (!direct) registers.eflags &= ~0x100;
	}

	/** The guest's hidden part of a segment register; the limit is the guest's, not the truncated one. */
	segment(index: SegmentIndex): VirtualSegment {
		const { vcpu, host } = this;
		if (index === Segment.cs) return vcpu.cs;
		if (index === Segment.ss) return vcpu.ss;
		if (index === Segment.ldtr) return vcpu.ldtr;
		if (index === Segment.tr) return vcpu.tr;
		const segment =
			index === Segment.gs && !this.kernelRunsDirectly
				? { ...vcpu.gs }
				: {
						selector: host.selector(index),
						access: host.access(index),
						base: host.baseLow(index) >>> 0,
						limit: host.limit(index),
					};
		const { selector } = segment;
		const guest = (selector & ~3) === 0 ? undefined : this.descriptors.descriptor(selector);
		if (guest === undefined || !isShadow(segment, guest)) return asLoaded(segment);
		segment.limit = descriptorLimit(guest);
		segment.access = accessOf(guest);
		return segment;
	}

	/** A segment register of the host as the guest would see it, read without any effect. */
	quietSegment(index: SegmentIndex, host = this.host): VirtualSegment {
		return asLoaded({
			selector: host.selector(index),
			access: host.access(index),
			base: host.baseLow(index) >>> 0,
			limit: host.limit(index),
		});
	}

	/** @throws {GuestFault} #GP or #SS when the range is not inside the segment or the segment does not allow the access */
	linear(index: SegmentIndex, offset: number, size: number, write: boolean): number {
		const { access, base, limit } = this.segment(index);
		const vector = index === Segment.ss ? Vector.stackFault : Vector.generalProtection;
		const code = (access & 8) !== 0;
		const last = offset + size - 1;
		const unusable = (access & 0x10000) !== 0;
		const forbidden = write ? code || (access & 2) === 0 : code && (access & 2) === 0;
		const inside =
			!code && (access & 4) !== 0 ? offset > limit && last <= (access & 0x4000 ? 0xffffffff : 0xffff) : last <= limit;
		if (unusable || forbidden || !inside) throw new GuestFault(vector, 0);
		const linear = (base + offset) >>> 0;
		if (write) this.memory.probeWrite(linear, size, this.user);
		return linear;
	}

	/** EFLAGS as PUSHF stores them: VM and RF are clear (SDM Vol. 2B, PUSHF). */
	flagsImage(): number {
		return this.eflags & ~0x30000;
	}

	selector(index: SegmentIndex): number {
		return this.segment(index).selector;
	}

	read(linear: number, size: 1 | 2 | 4): number {
		const value = this.memory.read(linear, size, this.user);
		this.memory.watch?.(linear, size, false, value, value);
		return value;
	}

	write(linear: number, size: 1 | 2 | 4, value: number): void {
		this.memory.write(linear, size, value, this.user);
	}

	/** A dword of the guest's stack, `offset` bytes above ESP. @throws {GuestFault} */
	peekStack(offset: number, size: 2 | 4 = 4): number {
		const { vcpu, registers } = this;
		const big = (vcpu.ss.access & 0x4000) !== 0;
		const at = big ? (registers.esp + offset) >>> 0 : (registers.esp + offset) & 0xffff;
		return this.memory.read(this.linear(Segment.ss, at, size, false), size, this.user);
	}

	/** The descriptor of a selector for a load. @throws {GuestFault} `vector` with the selector when there is none */
	findDescriptor(selector: number, vector: number): DescriptorWords {
		const found = this.descriptors.descriptor(selector);
		if (found === undefined) throw new GuestFault(vector, selector & 0xfffc);
		return found;
	}

	/** Fills a virtual segment register from a descriptor and marks that accessed. */
	fillSegment(into: VirtualSegment, selector: number, descriptor: DescriptorWords): void {
		if ((descriptor[1] & (High.s | High.accessed)) === High.s) this.descriptors.setHighBits(selector, High.accessed);
		into.selector = selector;
		into.access = accessOf(descriptor) | 1;
		into.base = descriptorBase(descriptor);
		into.limit = descriptorLimit(descriptor);
	}

	/** Checks a stack segment for a privilege level (SDM Vol. 3A §5.7). @throws {GuestFault} `vector`, #SS */
	stackDescriptor(selector: number, cpl: number, vector: number): DescriptorWords {
		if ((selector & ~3) === 0) throw new GuestFault(vector, vector === Vector.invalidTss ? selector & 0xfffc : 0);
		const found = this.findDescriptor(selector, vector);
		const data = High.s | High.writable;
		const wrong = (found[1] & (High.s | High.code | High.writable)) !== data;
		if ((selector & 3) !== cpl || privilegeOf(found) !== cpl || wrong) throw new GuestFault(vector, selector & 0xfffc);
		if ((found[1] & High.present) === 0) throw new GuestFault(Vector.stackFault, selector & 0xfffc);
		return found;
	}

	/** Takes over CS after a change of code segment, refusing what the technique does not run. */
	setCodeSegment(selector: number, descriptor: DescriptorWords, cpl: 0 | 3): void {
		const { vcpu, registers } = this;
		this.fillSegment(vcpu.cs, (selector & ~3) | cpl, descriptor);
		if (cpl === 0 && (descriptor[1] & High.big) === 0) refuse("goes to a 16-bit code segment", registers.eip);
		if (cpl === 0 && vcpu.cs.base !== 0 && !this.kernelRunsDirectly)
			refuse("goes to a kernel code segment whose base is not 0", registers.eip);
		vcpu.cpl = cpl;
	}
}

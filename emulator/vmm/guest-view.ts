// The vCPU as a debugger sees it: a processor state made of the host's registers and what the VMM keeps for the guest, at a
// boundary between guest instructions. Nothing here changes the machine but the setters.

import { ArchitecturalProcessor } from "../cpu/processor.ts";
import { PhysicalMemory } from "../engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import { RegisterFile } from "../machine/register-file.ts";
import { MachineError, type RegisterValue } from "../machine/virtual-machine.ts";
import type { KernelPosition } from "./kernel-execution.ts";
import type { Monitor } from "./monitor.ts";

const ESP = 4;
const GENERAL = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
/** Short names of parts of the general registers, with the register that holds them. */
const PART = /^([abcd])([lhx])$|^(sp|bp|si|di)$/;

export class GuestView {
	private readonly processor: ArchitecturalProcessor;
	private readonly file: RegisterFile;

	monitor!: Monitor;

	constructor() {
		const physical = new PhysicalMemory(4096);
		this.processor = new ArchitecturalProcessor({
			physical,
			tlb: new TranslationLookasideBuffer(physical),
			ports: { read: () => 0, write: () => {} },
			timestamp: () => this.monitor?.host.now() ?? 0,
			retired: () => this.monitor?.host.engine.retired ?? 0,
			features: { vmx: false },
		});
		this.file = new RegisterFile(this.processor);
	}

	/** How the guest's state follows from the host's; undefined when the VMM or user code holds it as it is. */
	position(): KernelPosition | undefined {
		return this.monitor.kernelPosition();
	}

	/** Guest EIP at the boundary. */
	get eip(): number {
		const { monitor } = this;
		if (monitor.holdsGuestRegisters) return monitor.registers.eip >>> 0;
		return this.position()?.eip ?? monitor.control.state.eip;
	}

	/** Builds the guest's state in a processor of its own. */
	private build(): void {
		const { monitor } = this;
		const { vcpu, guest, registers } = monitor;
		const host = monitor.control.state;
		const { state } = this.processor.core;
		state.u8.set(host.u8.subarray(0, State.end), 0);
		let flags: number;
		if (monitor.holdsGuestRegisters) {
			state.setGpr32(ESP, registers.esp | 0);
			flags = guest.eflags;
		} else {
			const position = this.position();
			// RF too is the host's own.
			flags = (monitor.host.processor.core.flags.readEflags() & ~0x13200) | (vcpu.iopl << 12);
			if (vcpu.interruptFlag) flags |= 0x200;
			if (position?.trapFlag !== undefined) flags = (flags & ~0x100) | (position.trapFlag ? 0x100 : 0);
			for (const [register, value] of position?.registers ?? []) state.setGpr32(register, value | 0);
		}
		state.setRip(this.eip | 0, 0);
		this.processor.core.flags.writeEflags(flags, -1);
		const segment = (index: SegmentIndex, value: { selector: number; access: number; base: number; limit: number }) =>
			state.setSegment(index, value.selector, value.access, value.base | 0, 0, value.limit);
		const direct = guest.kernelRunsDirectly;
		const user = !monitor.holdsGuestRegisters && host.cpl === 3;
		for (const index of [Segment.es, Segment.ds, Segment.fs] as const) segment(index, guest.quietSegment(index));
		const { cs, ss } = !monitor.holdsGuestRegisters && host.cpl === 1 ? monitor.kernel.segments() : vcpu;
		segment(Segment.cs, cs);
		segment(Segment.ss, ss);
		if (user) {
			segment(Segment.cs, guest.quietSegment(Segment.cs, host));
			segment(Segment.ss, guest.quietSegment(Segment.ss, host));
			segment(Segment.gs, guest.quietSegment(Segment.gs, host));
		} else segment(Segment.gs, direct ? guest.quietSegment(Segment.gs) : vcpu.gs);
		segment(Segment.ldtr, vcpu.ldtr);
		segment(Segment.tr, vcpu.tr);
		state.cpl = vcpu.cpl;
		const set = (at: number, value: number) => {
			state.i64[at >> 3] = BigInt(value >>> 0);
		};
		set(State.cr0, vcpu.cr0);
		set(State.cr2, vcpu.cr2);
		set(State.cr3, vcpu.cr3);
		set(State.cr4, vcpu.cr4);
		set(State.efer, vcpu.efer);
		for (let index = 0; index < 8; index++) set(State.dr + index * 8, vcpu.dr[index]!);
		set(State.gdtrBase, vcpu.gdtr.base);
		set(State.idtrBase, vcpu.idtr.base);
		state.i32[State.gdtrLimit >> 2] = vcpu.gdtr.limit;
		state.i32[State.idtrLimit >> 2] = vcpu.idtr.limit;
		state.updateMode();
	}

	list(): RegisterValue[] {
		this.build();
		return this.file.list();
	}

	read(name: string): bigint | undefined {
		this.build();
		return this.file.read(name);
	}

	/** @throws {MachineError} when the register does not exist or cannot be changed */
	write(name: string, value: bigint): void {
		this.build();
		this.file.write(name, value);
		const { state } = this.processor.core;
		const { monitor } = this;
		const lower = name.toLowerCase();
		const host = monitor.control.state;
		if (lower === "eip" || lower === "rip" || lower === "ip") monitor.moveTo(Number(state.rip));
		else if (lower === "eflags" || lower === "rflags" || lower === "flags") monitor.setEflags(Number(value));
		else if (GENERAL.includes(lower) || PART.test(lower)) {
			monitor.takeGuestRegisters();
			for (let register = 0; register < 8; register++) monitor.registers.write32(register, state.gpr32(register));
		} else if (/^(xmm|st|mm|mxcsr|fcw|fsw)/.test(lower)) {
			host.u8.set(state.u8.subarray(State.xmm, State.xcr0 + 8), State.xmm);
		} else throw new MachineError(`Register ${name} cannot be changed while a VMM runs the guest.`);
	}
}

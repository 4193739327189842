// Kernel code as it is, at CPL 1: classic trap-and-emulate by ring deprivileging. Privileged instructions trap and are emulated;
// the others run on the host, whether they give the guest what ring 0 would have given or not.

import { Segment, State } from "../../isa/state.ts";
import { mnemonicOf } from "../callout-names.ts";
import { accessOf, Vector } from "../guest/guest-context.ts";
import { GuestFault } from "../guest/guest-fault.ts";
import type { HostFrame } from "../host-control.ts";
import { makeDescriptor } from "../host-control.ts";
import type { KernelExecution, KernelPosition } from "../kernel-execution.ts";
import { HostSelector } from "../layout.ts";
import type { Monitor } from "../monitor.ts";
import { descriptorBase, descriptorLimit, shadowDescriptor } from "../segments/shadow-descriptor.ts";
import type { InstructionBytes } from "../translate/instruction-bytes.ts";
import { classify } from "../translate/instruction-class.ts";
import type { VirtualSegment } from "../virtual-cpu.ts";

const TRAP_FLAG = 0x100;
/** B0 to B3 and BS of DR6 (SDM Vol. 3B §17.2.3). */
const DEBUG_CONDITIONS = 0x400f;
const DR6 = (State.dr + 6 * 8) >> 2;
const DR6_FIXED = 0xffff0ff0 | 0;
const STI = 0xfb;
const PUSHF = 0x9c;
/** Instructions that load TF themselves: POPF, IRET. */
const LOADS_FLAGS = [0x9d, 0xcf];
/** How the translator classes what may trap at CPL 1. */
const TRAPPING = new Set(["callout", "callout-end", "cli", "sti", "pushf", "popf"]);

/** One instruction that runs under the VMM's TF, because an interrupt has to wait for its end. */
interface ShadowStep {
	readonly opcode: number;
	/** The guest's own TF. */
	readonly trapFlag: boolean;
}

export class DirectExecution implements KernelExecution {
	/** Instructions that trapped and were emulated, by mnemonic. */
	readonly traps = new Map<string, number>();
	private step: ShadowStep | undefined;
	/** Retired instructions when the VMM left for an instruction that holds interrupts off until it has retired; else -1. */
	private shadowedAt = -1;

	constructor(private readonly monitor: Monitor) {}

	entered(frame: HostFrame): void {
		const { monitor } = this;
		const { control, interrupts, host } = monitor;
		this.takeSegments(frame);
		const { vector } = frame;
		const { step } = this;
		this.endStep(vector === Vector.debug);
		if (monitor.takeInterrupt(vector)) {
			interrupts.notice();
			monitor.resume(host.engine.retired === this.shadowedAt);
			return;
		}
		if (vector === Vector.debug) {
			const conditions = control.state.i32[DR6]! & DEBUG_CONDITIONS;
			control.state.i32[DR6] = DR6_FIXED;
			if (step !== undefined && !step.trapFlag) {
				monitor.resume();
				return;
			}
			const { dr } = monitor.vcpu;
			dr[6] = (dr[6]! & ~DEBUG_CONDITIONS) | conditions;
		}
		monitor.traps.handle(frame);
	}

	/** Takes the VMM's TF out of the guest's state. @param retired the instruction under it has retired */
	private endStep(retired: boolean): void {
		const { step } = this;
		if (step === undefined) return;
		this.step = undefined;
		const { registers, memory } = this.monitor;
		if (retired && LOADS_FLAGS.includes(step.opcode)) return;
		if (step.trapFlag) return;
		registers.eflags &= ~TRAP_FLAG;
		if (!retired || step.opcode !== PUSHF) return;
		const at = (this.monitor.vcpu.ss.base + registers.esp) >>> 0;
		memory.write(at, 2, memory.read(at, 2, false) & ~TRAP_FLAG, false);
	}

	/** CS and SS as kernel code has loaded them without the VMM. */
	private takeSegments({ cs, ss }: Pick<HostFrame, "cs" | "ss">): void {
		const { vcpu, guest, descriptors } = this.monitor;
		for (const [segment, selector, cached] of [
			[vcpu.cs, cs, HostSelector.cachedCode],
			[vcpu.ss, ss, HostSelector.cachedStack],
		] as const) {
			// Where the table's descriptor is no longer what was loaded the host has the cached one; without a lasting shadow no
			// load passes the VMM by.
			if (selector === cached || !descriptors.isTraced(selector)) continue;
			const descriptor = descriptors.descriptor(selector);
			if (descriptor !== undefined) guest.fillSegment(segment, selector & ~3, descriptor);
		}
	}

	/** The host's selector for a segment of the kernel: the guest's, or that of a cached descriptor. */
	private hostSelector(segment: VirtualSegment, cached: number): number {
		const { descriptors, control } = this.monitor;
		const { selector } = segment;
		if (!descriptors.isTraced(selector)) descriptors.refresh(selector);
		if ((selector & ~3) !== 0 && descriptors.isShadowed(selector)) {
			const wanted = shadowDescriptor(makeDescriptor(segment.base, segment.limit, segment.access | 1));
			const found = descriptors.shadowOf(selector);
			// G says only how a limit is written.
			const same =
				descriptorBase(found) === descriptorBase(wanted) &&
				descriptorLimit(found) === descriptorLimit(wanted) &&
				(accessOf(found) & ~0x8000) === (accessOf(wanted) & ~0x8000);
			if (same) return (selector & ~3) | 1;
		}
		control.cacheDescriptor(cached, segment);
		return cached;
	}

	private leave(eip: number, eflags: number, esp: number): void {
		const { vcpu, control, descriptors } = this.monitor;
		if (eip > vcpu.cs.limit) throw new GuestFault(Vector.generalProtection, 0);
		const cs = this.hostSelector(vcpu.cs, HostSelector.cachedCode);
		const ss = this.hostSelector(vcpu.ss, HostSelector.cachedStack);
		control.leave(eip, cs, eflags, esp, ss);
		descriptors.drop(vcpu.cs.selector);
		descriptors.drop(vcpu.ss.selector);
	}

	returnTo(frame: HostFrame): void {
		this.takeSegments(frame);
		this.leave(frame.eip, frame.eflags, frame.esp);
	}

	run(shadow: boolean): void {
		const { registers, vcpu, interrupts, descriptors, code, host } = this.monitor;
		descriptors.userCodeIsHidden = true;
		// TF goes on into the kernel by SYSENTER (SDM Vol. 2B).
		if (vcpu.trapFlag) registers.eflags |= TRAP_FLAG;
		vcpu.trapFlag = false;
		this.shadowedAt = shadow ? host.engine.retired : -1;
		let flags = registers.eflags | 0x202;
		if (shadow && interrupts.requested) {
			const { opcode } = code.instructionAt(registers.eip).instruction;
			this.step = { opcode, trapFlag: (flags & TRAP_FLAG) !== 0 };
			flags |= TRAP_FLAG;
		}
		this.leave(registers.eip, flags, registers.esp);
	}

	emulatePrivileged(instruction: InstructionBytes, next: number): boolean {
		const { opcode, reg } = instruction;
		const { monitor } = this;
		const near = opcode === 0xff && reg !== 3 && reg !== 5;
		if (near || !TRAPPING.has(classify(instruction))) return false;
		const linear = (monitor.registers.eip + monitor.vcpu.cs.base) >>> 0;
		const name = this.count(instruction, linear);
		const text = () => `Trap of the ${name} at 0x${linear.toString(16).padStart(8, "0")}`;
		const perform = () => this.perform(instruction, next);
		if (!monitor.work.stopsAt("callout", text, { address: linear }, perform)) perform();
		return true;
	}

	/** Accesses to device memory, or beyond a truncated segment; writes to traced pages are counted apart. */
	emulated(eip: number, instruction: InstructionBytes, traced: boolean): void {
		if (!traced) this.count(instruction, (eip + this.monitor.vcpu.cs.base) >>> 0);
	}

	private count(instruction: InstructionBytes, linear: number): string {
		const name = mnemonicOf(instruction.bytes);
		this.traps.set(name, (this.traps.get(name) ?? 0) + 1);
		this.monitor.observer.record("callout", name, linear);
		return name;
	}

	private perform(instruction: InstructionBytes, next: number): void {
		const { monitor } = this;
		const { vcpu, privileged, emulator, traps } = monitor;
		const disabled = !vcpu.interruptFlag;
		if (!privileged.execute(instruction, next) && !emulator.execute(instruction, next))
			traps.refuseInstruction(instruction);
		const { opcode, reg } = instruction;
		const stack = opcode === 0x17 || (opcode === 0x8e && reg === Segment.ss);
		monitor.resume(stack || (opcode === STI && disabled));
	}

	/** The host loads SS on its way back. */
	stackSegmentLoaded(): void {}

	position(address: number): KernelPosition {
		return { eip: address, boundary: true, glue: false, registers: [], trapFlag: this.step?.trapFlag };
	}

	takeRegisters(): void {
		const { state } = this.monitor.control;
		this.takeSegments({ cs: state.selector(Segment.cs), ss: state.selector(Segment.ss) });
		this.endStep(false);
	}

	segments(): { readonly cs: VirtualSegment; readonly ss: VirtualSegment } {
		const { guest, vcpu } = this.monitor;
		const seen = (index: 1 | 2, virtual: VirtualSegment, cached: number): VirtualSegment => {
			const segment = guest.quietSegment(index);
			return segment.selector === cached ? virtual : { ...segment, selector: segment.selector & ~3 };
		};
		return {
			cs: seen(Segment.cs, vcpu.cs, HostSelector.cachedCode),
			ss: seen(Segment.ss, vcpu.ss, HostSelector.cachedStack),
		};
	}

	leavesKernel(): void {}
}

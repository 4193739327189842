// How the hypervisor calls guest code: exceptions, events and system calls become frames on the guest kernel's stack
// (arch-x86/xen-x86_64.h and xen-x86_32.h describe them; xen/arch/x86/x86_64/entry.S, create_bounce_frame).

import { Eflags } from "../../isa/register-bits.ts";
import { Segment } from "../../isa/state.ts";
import type { Callback, Domain, GuestFrame } from "./domain.ts";
import type { HostControl } from "./host-control.ts";
import type { GuestMemory } from "./memory/guest-memory.ts";
import type { MachineMemory } from "./memory/machine-memory.ts";
import { GuestSelector } from "./xen-abi.ts";

const RCX = 1;
const R11 = 11;
const CLEARED = Eflags.TF | Eflags.VM | Eflags.RF | Eflags.NT | Eflags.AC;
/** Offsets in struct vcpu_info (xen.h). */
export const VcpuInfo = { pending: 0, mask: 1, cr2Wide: 16, cr2Compat: 8 + 0, time: 32 } as const;

export class GuestEntry {
	constructor(
		private readonly control: HostControl,
		private readonly machine: MachineMemory,
		private readonly memory: GuestMemory,
	) {}

	// struct vcpu_info of a domain.

	private infoByte(domain: Domain, offset: number): number {
		const { infoFrame, infoOffset } = domain.vcpu;
		return this.machine.bytes(infoFrame, infoOffset + offset, 1)[0]!;
	}

	private setInfoByte(domain: Domain, offset: number, value: number): void {
		const { infoFrame, infoOffset } = domain.vcpu;
		this.machine.store(infoFrame, infoOffset + offset, new Uint8Array([value]));
	}

	eventsMasked(domain: Domain): boolean {
		return this.infoByte(domain, VcpuInfo.mask) !== 0;
	}

	maskEvents(domain: Domain, masked: boolean): void {
		this.setInfoByte(domain, VcpuInfo.mask, masked ? 1 : 0);
	}

	eventPending(domain: Domain): boolean {
		return this.infoByte(domain, VcpuInfo.pending) !== 0;
	}

	/** The address of a page fault, where the guest's handler looks for it: arch_vcpu_info.cr2. */
	setFaultAddress(domain: Domain, address: bigint): void {
		const bytes = new Uint8Array(domain.longBytes);
		const view = new DataView(bytes.buffer);
		if (domain.wide) view.setBigUint64(0, address, true);
		else view.setUint32(0, Number(BigInt.asUintN(32, address)), true);
		const { infoFrame, infoOffset } = domain.vcpu;
		this.machine.store(infoFrame, infoOffset + (domain.wide ? VcpuInfo.cr2Wide : VcpuInfo.cr2Compat), bytes);
	}

	faultAddress(domain: Domain): bigint {
		const { infoFrame, infoOffset } = domain.vcpu;
		const offset = infoOffset + (domain.wide ? VcpuInfo.cr2Wide : VcpuInfo.cr2Compat);
		const bytes = this.machine.bytes(infoFrame, offset, domain.longBytes);
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		return domain.wide ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
	}

	/** Changes a 64-bit guest between kernel and user mode: the other root, the other GS base. */
	switchMode(domain: Domain, kernel: boolean): void {
		const { vcpu } = domain;
		if (vcpu.inKernel === kernel) return;
		vcpu.inKernel = kernel;
		const { state } = this.control;
		const base = state.base(Segment.gs);
		state.setSegmentBase(Segment.gs, vcpu.otherGsBase);
		vcpu.otherGsBase = base;
		this.control.loadDomainRoot(domain);
	}

	/**
	 * Makes `frame` that of the guest's handler, with the interrupted one on the kernel's stack.
	 * @param selectors DS, ES, FS and GS go on the stack too: what a failsafe callback looks at
	 * @returns false when the stack cannot be written
	 */
	call(domain: Domain, frame: GuestFrame, to: Callback, errorCode?: number, selectors = false): boolean {
		const done = domain.wide
			? this.call64(domain, frame, to, errorCode, selectors)
			: this.call32(domain, frame, to, errorCode, selectors);
		if (done && to.masksEvents) this.maskEvents(domain, true);
		return done;
	}

	private selectors(): number[] {
		const { state } = this.control;
		return [Segment.ds, Segment.es, Segment.fs, Segment.gs].map((segment) => state.selector(segment));
	}

	/** Flags as the guest sees them: IF is the virtual one. */
	guestFlags(domain: Domain, rflags: number): number {
		const own = rflags & ~(Eflags.IF | Eflags.IOPL);
		return own | (this.eventsMasked(domain) ? 0 : Eflags.IF);
	}

	private call64(
		domain: Domain,
		frame: GuestFrame,
		to: Callback,
		errorCode: number | undefined,
		more: boolean,
	): boolean {
		const { vcpu } = domain;
		const { state } = this.control;
		const selectors = more ? this.selectors() : [];
		const fromKernel = vcpu.inKernel;
		const masked = this.eventsMasked(domain) ? 1n : 0n;
		if (!fromKernel) this.switchMode(domain, true);
		const cs = BigInt(fromKernel ? frame.cs & 0xfffc : frame.cs) | (masked << 32n);
		const words = [
			state.gpr64(RCX),
			state.gpr64(R11),
			...selectors.map(BigInt),
			...(errorCode === undefined ? [] : [BigInt(errorCode)]),
			frame.rip,
			cs,
			BigInt(this.guestFlags(domain, frame.rflags) >>> 0),
			frame.rsp,
			BigInt(frame.ss),
		];
		const top = BigInt.asUintN(64, (fromKernel ? frame.rsp : vcpu.kernelSp) & ~15n);
		const stack = BigInt.asUintN(64, top - BigInt(words.length * 8));
		if (!this.memory.writeWords(stack, 8, ...words)) return false;
		frame.rip = to.address;
		frame.cs = GuestSelector.ring3Code64;
		frame.ss = GuestSelector.ring3Data;
		frame.rsp = stack;
		frame.rflags &= ~CLEARED;
		return true;
	}

	private call32(
		domain: Domain,
		frame: GuestFrame,
		to: Callback,
		errorCode: number | undefined,
		more: boolean,
	): boolean {
		const { vcpu } = domain;
		const fromKernel = domain.kernelMode(frame.cs);
		const masked = this.eventsMasked(domain) ? 0x10000 : 0;
		const words = [
			...(more ? this.selectors() : []),
			...(errorCode === undefined ? [] : [errorCode]),
			frame.rip,
			frame.cs | masked,
			this.guestFlags(domain, frame.rflags) >>> 0,
			...(fromKernel ? [] : [frame.rsp, frame.ss]),
		];
		const top = fromKernel ? frame.rsp : vcpu.kernelSp;
		const stack = BigInt.asUintN(32, top - BigInt(words.length * 4));
		if (!this.memory.writeWords(stack, 4, ...words)) return false;
		frame.rip = to.address;
		frame.cs = to.selector;
		if (!fromKernel) frame.ss = vcpu.kernelSs;
		frame.rsp = stack;
		frame.rflags &= ~CLEARED;
		return true;
	}

	/** What may go into the host's registers as a guest's frame: rings 0 are not a guest's, interrupts stay on, no IOPL. */
	sanitize(domain: Domain, frame: GuestFrame): void {
		const least = domain.wide ? 3 : 1;
		if ((frame.cs & 3) < least) frame.cs |= least;
		if ((frame.ss & 3) < least) frame.ss |= least;
		frame.rflags = (frame.rflags & ~(Eflags.IOPL | Eflags.VM | Eflags.NT | Eflags.VIF | Eflags.VIP)) | Eflags.IF | 2;
	}
}

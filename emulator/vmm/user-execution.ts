// User code runs directly at CPL 3, under every technique that deprivileges the guest.

import { refuse, Vector } from "./guest/guest-context.ts";
import { GuestFault } from "./guest/guest-fault.ts";
import type { HostFrame } from "./host-control.ts";
import { FIRST_VMM_DESCRIPTOR, HostSelector, VMM_BASE } from "./layout.ts";
import type { Monitor } from "./monitor.ts";

const TRAP_FLAG = 0x100;

export class UserExecution {
	/** The host's %gs is the VMM's. */
	private gsIsVmm = false;

	constructor(private readonly monitor: Monitor) {}

	/** Makes the host's %gs the VMM's, for translated code. */
	takeGs(): void {
		if (this.gsIsVmm) return;
		this.monitor.control.loadVmmGs();
		this.gsIsVmm = true;
	}

	/** What user code may have changed without the VMM: CS, SS and GS. */
	takeSegments({ cs, ss }: Pick<HostFrame, "cs" | "ss">): void {
		const { vcpu, guest, descriptors, control } = this.monitor;
		const { state } = control;
		for (const [segment, selector] of [
			[vcpu.cs, cs],
			[vcpu.ss, ss],
		] as const) {
			if (segment.selector === selector || (selector & 0xfff8) >= FIRST_VMM_DESCRIPTOR) continue;
			const descriptor = descriptors.descriptor(selector);
			if (descriptor !== undefined) guest.fillSegment(segment, selector, descriptor);
		}
		const gs = state.selector(5);
		if (this.gsIsVmm || (gs & 0xfff8) === (HostSelector.cachedGs & 0xfff8)) return;
		vcpu.gs.selector = gs;
		vcpu.gs.access = state.access(5);
		vcpu.gs.base = state.baseLow(5) >>> 0;
		vcpu.gs.limit = state.limit(5);
	}

	/** Runs user code at registers.eip. */
	run(): void {
		const { registers, vcpu, control, descriptors, code, traps } = this.monitor;
		if (registers.eip > vcpu.cs.limit) throw new GuestFault(Vector.generalProtection, 0);
		if ((vcpu.cs.base + registers.eip) % 0x100000000 >= VMM_BASE) {
			// The truncated segment would say #GP; the guest sees what its tables say.
			code.fetch((vcpu.cs.base + registers.eip) >>> 0);
			refuse("runs user code in the top 4 MB of linear space", registers.eip);
		}
		descriptors.userCodeIsHidden = false;
		this.refreshSegments();
		for (const [segment, what] of [
			[vcpu.cs, "code"],
			[vcpu.ss, "stack"],
		] as const) {
			if (!descriptors.isShadowed(segment.selector) && !traps.shadowDescriptorMissing(segment.selector))
				refuse(`runs user code whose ${what} segment is not in its tables`, registers.eip);
		}
		if (this.gsIsVmm) {
			control.loadGuestGs(vcpu.gs, descriptors.isShadowed(vcpu.gs.selector));
			this.gsIsVmm = false;
		}
		this.monitor.kernel.leavesKernel();
		// TF goes on into user code where the way there loads no flags: SYSEXIT (SDM Vol. 2B).
		if (vcpu.trapFlag) registers.eflags |= TRAP_FLAG;
		vcpu.trapFlag = false;
		control.leave(registers.eip, vcpu.cs.selector, registers.eflags | 0x202, registers.esp, vcpu.ss.selector);
		this.dropSegments();
	}

	/** Back to where user code was interrupted, with nothing changed. */
	returnTo(frame: HostFrame): void {
		this.refreshSegments();
		this.monitor.control.leave(frame.eip, frame.cs, frame.eflags, frame.esp, frame.ss);
		this.dropSegments();
	}

	/** Where a table has no lasting shadows, the host's return finds those of CS and SS, and nobody else later. */
	private refreshSegments(): void {
		const { vcpu, descriptors } = this.monitor;
		for (const { selector } of [vcpu.cs, vcpu.ss]) if (!descriptors.isTraced(selector)) descriptors.refresh(selector);
	}

	private dropSegments(): void {
		const { vcpu, descriptors } = this.monitor;
		for (const { selector } of [vcpu.cs, vcpu.ss]) descriptors.drop(selector);
	}
}

// What VMX adds to the processor's saved state, and the controls of the current VMCS as the processor keeps them while the guest runs.

import { PAUSE_YIELDS, State } from "../../isa/state.ts";
import type { ProcessorState } from "../processor-state.ts";
import { Pin, Primary, Secondary } from "./controls.ts";
import type { VmcsMemory } from "./vmcs.ts";
import { Vmcs } from "./vmcs-fields.ts";

/** Byte offsets in the state. i64 unless the comment says otherwise; pointers are all ones when there is none. */
export const VmxWord = {
	/** i32: VmxMode. */
	mode: 0x740,
	/** See State. */
	interruptsUnmasked: State.interruptsUnmasked,
	vmxonPointer: 0x748,
	currentVmcs: 0x750,
	/** Virtual time at which the preemption timer expires; all ones when it is not active. */
	preemptionDeadline: 0x758,
	/** Added to the time stamp of the guest. */
	timestampOffset: 0x760,
	/** See State. */
	windows: State.windows,
	/** i32: MonitorTrap. */
	monitorTrap: 0x76c,
	/** i32: nonzero when an IRET that is executing has ended blocking by NMI. */
	unblockedByIret: 0x770,
	/** i32: activity state wait-for-SIPI. */
	waitForSipi: 0x774,
	/** i32: a VM exit that comes as soon as the current instruction has completed: reason << 16, qualification; 0 = none. */
	trapExit: 0x778,
	/** i32: nonzero while a virtual interrupt is pending. */
	virtualInterrupt: 0x77c,
} as const;

export const VmxMode = { off: 0, root: 1, nonRoot: 2 } as const;
/** The monitor trap flag: not set; set, and an exit is due after the next instruction; an exit is due now. */
export const MonitorTrap = { off: 0, armed: 1, pending: 2 } as const;
export const NO_POINTER = -1n;

/** The control fields that instructions ask for while the guest runs. */
export class GuestControls {
	readonly pin: number;
	readonly primary: number;
	/** 0 while the secondary controls are not activated. */
	readonly secondary: number;
	readonly exit: number;
	readonly exceptionBitmap: number;
	readonly pageFaultMask: number;
	readonly pageFaultMatch: number;
	readonly cr0Mask: number;
	readonly cr0Shadow: number;
	readonly cr4Mask: number;
	readonly cr4Shadow: number;
	readonly cr3Targets: readonly bigint[];
	/** Host-physical addresses. */
	readonly ioBitmaps: readonly [number, number];
	readonly msrBitmap: number;
	readonly virtualApicPage: number;
	readonly tprThreshold: number;
	/** Number of the host-physical frame; -1 without "virtualize APIC accesses". */
	readonly apicAccessFrame: number;
	/** Host-physical address and vector; vector -1 without "process posted interrupts". */
	readonly postedDescriptor: number;
	readonly postedVector: number;

	constructor(vmcs: VmcsMemory) {
		this.pin = vmcs.read32(Vmcs.pinControls);
		this.primary = vmcs.read32(Vmcs.primaryControls);
		this.secondary = this.primary & Primary.activateSecondaryControls ? vmcs.read32(Vmcs.secondaryControls) : 0;
		this.exit = vmcs.read32(Vmcs.exitControls);
		this.exceptionBitmap = vmcs.read32(Vmcs.exceptionBitmap);
		this.pageFaultMask = vmcs.read32(Vmcs.pageFaultErrorCodeMask);
		this.pageFaultMatch = vmcs.read32(Vmcs.pageFaultErrorCodeMatch);
		this.cr0Mask = vmcs.read32(Vmcs.cr0Mask);
		this.cr0Shadow = vmcs.read32(Vmcs.cr0ReadShadow);
		this.cr4Mask = vmcs.read32(Vmcs.cr4Mask);
		this.cr4Shadow = vmcs.read32(Vmcs.cr4ReadShadow);
		const targets = [Vmcs.cr3Target0, Vmcs.cr3Target1, Vmcs.cr3Target2, Vmcs.cr3Target3];
		this.cr3Targets = targets.slice(0, vmcs.read32(Vmcs.cr3TargetCount)).map((offset) => vmcs.read(offset));
		this.ioBitmaps = [Number(vmcs.read(Vmcs.ioBitmapA)), Number(vmcs.read(Vmcs.ioBitmapB))];
		this.msrBitmap = Number(vmcs.read(Vmcs.msrBitmap));
		this.virtualApicPage = Number(vmcs.read(Vmcs.virtualApicAddress));
		this.tprThreshold = vmcs.read32(Vmcs.tprThreshold) & 15;
		this.apicAccessFrame =
			this.secondary & Secondary.virtualizeApicAccesses ? Number(vmcs.read(Vmcs.apicAccessAddress) >> 12n) : -1;
		this.postedDescriptor = Number(vmcs.read(Vmcs.postedInterruptDescriptor));
		this.postedVector = this.pin & Pin.processPostedInterrupts ? vmcs.read32(Vmcs.postedInterruptVector) & 0xff : -1;
	}
}

/** Sets the bits of State.pauseTrap that are VMX's. */
export function trapPause({ i32 }: ProcessorState, bits: number): void {
	i32[State.pauseTrap >> 2] = (i32[State.pauseTrap >> 2]! & PAUSE_YIELDS) | bits;
}

/** Clears the words: the processor is outside VMX operation. */
export function resetVmxWords(state: ProcessorState): void {
	state.i64.fill(0n, VmxWord.mode >> 3, 0x780 >> 3);
	trapPause(state, 0);
	for (const at of [VmxWord.vmxonPointer, VmxWord.currentVmcs, VmxWord.preemptionDeadline])
		state.i64[at >> 3] = NO_POINTER;
}

// VMX operation: modes, VM entry and VM exit (SDM Vol. 3C Chapters 24, 27 and 28).

import { Outcome } from "../../engine/helper.ts";
import { Eflags } from "../../isa/register-bits.ts";
import type { ProcessorCore } from "../core.ts";
import type { EventSource, InterruptDelivery } from "../interrupt-delivery.ts";
import type { ModelSpecificRegisters } from "../model-specific-registers.ts";
import { PHYSICAL_ADDRESS_BITS } from "../paging.ts";
import { Activity, Internal } from "../processor-state.ts";
import { EntryControl, ExitControl, Pin, PREEMPTION_TIMER_SHIFT, Primary, Secondary } from "./controls.ts";
import { EntryChecks } from "./entry-checks.ts";
import { EntryContext } from "./entry-rule.ts";
import { ENTRY_FAILURE, ExitReasonNumber } from "./exit-reasons.ts";
import { type EptOptions, ExtendedPageTables } from "./extended-page-tables.ts";
import { EntryFailure } from "./guest-checks.ts";
import { GuestPhysicalCache } from "./guest-physical-cache.ts";
import { loadGuestState, saveGuestState, usesPdptes } from "./guest-state.ts";
import { loadHostState } from "./host-state.ts";
import {
	ERROR_CODE_VALID,
	InterruptionType,
	interruptionInformation,
	sourceOfType,
	VALID,
} from "./interruption-information.ts";
import { loadMsrs, storeMsrs } from "./msr-lists.ts";
import { VirtualApic } from "./virtual-apic.ts";
import { VmExit } from "./vm-exit.ts";
import { LaunchState, VmcsMemory } from "./vmcs.ts";
import { Vmcs, VmcsRegion } from "./vmcs-fields.ts";
import type { EntryFailureReport, VmxObserver } from "./vmx-observer.ts";
import { GuestControls, MonitorTrap, NO_POINTER, resetVmxWords, trapPause, VmxMode, VmxWord } from "./vmx-state.ts";

/** VM-instruction error numbers (SDM Vol. 3C §31.4). */
export const InstructionError = {
	vmcallInRoot: 1,
	vmclearAddress: 2,
	vmclearVmxonPointer: 3,
	vmlaunchNotClear: 4,
	vmresumeNotLaunched: 5,
	vmresumeAfterVmxoff: 6,
	controls: 7,
	hostState: 8,
	vmptrldAddress: 9,
	vmptrldVmxonPointer: 10,
	vmptrldRevision: 11,
	unsupportedField: 12,
	vmxonInRoot: 15,
	movSsBlocking: 26,
	inveptOperand: 28,
} as const;

/** VMX-abort indicators (§28.7). */
const VmxAbort = { storingGuestMsrs: 1, hostPdptes: 2, loadingHostMsrs: 4 } as const;

/** The event that is being delivered, for the IDT-vectoring information. */
export interface DeliveredEvent {
	readonly vector: number;
	readonly source: EventSource;
	readonly errorCode: number | undefined;
	/** Bytes of the instruction, for software interrupts and exceptions. */
	readonly instructionLength: number;
}

export class VmxUnit {
	/** What the guest's controls ask for; defined in VMX non-root operation. */
	controls: GuestControls | undefined;
	/** The check that the last entry failed, for a debugger. */
	entryFailure: EntryFailureReport | undefined;
	private readonly checks: EntryChecks;
	/** Who is told of entries and exits, in this order. */
	readonly observers: VmxObserver[] = [];
	/** An entry or exit has loaded registers from the VMCS: the run loop has to look at what is due, and at the debug registers. */
	onModeSwitch: () => void = () => {};

	readonly virtualApic = new VirtualApic(this);
	private readonly guestPhysical = new GuestPhysicalCache();

	constructor(
		readonly core: ProcessorCore,
		private readonly msrs: ModelSpecificRegisters,
		private readonly delivery: InterruptDelivery,
		/** Virtual time: what the preemption timer counts by. */
		private readonly now: () => number,
		/** Bits that CR4 may have. */
		readonly cr4Allowed: number,
	) {
		core.memory.apicAccess = this.virtualApic;
		this.checks = new EntryChecks(cr4Allowed, PHYSICAL_ADDRESS_BITS);
	}

	get mode(): number {
		return this.core.state.i32[VmxWord.mode >> 2]!;
	}

	get inOperation(): boolean {
		return this.mode !== VmxMode.off;
	}

	get nonRoot(): boolean {
		return this.controls !== undefined;
	}

	/** The current VMCS; undefined when there is none. */
	get vmcs(): VmcsMemory | undefined {
		const pointer = this.core.state.i64[VmxWord.currentVmcs >> 3]!;
		return pointer === NO_POINTER ? undefined : new VmcsMemory(this.core.state.physical, Number(pointer));
	}

	setCurrentVmcs(pointer: bigint): void {
		this.core.state.i64[VmxWord.currentVmcs >> 3] = pointer;
	}

	get vmxonPointer(): bigint {
		return this.core.state.i64[VmxWord.vmxonPointer >> 3]!;
	}

	enterOperation(vmxonPointer: bigint): void {
		const { state } = this.core;
		state.i64[VmxWord.vmxonPointer >> 3] = vmxonPointer;
		this.setCurrentVmcs(NO_POINTER);
		state.i32[VmxWord.mode >> 2] = VmxMode.root;
		for (const observer of this.observers) observer.operationChanged?.();
	}

	leaveOperation(): void {
		resetVmxWords(this.core.state);
		for (const observer of this.observers) observer.operationChanged?.();
	}

	reset(): void {
		this.leaveOperation();
		this.controls = undefined;
		this.core.paging.ept = undefined;
		this.core.memory.apicAccessFrame = -1;
	}

	/** To be called after the state bytes were replaced as a whole. */
	restored(): void {
		const vmcs = this.mode === VmxMode.nonRoot ? this.vmcs : undefined;
		this.controls = vmcs && new GuestControls(vmcs);
		this.core.memory.apicAccessFrame = this.controls?.apicAccessFrame ?? -1;
		this.selectEpt(vmcs);
	}

	private selectEpt(vmcs: VmcsMemory | undefined): void {
		const { paging, state } = this.core;
		paging.ept =
			vmcs && this.controls && this.controls.secondary & Secondary.enableEpt
				? new ExtendedPageTables(state.physical, vmcs.read(Vmcs.eptPointer), this.eptOptions(vmcs, this.controls))
				: undefined;
	}

	private eptOptions(vmcs: VmcsMemory, controls: GuestControls): EptOptions {
		this.guestPhysical.clear();
		return {
			modeBasedExecute: (controls.secondary & Secondary.modeBasedExecute) !== 0,
			...(controls.secondary & Secondary.enablePml ? { log: (frame: number) => this.logPage(vmcs, frame) } : {}),
			apicAccessFrame: controls.apicAccessFrame,
			cache: this.guestPhysical,
		};
	}

	/** Page-modification logging (§29.3.6): before a dirty flag is set. @throws {VmExit} when the log is full. */
	private logPage(vmcs: VmcsMemory, frame: number): void {
		const index = vmcs.read32(Vmcs.pmlIndex) & 0xffff;
		if (index > 511) throw new VmExit(ExitReasonNumber.pageModificationLogFull);
		const { physical } = this.core.state;
		const at = Number(vmcs.read(Vmcs.pmlAddress)) + index * 8;
		physical.write(at, 4, (frame << 12) >>> 0);
		physical.write(at + 4, 4, frame >>> 20);
		vmcs.write32(Vmcs.pmlIndex, (index - 1) & 0xffff);
	}

	/** EPTP switching by VMFUNC: the pointer has been checked. */
	switchEptPointer(pointer: bigint, index: number): void {
		const { vmcs } = this;
		vmcs!.write(Vmcs.eptPointer, pointer);
		vmcs!.write32(Vmcs.eptpIndex, index);
		this.selectEpt(vmcs);
		this.core.paging.flush();
	}

	/**
	 * VMLAUNCH and VMRESUME, with what the instruction itself checks done (§27.1): checks, loads the guest and injects.
	 * @returns the error of VMfailValid, or the outcome once State.rip is the guest's first instruction or the host's after a failed entry.
	 */
	enter(launch: boolean): { readonly error: number } | Outcome {
		const { core } = this;
		const vmcs = this.vmcs!;
		const broken = this.checks.firstBroken(vmcs, core.state.longMode);
		if (broken?.area === "guest state") {
			const { rule } = broken;
			return this.failEntry(ExitReasonNumber.invalidGuestState, rule.qualification ?? 0n, rule);
		}
		if (broken) {
			const error = broken.area === "controls" ? InstructionError.controls : InstructionError.hostState;
			this.reportFailure(vmcs, broken.rule, error);
			return { error };
		}
		const context = new EntryContext(vmcs, this.cr4Allowed, PHYSICAL_ADDRESS_BITS, core.state.longMode);
		if (!this.isLinkPointer(vmcs, context)) {
			const report = {
				field: "vmcsLinkPointer",
				rule: "must be all ones or point to a VMCS of this processor",
			} as const;
			return this.failEntry(ExitReasonNumber.invalidGuestState, EntryFailure.linkPointer, report);
		}
		const controls = new GuestControls(vmcs);
		if (!this.loadPdptes(vmcs, controls)) {
			const report = { field: "guestCr3", rule: "must lead to PDPTEs without reserved bits" } as const;
			return this.failEntry(ExitReasonNumber.invalidGuestState, EntryFailure.pdptes, report);
		}
		this.entryFailure = undefined;
		loadGuestState(core, vmcs, controls);
		const count = vmcs.read32(Vmcs.entryMsrLoadCount);
		const failed = loadMsrs(this.msrs, core.state.physical, Number(vmcs.read(Vmcs.entryMsrLoadAddress)), count);
		if (failed !== 0) {
			const report = { field: "entryMsrLoadAddress", rule: `has an entry (${failed}) that cannot be loaded` } as const;
			return this.failEntry(ExitReasonNumber.msrLoading, BigInt(failed), report);
		}
		if (launch) vmcs.setWord(VmcsRegion.launchState, LaunchState.launched);
		// The host's TF traps nothing in the guest.
		this.delivery.enteredHandler = true;
		this.beginGuest(vmcs, controls);
		this.inject(vmcs);
		for (const observer of this.observers) observer.entered?.(vmcs, launch);
		return Outcome.exit;
	}

	private reportFailure(vmcs: VmcsMemory, { field, rule }: EntryFailureReport, error: number | undefined): void {
		this.entryFailure = { field, rule };
		for (const observer of this.observers) observer.entryFailed?.(vmcs, this.entryFailure, error);
	}

	private isLinkPointer(vmcs: VmcsMemory, context: EntryContext): boolean {
		const pointer = vmcs.read(Vmcs.vmcsLinkPointer);
		if (pointer === 0xffff_ffff_ffff_ffffn) return true;
		if (!context.isAddress("vmcsLinkPointer", 4096)) return false;
		const revision = new VmcsMemory(this.core.state.physical, Number(pointer)).word(VmcsRegion.revision);
		const shadow = context.secondary & Secondary.vmcsShadowing ? 0x80000000 : 0;
		return revision === (this.revision | shadow) >>> 0 && pointer !== this.core.state.i64[VmxWord.currentVmcs >> 3];
	}

	/** The revision identifier of this processor's VMCS regions. */
	get revision(): number {
		return Number(this.msrs.read(0x480)! & 0x7fffffffn);
	}

	/** PDPTEs in memory, when there is no EPT; with EPT they are fields (§27.3.1.6). */
	private loadPdptes(vmcs: VmcsMemory, controls: GuestControls): boolean {
		const longMode = (vmcs.read32(Vmcs.entryControls) & EntryControl.ia32eModeGuest) !== 0;
		if (!usesPdptes(vmcs.read32(Vmcs.guestCr0), vmcs.read32(Vmcs.guestCr4), longMode)) return true;
		const { paging } = this.core;
		if (!(controls.secondary & Secondary.enableEpt)) return paging.loadPdptes(vmcs.read32(Vmcs.guestCr3));
		return [Vmcs.guestPdpte0, Vmcs.guestPdpte1, Vmcs.guestPdpte2, Vmcs.guestPdpte3].every((field) =>
			paging.isPdpte(vmcs.read(field)),
		);
	}

	private beginGuest(vmcs: VmcsMemory, controls: GuestControls): void {
		const { state, paging } = this.core;
		this.controls = controls;
		state.i32[VmxWord.mode >> 2] = VmxMode.nonRoot;
		this.selectEpt(vmcs);
		if (controls.primary & Primary.useTscOffsetting) {
			const offset = BigInt.asIntN(64, vmcs.read(Vmcs.tscOffset));
			state.i64[VmxWord.timestampOffset >> 3] = offset;
			state.i64[Internal.timestampOffset >> 3]! += offset;
		}
		if (controls.pin & Pin.preemptionTimer) {
			const ticks = vmcs.read32(Vmcs.preemptionTimer) >>> 0;
			const unit = 2 ** PREEMPTION_TIMER_SHIFT;
			const deadline = (Math.floor(this.now() / unit) + ticks) * unit;
			state.i64[VmxWord.preemptionDeadline >> 3] = BigInt(ticks === 0 ? Math.floor(this.now()) : deadline);
		}
		this.maskInterrupts();
		this.core.memory.apicAccessFrame = controls.apicAccessFrame;
		this.virtualApic.begin();
		this.updateWindows();
		trapPause(state, controls.primary & Primary.pauseExiting);
		state.i32[VmxWord.monitorTrap >> 2] =
			controls.primary & Primary.monitorTrapFlag ? MonitorTrap.armed : MonitorTrap.off;
		paging.flush();
		this.onModeSwitch();
	}

	/** The run loop looks on whenever EFLAGS.IF or blocking by NMI changes. */
	updateWindows(): void {
		const { i32 } = this.core.state;
		const windows = Primary.interruptWindowExiting | Primary.nmiWindowExiting;
		const asked = this.controls !== undefined && (this.controls.primary & windows) !== 0;
		i32[VmxWord.windows >> 2] = asked || i32[VmxWord.virtualInterrupt >> 2] !== 0 ? 1 : 0;
	}

	/** External-interrupt exiting takes the say from EFLAGS.IF. */
	private maskInterrupts(): void {
		const { state } = this.core;
		const unmasked = this.controls !== undefined && (this.controls.pin & Pin.externalInterruptExiting) !== 0;
		state.i32[VmxWord.interruptsUnmasked >> 2] = unmasked ? 1 : 0;
		state.updateInterruptsEnabled();
	}

	/** Event injection (§27.6.1). */
	private inject(vmcs: VmcsMemory): void {
		const information = vmcs.read32(Vmcs.entryInterruptionInformation);
		if (!(information & VALID)) return;
		const { state } = this.core;
		const type = (information >>> 8) & 7;
		if (type === InterruptionType.other) {
			state.i32[VmxWord.monitorTrap >> 2] = MonitorTrap.pending;
			return;
		}
		const source = sourceOfType(type)!;
		const errorCode = information & ERROR_CODE_VALID ? vmcs.read32(Vmcs.entryExceptionErrorCode) : undefined;
		// A pending debug exception is lost but behind MOV SS with a software event (§27.7.3).
		const software = type >= InterruptionType.softwareInterrupt;
		const behindMovSs = this.core.retired() < state.internal(Internal.debugShadowBoundary);
		if (!(software && behindMovSs)) state.i32[Internal.pendingDebug >> 2] = 0;
		const length = software ? vmcs.read32(Vmcs.entryInstructionLength) : 0;
		// An exit that is due by the monitor trap flag comes at once after the delivery (§26.5.2).
		if (state.i32[VmxWord.monitorTrap >> 2] === MonitorTrap.armed)
			state.i32[VmxWord.monitorTrap >> 2] = MonitorTrap.pending;
		this.delivery.inject(information & 0xff, source, errorCode, length);
	}

	/** A VM entry that failed after it was begun: host state is loaded, the guest's is not saved (§27.8). */
	private failEntry(reason: number, qualification: bigint, report: EntryFailureReport): Outcome {
		const vmcs = this.vmcs!;
		this.reportFailure(vmcs, report, undefined);
		for (const observer of this.observers) observer.leaving?.(vmcs);
		vmcs.write32(Vmcs.exitReason, reason | ENTRY_FAILURE);
		vmcs.write(Vmcs.exitQualification, qualification);
		this.returnToHost(vmcs);
		return Outcome.exit;
	}

	/**
	 * A VM exit. State.rip is where the guest is to go on.
	 * @param delivering the event during whose delivery it happened.
	 * @returns false after a VMX abort: the processor shuts down.
	 */
	exit(exit: VmExit, delivering: DeliveredEvent | undefined): boolean {
		const vmcs = this.vmcs!;
		const controls = this.controls!;
		for (const observer of this.observers) observer.leaving?.(vmcs);
		this.leaveGuestTime(vmcs, controls);
		this.storeInformation(vmcs, exit, delivering);
		saveGuestState(this.core, vmcs, controls, exit.information.resumeFlag);
		const count = vmcs.read32(Vmcs.exitMsrStoreCount);
		if (!storeMsrs(this.msrs, this.core.state.physical, Number(vmcs.read(Vmcs.exitMsrStoreAddress)), count))
			return this.abort(vmcs, VmxAbort.storingGuestMsrs);
		const { state } = this.core;
		const isNmi =
			exit.reason === ExitReasonNumber.exceptionOrNmi &&
			((exit.information.interruption?.information ?? 0) & 0x7ff) === ((InterruptionType.nmi << 8) | 2);
		if (isNmi) state.i32[Internal.nmiBlocked >> 2] = 1;
		else if (controls.pin & Pin.virtualNmis) state.i32[Internal.nmiBlocked >> 2] = 0;
		return this.returnToHost(vmcs);
	}

	private leaveGuestTime(vmcs: VmcsMemory, controls: GuestControls): void {
		const { state } = this.core;
		if (controls.pin & Pin.preemptionTimer && controls.exit & ExitControl.savePreemptionTimer) {
			const deadline = Number(state.i64[VmxWord.preemptionDeadline >> 3]!);
			const unit = 2 ** PREEMPTION_TIMER_SHIFT;
			const left = Math.floor(deadline / unit) - Math.floor(this.now() / unit);
			vmcs.write32(Vmcs.preemptionTimer, Math.max(0, left));
		}
		state.i64[Internal.timestampOffset >> 3]! -= state.i64[VmxWord.timestampOffset >> 3]!;
		state.i64[VmxWord.timestampOffset >> 3] = 0n;
	}

	/** §28.2 */
	private storeInformation(vmcs: VmcsMemory, exit: VmExit, delivering: DeliveredEvent | undefined): void {
		const { information } = exit;
		vmcs.write32(Vmcs.exitReason, exit.reason);
		vmcs.write(Vmcs.exitQualification, exit.qualification);
		vmcs.write(Vmcs.guestLinearAddress, information.guestLinearAddress ?? 0n);
		vmcs.write(Vmcs.guestPhysicalAddress, information.guestPhysicalAddress ?? 0n);
		vmcs.write32(Vmcs.exitInterruptionInformation, information.interruption?.information ?? 0);
		vmcs.write32(Vmcs.exitInterruptionErrorCode, information.interruption?.errorCode ?? 0);
		vmcs.write32(Vmcs.exitInstructionInformation, information.instructionInformation ?? 0);
		// In real-address mode no error code is delivered (§28.2.4).
		const errorCode = this.core.state.protectedMode ? delivering?.errorCode : undefined;
		vmcs.write32(
			Vmcs.idtVectoringInformation,
			delivering ? interruptionInformation(delivering.vector, delivering.source, errorCode !== undefined) : 0,
		);
		vmcs.write32(Vmcs.idtVectoringErrorCode, errorCode ?? 0);
		vmcs.write32(Vmcs.exitInstructionLength, information.instructionLength || delivering?.instructionLength || 0);
		vmcs.write32(Vmcs.entryInterruptionInformation, vmcs.read32(Vmcs.entryInterruptionInformation) & ~VALID);
	}

	private returnToHost(vmcs: VmcsMemory): boolean {
		const { core } = this;
		const { state } = core;
		this.controls = undefined;
		core.paging.ept = undefined;
		state.i32[VmxWord.mode >> 2] = VmxMode.root;
		state.i64[VmxWord.preemptionDeadline >> 3] = NO_POINTER;
		state.i32[VmxWord.trapExit >> 2] = 0;
		state.i32[VmxWord.virtualInterrupt >> 2] = 0;
		state.i32[VmxWord.windows >> 2] = 0;
		trapPause(state, 0);
		core.memory.apicAccessFrame = -1;
		state.i32[VmxWord.monitorTrap >> 2] = MonitorTrap.off;
		state.i32[VmxWord.interruptsUnmasked >> 2] = 0;
		if (!loadHostState(core, vmcs)) return this.abort(vmcs, VmxAbort.hostPdptes);
		core.paging.flush();
		const count = vmcs.read32(Vmcs.exitMsrLoadCount);
		if (loadMsrs(this.msrs, state.physical, Number(vmcs.read(Vmcs.exitMsrLoadAddress)), count) !== 0)
			return this.abort(vmcs, VmxAbort.loadingHostMsrs);
		for (const observer of this.observers) observer.left?.(vmcs);
		this.onModeSwitch();
		return true;
	}

	/** §28.7 */
	private abort(vmcs: VmcsMemory, indicator: number): boolean {
		vmcs.setWord(VmcsRegion.abort, indicator);
		this.core.state.i32[Internal.activity >> 2] = Activity.shutdown;
		this.delivery.onShutdown();
		return false;
	}

	/** The instruction fails (§31.2): VMfailValid with a current VMCS, else VMfailInvalid. */
	fail(error: number): void {
		const { vmcs } = this;
		if (vmcs) vmcs.write32(Vmcs.instructionError, error);
		this.core.writeEflags(vmcs ? Eflags.ZF : Eflags.CF, Eflags.arithmetic);
	}

	failInvalid(): void {
		this.core.writeEflags(Eflags.CF, Eflags.arithmetic);
	}

	succeed(): void {
		this.core.writeEflags(0, Eflags.arithmetic);
	}
}

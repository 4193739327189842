// VM exits that exceptions, interrupts and the moments between instructions cause (SDM Vol. 3C §26.2).

import { type Fault, Vector } from "../../engine/fault.ts";
import { Eflags } from "../../isa/register-bits.ts";
import { DebugException, isFault, PageFault } from "../exceptions.ts";
import type { EventSource } from "../interrupt-delivery.ts";
import { Activity, Internal } from "../processor-state.ts";
import { ExitControl, Pin, Primary, Secondary } from "./controls.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import { ERROR_CODE_VALID, interruptionInformation, NMI_UNBLOCKING } from "./interruption-information.ts";
import { ApicAccessType } from "./virtual-apic.ts";
import { VmExit } from "./vm-exit.ts";
import { MonitorTrap, VmxWord } from "./vmx-state.ts";
import type { DeliveredEvent, VmxUnit } from "./vmx-unit.ts";

/** DR6 bits of an exit qualification (Table 28-1): B0 to B3, BD, BS. */
const DEBUG_QUALIFICATION = 0xf | (1 << 13) | (1 << 14);

/** Reasons of exits that accesses to memory cause. */
const MEMORY_REASONS: readonly number[] = [
	ExitReasonNumber.apicAccess,
	ExitReasonNumber.eptViolation,
	ExitReasonNumber.eptMisconfiguration,
	ExitReasonNumber.pageModificationLogFull,
];

export class EventExits {
	constructor(
		private readonly unit: VmxUnit,
		/** Writes EOI to the local APIC. */
		private readonly endOfInterrupt: () => void,
	) {}

	/**
	 * Called before an event is delivered to the guest.
	 * @param delivering the event during whose delivery this one was raised.
	 * @returns undefined when it is to be delivered; else whether the processor goes on (false: shutdown).
	 */
	intercept(
		fault: Fault,
		source: EventSource,
		delivering: DeliveredEvent | undefined,
		instructionLength: number,
	): boolean | undefined {
		const { unit } = this;
		if (fault instanceof VmExit) return unit.exit(this.complete(fault, delivering), delivering);
		const { controls } = unit;
		if (!controls || source === "external" || source === "nmi" || source === "software") return undefined;
		const { vector, errorCode } = fault;
		let wanted = ((controls.exceptionBitmap >>> vector) & 1) !== 0;
		if (vector === Vector.pageFault) {
			const matches = ((errorCode ?? 0) & controls.pageFaultMask) === controls.pageFaultMatch;
			wanted = wanted === matches;
		}
		if (!wanted) return undefined;
		let qualification = 0n;
		if (fault instanceof PageFault)
			qualification = (BigInt(fault.addressHigh >>> 0) << 32n) | BigInt(fault.addressLow >>> 0);
		else if (fault instanceof DebugException) qualification = BigInt(fault.bits & DEBUG_QUALIFICATION);
		const unblocked = this.takeUnblocking() && vector !== Vector.doubleFault ? NMI_UNBLOCKING : 0;
		// In real-address mode an exception has no error code (§28.2.2).
		const carries = errorCode !== undefined && unit.core.state.protectedMode;
		const information = interruptionInformation(vector, source, carries) | unblocked;
		return unit.exit(
			new VmExit(ExitReasonNumber.exceptionOrNmi, qualification, {
				interruption: { information, errorCode: carries ? errorCode : 0 },
				// Of a software event under way, also when a fault of its delivery exits (§28.2.5).
				instructionLength: delivering ? delivering.instructionLength : instructionLength,
				resumeFlag: source === "exception" && isFault(vector),
			}),
			delivering,
		);
	}

	/** A third fault in a row (§26.2). */
	tripleFault(): boolean {
		return this.unit.exit(new VmExit(ExitReasonNumber.tripleFault), undefined);
	}

	/**
	 * What those that throw an exit of a memory access do not know: an IRET that has ended blocking by NMI (Table 28-7, bit 12), that an
	 * event is being delivered, the length of the instruction.
	 */
	private complete(exit: VmExit, delivering: DeliveredEvent | undefined): VmExit {
		const unblocked = this.takeUnblocking();
		if (!MEMORY_REASONS.includes(exit.reason)) return exit;
		let { qualification } = exit;
		if (exit.reason === ExitReasonNumber.apicAccess) {
			const type = Number(qualification) & ApicAccessType.physical;
			if (delivering && type !== ApicAccessType.physical)
				qualification = (qualification & 0xfffn) | BigInt(ApicAccessType.eventDelivery);
		} else if (unblocked && exit.reason !== ExitReasonNumber.eptMisconfiguration)
			qualification |= BigInt(NMI_UNBLOCKING);
		const length = delivering ? {} : { instructionLength: this.core.instructionLength() };
		return new VmExit(exit.reason, qualification, { ...length, ...exit.information });
	}

	private takeUnblocking(): boolean {
		const { i32 } = this.unit.core.state;
		const unblocked = i32[VmxWord.unblockedByIret >> 2] !== 0;
		i32[VmxWord.unblockedByIret >> 2] = 0;
		return unblocked;
	}

	private get inShadow(): boolean {
		const { core } = this.unit;
		return core.retired() < core.state.internal(Internal.shadowBoundary);
	}

	/** Whether an external interrupt would be taken now. */
	canTakeInterrupt(): boolean {
		const { controls, core } = this.unit;
		if (core.state.i32[VmxWord.waitForSipi >> 2]) return false;
		if (controls && controls.pin & Pin.externalInterruptExiting) return !this.inShadow;
		return (
			(core.state.flagsRest & Eflags.IF) !== 0 &&
			!this.inShadow &&
			core.state.i32[Internal.activity >> 2] !== Activity.shutdown
		);
	}

	/** Whether an NMI would be taken now. */
	canTakeNmi(): boolean {
		const { controls, core } = this.unit;
		if (core.state.i32[VmxWord.waitForSipi >> 2]) return false;
		// Virtual NMIs have the blocking to themselves (§25.6.1).
		if (controls && controls.pin & Pin.virtualNmis) return !this.inShadow;
		return core.state.i32[Internal.nmiBlocked >> 2] === 0 && !this.inShadow;
	}

	/** An external interrupt is pending and can be taken. @returns undefined when it goes to the guest. */
	externalInterrupt(acknowledge: () => number): boolean | undefined {
		const { controls } = this.unit;
		if (!controls || !(controls.pin & Pin.externalInterruptExiting)) return undefined;
		if (!(controls.exit & ExitControl.acknowledgeInterruptOnExit))
			return this.unit.exit(new VmExit(ExitReasonNumber.externalInterrupt), undefined);
		const vector = acknowledge();
		if (vector === controls.postedVector) {
			this.endOfInterrupt();
			this.unit.virtualApic.processPosted();
			return true;
		}
		const information = interruptionInformation(vector, "external", false);
		const interruption = { information, errorCode: 0 };
		return this.unit.exit(new VmExit(ExitReasonNumber.externalInterrupt, 0n, { interruption }), undefined);
	}

	/** An NMI can be taken. @returns undefined when it goes to the guest. */
	nmi(): boolean | undefined {
		const { controls } = this.unit;
		if (!controls || !(controls.pin & Pin.nmiExiting)) return undefined;
		const information = interruptionInformation(Vector.nmi, "nmi", false) & ~ERROR_CODE_VALID;
		const interruption = { information, errorCode: 0 };
		return this.unit.exit(new VmExit(ExitReasonNumber.exceptionOrNmi, 0n, { interruption }), undefined);
	}

	/** The monitor trap flag is due: before debug traps (§26.5.2). @returns undefined when it is not; else whether the processor goes on. */
	monitorTrap(): boolean | undefined {
		const { state } = this.core;
		if (!this.controls || state.i32[VmxWord.monitorTrap >> 2] !== MonitorTrap.pending) return undefined;
		return this.leave(ExitReasonNumber.monitorTrapFlag);
	}

	/**
	 * What is due between two instructions after debug traps and before NMIs, in the order of priority: TPR threshold, preemption
	 * timer, NMI window (§26.2, §26.5.1, §27.7). @returns undefined when nothing is; else whether the processor goes on.
	 */
	beforeNmi(now: number): boolean | undefined {
		const { controls } = this;
		if (!controls) return undefined;
		if (this.isBelowThresholdAtEntry) return this.leave(ExitReasonNumber.tprBelowThreshold);
		if (now >= this.deadline) return this.leave(ExitReasonNumber.preemptionTimer);
		if (!(controls.primary & Primary.nmiWindowExiting) || this.core.state.i32[VmxWord.waitForSipi >> 2])
			return undefined;
		if (this.core.state.i32[Internal.nmiBlocked >> 2] !== 0 || this.inShadow) return undefined;
		return this.leave(ExitReasonNumber.nmiWindow);
	}

	/** Interrupt-window exiting, which comes between NMIs and external interrupts (§26.2). */
	interruptWindow(): boolean | undefined {
		const { controls } = this;
		if (!controls || !(controls.primary & Primary.interruptWindowExiting)) return undefined;
		const { state } = this.core;
		const asleep = state.i32[Internal.activity >> 2] === Activity.shutdown || state.i32[VmxWord.waitForSipi >> 2] !== 0;
		if (asleep || !(state.flagsRest & Eflags.IF) || this.inShadow) return undefined;
		return this.leave(ExitReasonNumber.interruptWindow);
	}

	private leave(reason: number): boolean {
		return this.unit.exit(new VmExit(reason), undefined);
	}

	private get controls() {
		return this.unit.controls;
	}

	private get core() {
		return this.unit.core;
	}

	/** Virtual time at which the preemption timer has to be looked at; infinite when it is not active. */
	get deadline(): number {
		const deadline = this.core.state.i64[VmxWord.preemptionDeadline >> 3]!;
		return deadline === -1n ? Number.POSITIVE_INFINITY : Number(deadline);
	}

	/** The monitor trap flag is set, so that an exit is due after the next instruction: the guest has to be run by single ones. */
	get isTrapArmed(): boolean {
		return this.controls !== undefined && this.core.state.i32[VmxWord.monitorTrap >> 2] === MonitorTrap.armed;
	}

	/** The exit of the monitor trap flag is due now. */
	get isTrapDue(): boolean {
		return this.controls !== undefined && this.core.state.i32[VmxWord.monitorTrap >> 2] === MonitorTrap.pending;
	}

	/** An event was delivered in place of an instruction: the monitor trap is due before the first one of its handler. */
	delivered(): void {
		if (!this.isTrapArmed) return;
		this.trapAfterInstruction();
		this.unit.onModeSwitch();
	}

	/** An instruction has been executed: the armed monitor trap is due. */
	trapAfterInstruction(): void {
		if (this.isTrapArmed) this.core.state.i32[VmxWord.monitorTrap >> 2] = MonitorTrap.pending;
	}

	/** §27.7.7: only where entry does not check it. What instructions write leaves a trap-like exit. */
	private get isBelowThresholdAtEntry(): boolean {
		const { primary, secondary } = this.controls!;
		const { virtualApic } = this.unit;
		if (!(primary & Primary.useTprShadow) || !(secondary & Secondary.virtualizeApicAccesses)) return false;
		return !(secondary & Secondary.virtualInterruptDelivery) && virtualApic.isBelowThreshold;
	}
}

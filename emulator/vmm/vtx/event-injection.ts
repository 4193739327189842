// What the VMM gives the guest at the next entry: exceptions, the event whose delivery an exit interrupted, NMIs and interrupts
// (SDM Vol. 3C §25.8.3, §27.6, §28.2.4).

import { combine } from "../../cpu/exceptions.ts";
import { pushesErrorCode } from "../../cpu/vmx/control-checks.ts";
import { Primary } from "../../cpu/vmx/controls.ts";
import { GuestActivity, Interruptibility } from "../../cpu/vmx/guest-checks.ts";
import {
	ERROR_CODE_VALID,
	InterruptionType,
	NMI_UNBLOCKING,
	sourceOfType,
	VALID,
} from "../../cpu/vmx/interruption-information.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { Fault, Vector } from "../../engine/fault.ts";
import { Cr0, Eflags } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import type { GuestException } from "./guest-mmu.ts";
import type { HostControl } from "./host-control.ts";
import type { DeliveringEvent } from "./instruction-emulator.ts";

const BLOCKS_INTERRUPTS = Interruptibility.sti | Interruptibility.movSs;

export type EventInjectionState = Pick<EventInjection, "requested" | "nmiPending" | "redelivers" | "delivered">;

export class EventInjection {
	private readonly vmcs: VmcsMemory;
	/** The guest's interrupt controller asserts INTR. */
	requested = false;
	nmiPending = false;
	/** External events wait: the debugger steps. */
	hold = false;
	/** The event that the next entry injects was told already: its delivery begins anew. */
	redelivers = false;
	/** Interrupts and NMIs given to the guest. */
	delivered = 0;

	/** @param acknowledge the acknowledge cycle of the guest's interrupt controller. */
	constructor(
		private readonly control: HostControl,
		private readonly acknowledge: () => number,
	) {
		this.vmcs = control.vmcs;
	}

	reset(): void {
		this.requested = this.nmiPending = this.redelivers = false;
	}

	/** What is not in the VMCS, for restore(). */
	save(): EventInjectionState {
		const { requested, nmiPending, redelivers, delivered } = this;
		return { requested, nmiPending, redelivers, delivered };
	}

	restore(state: EventInjectionState): void {
		Object.assign(this, state);
	}

	/** The event that the hardware was delivering as the exit came. */
	get delivering(): DeliveringEvent | undefined {
		const { vmcs } = this;
		const information = vmcs.read32(Vmcs.idtVectoringInformation);
		const source = sourceOfType((information >>> 8) & 7);
		if (!(information & VALID) || source === undefined) return undefined;
		return {
			vector: information & 0xff,
			source,
			errorCode: information & ERROR_CODE_VALID ? vmcs.read32(Vmcs.idtVectoringErrorCode) : undefined,
			instructionLength: isSoftware(information) ? vmcs.read32(Vmcs.exitInstructionLength) : 0,
		};
	}

	/** The delivery that the exit interrupted begins anew at the next entry. */
	deliverAgain(): void {
		const { vmcs } = this;
		const information = vmcs.read32(Vmcs.idtVectoringInformation);
		if (!(information & VALID)) return;
		this.redelivers = true;
		this.write(information & ~NMI_UNBLOCKING, vmcs.read32(Vmcs.idtVectoringErrorCode));
		vmcs.write32(Vmcs.entryInstructionLength, isSoftware(information) ? vmcs.read32(Vmcs.exitInstructionLength) : 0);
		if (((information >>> 8) & 7) === InterruptionType.nmi) this.block(Interruptibility.nmi, false);
	}

	/** @returns false when it makes a triple fault of the event that was being delivered. */
	injectException(exception: GuestException): boolean {
		const { vmcs, delivering } = this;
		const { vector, errorCode, address } = exception;
		let fault: Fault | undefined = new Fault(vector, errorCode);
		if (delivering) fault = combine(delivering.vector, delivering.source === "exception", fault);
		if (!fault) return false;
		if (vector === Vector.pageFault && address !== undefined && fault.vector === vector)
			this.control.state.i64[State.cr2 >> 3] = BigInt.asIntN(64, address);
		const inProtectedMode = (vmcs.read32(Vmcs.guestCr0) & Cr0.PE) !== 0;
		const carries = pushesErrorCode(fault.vector) && inProtectedMode;
		const type = InterruptionType.hardwareException << 8;
		this.write(VALID | (carries ? ERROR_CODE_VALID : 0) | type | fault.vector, fault.errorCode ?? 0);
		return true;
	}

	private write(information: number, errorCode: number): void {
		const { vmcs } = this;
		vmcs.write32(Vmcs.entryInterruptionInformation, information);
		vmcs.write32(Vmcs.entryExceptionErrorCode, information & ERROR_CODE_VALID ? errorCode : 0);
		vmcs.write32(Vmcs.guestActivity, GuestActivity.active);
	}

	private block(bits: number, blocked: boolean): void {
		const { vmcs } = this;
		const now = vmcs.read32(Vmcs.guestInterruptibility);
		vmcs.write32(Vmcs.guestInterruptibility, blocked ? now | bits : now & ~bits);
	}

	/** Nothing that is pending or can come ends a HLT with interrupts off. */
	get sleepsForGood(): boolean {
		const { vmcs } = this;
		const off = (vmcs.read32(Vmcs.guestRflags) & Eflags.IF) === 0;
		return vmcs.read32(Vmcs.guestActivity) === GuestActivity.hlt && off && !this.nmiPending;
	}

	/** Before an entry: gives what can be given now, and asks for an exit when what waits can be given. */
	prepare(): void {
		const { vmcs } = this;
		let primary = vmcs.read32(Vmcs.primaryControls) & ~(Primary.interruptWindowExiting | Primary.nmiWindowExiting);
		if ((this.requested || this.nmiPending) && !this.hold) {
			const blocking = vmcs.read32(Vmcs.guestInterruptibility);
			const busy = vmcs.read32(Vmcs.entryInterruptionInformation) < 0;
			const shadow = (blocking & BLOCKS_INTERRUPTS) !== 0;
			if (this.nmiPending && !busy && !shadow && !(blocking & Interruptibility.nmi)) {
				this.nmiPending = false;
				this.delivered++;
				this.write(VALID | (InterruptionType.nmi << 8) | Vector.nmi, 0);
			} else if (this.requested && !busy && !shadow && vmcs.read32(Vmcs.guestRflags) & Eflags.IF) {
				this.delivered++;
				this.write(VALID | (InterruptionType.external << 8) | (this.acknowledge() & 0xff), 0);
			}
			if (this.requested) primary |= Primary.interruptWindowExiting;
			if (this.nmiPending) primary |= Primary.nmiWindowExiting;
		}
		vmcs.write32(Vmcs.primaryControls, primary);
	}
}

function isSoftware(information: number): boolean {
	return ((information >>> 8) & 7) >= InterruptionType.softwareInterrupt;
}

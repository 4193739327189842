// Exceptions and interrupts of the vCPU: told to the observer, delivered through the guest's own IDT.

import { exceptionMnemonic } from "../machine/exception-names.ts";
import type { ControlTransfer } from "./guest/control-transfer.ts";
import { type GuestContext, Vector } from "./guest/guest-context.ts";
import type { GuestFault } from "./guest/guest-fault.ts";
import type { MonitorObserver, MonitorStatistics } from "./monitor-observer.ts";
import type { WorkLoop } from "./work-loop.ts";

export class EventDelivery {
	constructor(
		private readonly guest: GuestContext,
		private readonly transfer: ControlTransfer,
		private readonly work: WorkLoop,
		private readonly observer: MonitorObserver,
		private readonly statistics: MonitorStatistics,
		private readonly acknowledgeInterrupt: () => number,
		private readonly resume: () => void,
	) {}

	private where(): string {
		return `at 0x${this.guest.registers.eip.toString(16).padStart(8, "0")}`;
	}

	/** Raises an exception in the vCPU and goes on with its handler. */
	raise(fault: GuestFault): void {
		const { vector, errorCode } = fault;
		const eip = this.guest.registers.eip >>> 0;
		const deliver = () => this.deliverFault(fault);
		if (vector === Vector.pageFault) {
			this.statistics.trueFaults++;
			const address = fault.address >>> 0;
			this.observer.record("true-fault", this.guest.user ? "user" : "kernel", eip, [
				{ name: "address", value: BigInt(address) },
				{ name: "error code", value: errorCode ?? 0 },
			]);
			const text = () => `True page fault on 0x${address.toString(16).padStart(8, "0")} ${this.where()}`;
			if (this.work.stopsAt("true-page-fault", text, { vector, errorCode, address }, deliver)) return;
		} else {
			const detail = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
			this.observer.record("exception", exceptionMnemonic(vector), eip, detail);
			const text = () => `Exception ${vector} ${this.where()}`;
			if (this.work.stopsAt("exception", text, { vector, errorCode }, deliver)) return;
		}
		deliver();
	}

	private deliverFault(fault: GuestFault): void {
		if (fault.vector === Vector.pageFault) this.guest.vcpu.cr2 = fault.address >>> 0;
		this.deliver(fault.vector, fault.errorCode, false);
	}

	private deliver(vector: number, errorCode: number | undefined, external: boolean): void {
		if (!this.transfer.deliver({ vector, errorCode, external })) {
			this.work.suspend(undefined);
			this.observer.tripleFault();
			return;
		}
		this.guest.vcpu.halted = false;
		this.work.next(this.resume);
	}

	/** INT n, INT3, INTO, INT1, whose return address is `next`. @throws {GuestFault} of the instruction, EIP as before */
	softwareInterrupt(vector: number, next: number): void {
		const { registers } = this.guest;
		const { eip } = registers;
		registers.eip = next;
		try {
			this.transfer.enterSoftware(vector);
		} catch (fault) {
			registers.eip = eip;
			throw fault;
		}
	}

	/** Takes the interrupt that the guest's controller asks for. */
	deliverInterrupt(): void {
		const { eip } = this.guest.registers;
		const vector = this.acknowledgeInterrupt();
		this.statistics.interruptsDelivered++;
		this.observer.record("interrupt", `vector ${vector}`, eip >>> 0);
		const text = () => `Interrupt ${vector} ${this.where()}`;
		const work = () => this.deliver(vector, undefined, true);
		if (!this.work.stopsAt("interrupt", text, { vector }, work)) work();
	}
}

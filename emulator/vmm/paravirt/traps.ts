// Exceptions and software interrupts of guest code: work for the VMM, or the guest's own, which its trap table says where to take.

import { Vector } from "../../engine/fault.ts";
import { State } from "../../isa/state.ts";
import { exceptionMnemonic } from "../../machine/exception-names.ts";
import type { Domain } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { PageType } from "./memory/frame-table.ts";
import { PrivilegedInstructions } from "./privileged-instructions.ts";
import { HYPERCALL_VECTOR, PER_DOMAIN_HIGH, PerDomainArea, SYSTEM_CALL_VECTOR } from "./vmm-layout.ts";
import { GuestSelector } from "./xen-abi.ts";

/** Bits of the page-fault error code (SDM Vol. 3A Figure 4-12), and the bit of others that says "in the IDT". */
const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const RESERVED = 8;
const IDT = 2;
const SINGLE_STEP = 1 << 14;
/** Vectors that push an error code. */
const WITH_ERROR_CODE = 0x27d00;

export class Traps {
	readonly instructions: PrivilegedInstructions;

	constructor(private readonly hypervisor: Hypervisor) {
		this.instructions = new PrivilegedInstructions(hypervisor);
	}

	/** Whether the debug exception just taken is a single step; DR6 forgets it then. */
	takeSingleStep(): boolean {
		const { i32 } = this.hypervisor.control.state;
		const at = (State.dr + 6 * 8) >> 2;
		if ((i32[at]! & SINGLE_STEP) === 0) return false;
		i32[at]! &= ~SINGLE_STEP;
		return true;
	}

	handle(domain: Domain, vector: number, errorCode: number): void {
		const { hypervisor } = this;
		switch (vector) {
			case HYPERCALL_VECTOR:
				if (!domain.wide && domain.kernelMode(hypervisor.frame.cs)) hypervisor.hypercall(domain);
				else this.softwareInterrupt(domain, vector);
				return;
			case SYSTEM_CALL_VECTOR:
				this.softwareInterrupt(domain, vector);
				return;
			case Vector.pageFault:
				this.hostPageFault(domain, errorCode);
				return;
			case Vector.generalProtection:
				this.generalProtection(domain, errorCode);
				return;
			case Vector.invalidOpcode:
				if (this.instructions.forced(domain)) this.resume();
				else this.raise(domain, vector, undefined);
				return;
			case Vector.deviceNotAvailable:
				// The guest's handler finds CR0.TS clear (xen/arch/x86/traps.c, do_device_not_available).
				domain.vcpu.taskSwitched = false;
				hypervisor.control.setTaskSwitched(false);
				this.raise(domain, vector, undefined);
				return;
			case Vector.debug:
				domain.vcpu.debugRegisters[6] = BigInt.asUintN(32, hypervisor.control.state.i64[(State.dr + 6 * 8) >> 3]!);
				this.raise(domain, vector, undefined);
				return;
			case Vector.doubleFault:
				throw new Error(`Double fault of the host at 0x${hypervisor.frame.rip.toString(16)}.`);
			default:
				this.raise(domain, vector, (WITH_ERROR_CODE >> vector) & 1 && vector < 32 ? errorCode : undefined);
		}
	}

	private resume(): void {
		this.hypervisor.next(this.finish);
	}

	private readonly finish = () => this.hypervisor.goOn();

	/** INT n that a gate of the host let through: the fast way to the guest's handler, with no other work on it. */
	private softwareInterrupt(domain: Domain, vector: number): void {
		const { hypervisor } = this;
		const { frame } = hypervisor;
		const trap = domain.vcpu.traps[vector];
		const user = !domain.kernelMode(frame.cs);
		if (trap === undefined || (user && trap.dpl < 3)) {
			frame.rip = BigInt.asUintN(64, frame.rip - 2n);
			this.raise(domain, Vector.generalProtection, vector * 8 + IDT);
			return;
		}
		hypervisor.statistics.fastTraps++;
		hypervisor.callGuest(domain, trap);
		this.resume();
	}

	private generalProtection(domain: Domain, errorCode: number): void {
		const { hypervisor } = this;
		const { frame } = hypervisor;
		if (errorCode & IDT && (errorCode & 1) === 0) {
			const vector = (errorCode >> 3) & 0xff;
			const trap = domain.vcpu.traps[vector];
			if (trap && (domain.kernelMode(frame.cs) || trap.dpl === 3)) {
				frame.rip = BigInt.asUintN(64, frame.rip + 2n);
				hypervisor.statistics.fastTraps++;
				hypervisor.callGuest(domain, trap);
				this.resume();
				return;
			}
		} else if (errorCode === 0 && this.instructions.execute(domain)) {
			hypervisor.statistics.emulated++;
			this.resume();
			return;
		}
		this.raise(domain, Vector.generalProtection, errorCode);
	}

	private hostPageFault(domain: Domain, errorCode: number): void {
		const { hypervisor } = this;
		const address = hypervisor.faultAddress;
		if (Number(BigInt.asIntN(32, address >> 32n)) === PER_DOMAIN_HIGH && (errorCode & USER) === 0) {
			this.descriptorFault(domain, Number(address & 0xffffffffn));
			return;
		}
		const writes = (errorCode & (PRESENT | WRITE | RESERVED)) === (PRESENT | WRITE);
		if (writes && domain.kernelMode(hypervisor.frame.cs)) {
			const instruction = this.instructions.bytesAt(hypervisor.frame.rip);
			if (hypervisor.pageTableWrites.begin(domain, hypervisor.frame, address, errorCode, instruction)) {
				this.resume();
				return;
			}
		}
		this.pageFault(domain, address, errorCode);
	}

	/** A page fault of the guest's own. */
	pageFault(domain: Domain, address: bigint, errorCode: number): void {
		const { hypervisor } = this;
		const kernel = domain.kernelMode(hypervisor.frame.cs);
		// A 64-bit guest's kernel is user code to the hardware.
		const code = kernel ? errorCode & ~USER : errorCode | USER;
		hypervisor.statistics.trueFaults++;
		hypervisor.observer.record("true-fault", kernel ? "kernel" : "user", hypervisor.frame.rip, [
			{ name: "address", value: address },
			{ name: "error code", value: code },
		]);
		const work = () => {
			hypervisor.entry.setFaultAddress(domain, address);
			this.deliver(domain, Vector.pageFault, code);
		};
		const text = () => `True page fault on 0x${address.toString(16)} at 0x${hypervisor.frame.rip.toString(16)}`;
		const facts = { vector: Vector.pageFault, errorCode: code, faultAddress: address };
		if (hypervisor.stopsAt("true-page-fault", text, facts)) hypervisor.next(work);
		else work();
	}

	/** A segment register was loaded from a page of the LDT that is not mapped yet, or from a GDT page that is not there. */
	private descriptorFault(domain: Domain, offset: number): void {
		const page = (offset - PerDomainArea.ldt) >> 12;
		if (page >= 0 && page < 16 && this.mapLocalDescriptors(domain, page)) {
			this.resume();
			return;
		}
		const selector = offset & 0xfff8;
		this.raise(domain, Vector.generalProtection, page >= 0 ? selector | 4 : selector);
	}

	private mapLocalDescriptors(domain: Domain, page: number): boolean {
		const { hypervisor } = this;
		const { vcpu } = domain;
		if (vcpu.ldtEntries <= page * 512 || vcpu.ldtFrames[page]! >= 0) return false;
		const at = hypervisor.guestMemory.translate(vcpu.ldtBase + BigInt(page * 4096), false);
		if (at < 0) return false;
		const frame = Math.floor(at / 4096);
		if (hypervisor.tables.getPageAndType(frame, domain.id, PageType.descriptors) < 0) return false;
		vcpu.ldtFrames[page] = frame;
		hypervisor.control.mapPerDomain(domain, PerDomainArea.ldt + page * 4096, frame);
		return true;
	}

	/** SYSENTER keeps no return address, so that only a registered callback could make sense of it; there is none. */
	systemEnter(domain: Domain): void {
		if (!domain.wide)
			Object.assign(this.hypervisor.frame, { cs: GuestSelector.compatRing3Code, ss: GuestSelector.compatRing3Data });
		this.raise(domain, Vector.generalProtection, 0);
	}

	/** Raises an exception in the guest. */
	raise(domain: Domain, vector: number, errorCode: number | undefined): void {
		const { hypervisor } = this;
		const { rip } = hypervisor.frame;
		const detail = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
		hypervisor.observer.record("exception", exceptionMnemonic(vector), rip, detail);
		const work = () => this.deliver(domain, vector, errorCode);
		if (hypervisor.stopsAt("exception", () => `Exception ${vector} at 0x${rip.toString(16)}`, { vector, errorCode }))
			hypervisor.next(work);
		else work();
	}

	private deliver(domain: Domain, vector: number, errorCode: number | undefined): void {
		const { hypervisor } = this;
		const trap = domain.vcpu.traps[vector];
		if (trap) hypervisor.callGuest(domain, trap, errorCode);
		else {
			const { rip } = hypervisor.frame;
			const address = vector === Vector.pageFault ? ` on 0x${hypervisor.entry.faultAddress(domain).toString(16)}` : "";
			hypervisor.crash(
				domain,
				`${exceptionMnemonic(vector)}${address} at 0x${rip.toString(16)}, for which it has no handler`,
			);
		}
		this.resume();
	}
}

// APIC virtualization: the virtual-APIC page, the accesses that go there instead of to the local APIC, and virtual interrupts
// (SDM Vol. 3C Chapter 30).

import { Fault, Vector } from "../../engine/fault.ts";
import { Eflags } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import type { ApicAccess } from "../memory-access.ts";
import { Activity, Internal } from "../processor-state.ts";
import { Primary, Secondary } from "./controls.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import { VmExit } from "./vm-exit.ts";
import { Vmcs } from "./vmcs-fields.ts";
import { VmxWord } from "./vmx-state.ts";
import type { VmxUnit } from "./vmx-unit.ts";

/** Offsets in the virtual-APIC page. */
const VTPR = 0x080;
const VPPR = 0x0a0;
const VEOI = 0x0b0;
const VISR = 0x100;
const VIRR = 0x200;
const VICR_LOW = 0x300;
const VICR_HIGH = 0x310;
const SELF_IPI = 0x3f0;

/** Access types in the qualification of an APIC-access exit (Table 28-6). */
export const ApicAccessType = {
	read: 0,
	write: 1 << 12,
	fetch: 2 << 12,
	eventDelivery: 3 << 12,
	physical: 15 << 12,
} as const;
/** An interrupt command that is a fixed, edge-triggered interrupt to the processor itself (§30.4.3.2): bits that must be as here. */
const SELF_IPI_MASK = 0xfffcff00 | 0;
const SELF_IPI_COMMAND = 0x00040000;

const range = (from: number, to: number): number[] => {
	const all: number[] = [];
	for (let offset = from; offset <= to; offset += 16) all.push(offset);
	return all;
};
/** Registers that APIC-register virtualization reads (§30.4.2) and writes (§30.4.3.1). */
const LOCAL = [...range(0x320, 0x380), 0x3e0];
const READABLE = new Set([
	...[0x020, 0x030, VTPR, VEOI, 0x0d0, 0x0e0, 0x0f0],
	...range(VISR, 0x270),
	...[0x280, VICR_LOW, VICR_HIGH, ...LOCAL],
]);
const WRITABLE = new Set([0x020, VTPR, VEOI, 0x0d0, 0x0e0, 0x0f0, 0x280, VICR_LOW, VICR_HIGH, ...LOCAL]);

export class VirtualApic implements ApicAccess {
	constructor(private readonly unit: VmxUnit) {}

	private get controls() {
		return this.unit.controls!;
	}

	private get state() {
		return this.unit.core.state;
	}

	private get deliversInterrupts(): boolean {
		return (this.controls.secondary & Secondary.virtualInterruptDelivery) !== 0;
	}

	private register(offset: number): number {
		return this.state.physical.read(this.controls.virtualApicPage + offset, 4) | 0;
	}

	private setRegister(offset: number, value: number): void {
		this.state.physical.write(this.controls.virtualApicPage + offset, 4, value >>> 0);
	}

	/** RVI and SVI: bits 7:0 and 15:8 of the guest interrupt status. */
	private get requesting(): number {
		return this.unit.vmcs!.read32(Vmcs.guestInterruptStatus) & 0xff;
	}

	private get servicing(): number {
		return (this.unit.vmcs!.read32(Vmcs.guestInterruptStatus) >> 8) & 0xff;
	}

	private setStatus(requesting: number, servicing: number): void {
		this.unit.vmcs!.write32(Vmcs.guestInterruptStatus, (servicing << 8) | requesting);
	}

	/** The highest vector in VISR or VIRR; 0 for none. */
	private highest(array: number): number {
		for (let word = 7; word >= 0; word--) {
			const bits = this.register(array + word * 16);
			if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
		}
		return 0;
	}

	private setVector(array: number, vector: number, set: boolean): void {
		const at = array + (vector >> 5) * 16;
		const bit = 1 << (vector & 31);
		this.setRegister(at, set ? this.register(at) | bit : this.register(at) & ~bit);
	}

	/** A VM exit is due as soon as the instruction has completed (§30.4.3.3: it is trap-like). */
	private trap(reason: number, qualification: number): void {
		this.state.i32[VmxWord.trapExit >> 2] = (reason << 16) | qualification;
		this.unit.onModeSwitch();
	}

	/** The exit that an instruction left behind. @returns undefined when there is none; else whether the processor goes on. */
	trapExit(): boolean | undefined {
		const { i32 } = this.state;
		const due = i32[VmxWord.trapExit >> 2]!;
		if (due === 0 || !this.unit.controls) return undefined;
		i32[VmxWord.trapExit >> 2] = 0;
		return this.unit.exit(new VmExit(due >>> 16, BigInt(due & 0xffff)), undefined);
	}

	/** At VM entry: a virtual interrupt may be pending (§27.3.2.5, §30.2.1). */
	begin(): void {
		if (!this.deliversInterrupts) return;
		this.updatePriority();
		this.evaluate();
	}

	/** PPR virtualization (§30.1.3). */
	private updatePriority(): void {
		const task = this.register(VTPR) & 0xff;
		const { servicing } = this;
		this.setRegister(VPPR, task >> 4 >= servicing >> 4 ? task : servicing & 0xf0);
	}

	/** Evaluation of pending virtual interrupts (§30.2.1). */
	private evaluate(): void {
		const { i32 } = this.state;
		const held = (this.controls.primary & Primary.interruptWindowExiting) !== 0;
		const pending = !held && this.requesting >> 4 > (this.register(VPPR) & 0xff) >> 4;
		i32[VmxWord.virtualInterrupt >> 2] = pending ? 1 : 0;
		this.unit.updateWindows();
		if (pending) this.unit.onModeSwitch();
	}

	/** The virtual interrupt that is pending and can be taken (§30.2.2). @returns undefined when there is none. */
	deliver(take: (vector: number) => boolean): boolean | undefined {
		const { i32 } = this.state;
		if (i32[VmxWord.virtualInterrupt >> 2] === 0 || !this.unit.controls) return undefined;
		const asleep = i32[Internal.activity >> 2] === Activity.shutdown || i32[VmxWord.waitForSipi >> 2] !== 0;
		const shadow = this.unit.core.retired() < this.state.internal(Internal.shadowBoundary);
		if (asleep || shadow || !(i32[State.flagsRest >> 2]! & Eflags.IF)) return undefined;
		const vector = this.requesting;
		this.setVector(VISR, vector, true);
		this.setRegister(VPPR, vector & 0xf0);
		this.setVector(VIRR, vector, false);
		this.setStatus(this.highest(VIRR), vector);
		i32[VmxWord.virtualInterrupt >> 2] = 0;
		this.unit.updateWindows();
		return take(vector);
	}

	/** MOV to CR8 under the TPR shadow. */
	writeTaskPriority(value: number): void {
		this.setRegister(VTPR, value);
		this.taskPriorityChanged();
	}

	readTaskPriority(): number {
		return this.register(VTPR) & 0xff;
	}

	/** TPR virtualization (§30.1.2). */
	private taskPriorityChanged(): void {
		if (this.deliversInterrupts) {
			this.updatePriority();
			this.evaluate();
		} else if (this.isBelowThreshold) this.trap(ExitReasonNumber.tprBelowThreshold, 0);
	}

	get isBelowThreshold(): boolean {
		return this.readTaskPriority() >> 4 < this.controls.tprThreshold;
	}

	/** EOI virtualization (§30.1.4). */
	private endOfInterrupt(): void {
		const vector = this.servicing;
		this.setVector(VISR, vector, false);
		this.setStatus(this.requesting, this.highest(VISR));
		this.updatePriority();
		const field = [Vmcs.eoiExitBitmap0, Vmcs.eoiExitBitmap1, Vmcs.eoiExitBitmap2, Vmcs.eoiExitBitmap3][vector >> 6]!;
		if ((this.unit.vmcs!.read(field) >> BigInt(vector & 63)) & 1n) this.trap(ExitReasonNumber.virtualizedEoi, vector);
		else this.evaluate();
	}

	/** Self-IPI virtualization (§30.1.5), and the vectors of a posted-interrupt descriptor. */
	private request(vector: number): void {
		this.setVector(VIRR, vector, true);
		this.setStatus(Math.max(this.requesting, vector), this.servicing);
		this.evaluate();
	}

	/** Posted-interrupt processing (§30.6), after the notification vector was acknowledged and its EOI sent. */
	processPosted(): void {
		const { physical } = this.state;
		const descriptor = this.controls.postedDescriptor;
		physical.write(descriptor + 32, 4, physical.read(descriptor + 32, 4) & ~1);
		for (let word = 0; word < 8; word++) {
			const bits = physical.read(descriptor + word * 4, 4);
			if (bits === 0) continue;
			physical.write(descriptor + word * 4, 4, 0);
			this.setRegister(VIRR + word * 16, this.register(VIRR + word * 16) | bits);
			this.setStatus(Math.max(this.requesting, word * 32 + 31 - Math.clz32(bits)), this.servicing);
		}
		this.evaluate();
	}

	/** What follows a write that was virtualized (§30.4.3.2). */
	private written(register: number): void {
		switch (register) {
			case VTPR:
				this.setRegister(VTPR, this.register(VTPR) & 0xff);
				this.taskPriorityChanged();
				return;
			case VICR_HIGH:
				this.setRegister(VICR_HIGH, this.register(VICR_HIGH) & (0xff000000 | 0));
				return;
			case VEOI:
				if (!this.deliversInterrupts) break;
				this.setRegister(VEOI, 0);
				this.endOfInterrupt();
				return;
			case VICR_LOW: {
				if (!this.deliversInterrupts) break;
				// Delivery is never under way (bit 12).
				this.setRegister(VICR_LOW, this.register(VICR_LOW) & ~0x1000);
				const command = this.register(VICR_LOW);
				if ((command & SELF_IPI_MASK) !== SELF_IPI_COMMAND || (command & 0xf0) === 0) break;
				this.request(command & 0xff);
				return;
			}
			default:
		}
		this.trap(ExitReasonNumber.apicWrite, register);
	}

	// The APIC-access page (§30.4).

	/** @throws {VmExit} when the access is not virtualized. */
	access(offset: number, size: number, write: boolean, place: number): void {
		const { secondary, primary } = this.controls;
		const register = offset & ~15;
		const inside = size <= 4 && (offset & 15) + size <= 4;
		const registers = (secondary & Secondary.apicRegisterVirtualization) !== 0;
		let virtual = inside && (primary & Primary.useTprShadow) !== 0;
		if (registers) virtual &&= (write ? WRITABLE : READABLE).has(register);
		else if (register !== VTPR)
			virtual &&= write && this.deliversInterrupts && (register === VEOI || register === VICR_LOW);
		if (!virtual) this.exit(offset, write ? ApicAccessType.write : ApicAccessType.read);
		const { physical, u8 } = this.state;
		for (let byte = 0; byte < size; byte++) {
			const at = this.controls.virtualApicPage + offset + byte;
			if (write) physical.write(at, 1, u8[place + byte]!);
			else u8[place + byte] = physical.read(at, 1);
		}
		if (write) this.written(register);
	}

	/** @throws {VmExit} */
	exit(offset: number, type: number): never {
		const linear = type === ApicAccessType.physical ? 0 : offset;
		throw new VmExit(ExitReasonNumber.apicAccess, BigInt(linear | type));
	}

	fetch(offset: number): never {
		return this.exit(offset, ApicAccessType.fetch);
	}

	// x2APIC mode (§30.5).

	/** What RDMSR gives of an x2APIC register; undefined when the local APIC answers. */
	readMsr(msr: number): bigint | undefined {
		const offset = (msr & 0xff) << 4;
		if (!(this.controls.secondary & Secondary.apicRegisterVirtualization) && offset !== VTPR) return undefined;
		const high = BigInt(this.register(offset + 4) >>> 0);
		return (high << 32n) | BigInt(this.register(offset) >>> 0);
	}

	/** @returns false when the local APIC takes the WRMSR. @throws {Fault} #GP(0) for reserved bits. */
	writeMsr(msr: number, value: bigint): boolean {
		const offset = (msr & 0xff) << 4;
		const low = Number(value & 0xffffffffn);
		const refuse = (reserved: boolean): void => {
			if (reserved) throw new Fault(Vector.generalProtection, 0);
		};
		if (offset === VTPR) {
			refuse(value >> 8n !== 0n);
			this.setRegister(VTPR + 4, 0);
			this.writeTaskPriority(low);
			return true;
		}
		if (!this.deliversInterrupts) return false;
		if (offset === VEOI) {
			refuse(value !== 0n);
			this.setRegister(VEOI, 0);
			this.setRegister(VEOI + 4, 0);
			this.endOfInterrupt();
			return true;
		}
		if (offset !== SELF_IPI) return false;
		refuse(value >> 8n !== 0n);
		this.setRegister(SELF_IPI, low);
		this.setRegister(SELF_IPI + 4, 0);
		if (low >> 4 === 0) this.trap(ExitReasonNumber.apicWrite, SELF_IPI);
		else this.request(low);
		return true;
	}
}

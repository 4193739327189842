// The VMM under VT-x: what it does at each VM exit, and how it goes back to the guest (SDM Vol. 3C Chapters 26 to 28).

import { Internal } from "../../cpu/processor-state.ts";
import { Secondary } from "../../cpu/vmx/controls.ts";
import { ENTRY_FAILURE, ExitReasonNumber, exitReasonName } from "../../cpu/vmx/exit-reasons.ts";
import { GuestActivity, Interruptibility, PendingDebug } from "../../cpu/vmx/guest-checks.ts";
import { VALID } from "../../cpu/vmx/interruption-information.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { Vector } from "../../engine/fault.ts";
import { Cr0, Eflags } from "../../isa/register-bits.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import type { PcDevices } from "../../machine/pc-devices.ts";
import { MachineError } from "../../machine/virtual-machine.ts";
import { fieldTitle } from "../../machine/vmcs/field-catalogue.ts";
import { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import { HostFrames, type HostFramesState } from "../host-frames.ts";
import { MessageInterrupts } from "../io/message-interrupts.ts";
import { translationBytes } from "../shadow/shadow-page-tables.ts";
import { EptMmu, type EptMmuState } from "./ept-mmu.ts";
import { EventInjection, type EventInjectionState } from "./event-injection.ts";
import type { GuestException, GuestMmu, MmuOutcome } from "./guest-mmu.ts";
import { HostControl } from "./host-control.ts";
import { InstructionEmulator, type InstructionEmulatorState } from "./instruction-emulator.ts";
import { Area } from "./layout.ts";
import { ShadowMmu } from "./shadow-mmu.ts";
import { writeControls } from "./vmcs-setup.ts";

/** First host frame that the VMM uses: above the first MiB, where a PC has its adapter window. */
const FIRST_FRAME = 0x100;
/** Host memory beyond the guest's: the VMM's area and the tables that translate the guest's memory. */
export function vmmOverhead(guestBytes: number): number {
	return FIRST_FRAME * 4096 + Area.end + translationBytes(guestBytes);
}

const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3] as const;
/** The longest instruction. */
const INSTRUCTION_BYTES = 15n;
/** Exit qualification of an I/O instruction (SDM Vol. 3C Table 28-5). */
const IoQualification = { input: 1 << 3, string: 1 << 4 } as const;
/** Exit reasons that tell of a moment and not of the guest's instruction. */
const MOMENTS: readonly number[] = [
	ExitReasonNumber.externalInterrupt,
	ExitReasonNumber.interruptWindow,
	ExitReasonNumber.nmiWindow,
	ExitReasonNumber.monitorTrapFlag,
];

/** What the machine around the VMM is told. */
export interface MonitorObserver {
	tripleFault(): void;
	/** The guest halted, and nothing can wake it. */
	halted(): void;
	/** A page fault that only the shadow tables were the cause of; it is done with. */
	hiddenFault(linear: bigint, errorCode: number): void;
	/** An exception of the guest is about to be delivered in software. */
	softwareException(vector: number, errorCode: number | undefined): void;
}

/** A VM exit as the VMM finds it in the VMCS. */
export interface ExitFacts {
	readonly reason: number;
	readonly qualification: bigint;
	readonly guestPhysical: bigint;
	readonly guestLinear: bigint;
}

export interface MonitorState {
	readonly exitPending: boolean;
	readonly retries: boolean;
	readonly launched: boolean;
	readonly exits: readonly (readonly [reason: number, count: number])[];
	readonly frames: HostFramesState;
	readonly pmap: Int32Array;
	readonly injection: EventInjectionState;
	readonly emulator: InstructionEmulatorState;
	readonly mmu: EptMmuState;
}

export class Monitor {
	readonly frames: HostFrames;
	readonly physical: GuestPhysicalMemory;
	readonly control: HostControl;
	readonly vmcs: VmcsMemory;
	readonly mmu: GuestMmu;
	readonly emulator: InstructionEmulator;
	readonly injection: EventInjection;
	/** Interrupts of the host that devices raise by message. */
	readonly messages: MessageInterrupts;
	/** An exit has come that is not handled yet. */
	exitPending = false;
	/** The next entry begins with the instruction that was begun before the exit. */
	retries = false;
	/** VM exits by basic reason. */
	readonly exits = new Map<number, number>();
	private launched = false;
	/** The VMM works: guest interrupts wait until it goes back. */
	private inside = false;

	/** @param recycled a VMM that is no longer used: the parts of its memory are taken over */
	constructor(
		readonly host: HostMachine,
		guestMemoryBytes: number,
		romBytes: number,
		private readonly devices: PcDevices,
		private readonly observer: MonitorObserver,
		mmu: "ept" | "shadow" = "ept",
		recycled?: Monitor,
	) {
		const { physical } = host;
		this.messages = new MessageInterrupts(host.devices.memory);
		this.frames = new HostFrames(FIRST_FRAME, physical.ramBytes / 4096);
		this.control = new HostControl(host, this.frames.allocateRun(Area.end / 4096) * 4096);
		this.vmcs = this.control.vmcs;
		this.physical = new GuestPhysicalMemory(physical, this.frames, guestMemoryBytes, romBytes, recycled?.physical.kind);
		const flush = () => host.processor.core.paging.flush();
		this.mmu =
			mmu === "ept"
				? new EptMmu(physical, this.frames, this.physical, flush)
				: new ShadowMmu(physical, this.frames, this.physical, this.vmcs, flush, (linear, errorCode) =>
						observer.hiddenFault(linear, errorCode),
					);
		this.physical.onPageChange = (page) => this.mmu.pageChanged(page);
		this.physical.onWrite = (address, length) => this.mmu.memoryWritten(address, length);
		const ferr = () => devices.coprocessorError.assert();
		this.emulator = new InstructionEmulator(
			host,
			this.vmcs,
			this.mmu,
			this.physical,
			devices.ports,
			ferr,
			recycled?.emulator.physical.recyclable,
		);
		this.emulator.processor.connectLocalApic(devices.localApicPort);
		this.injection = new EventInjection(this.control, () => devices.acknowledge());
	}

	/** Takes the host over. The guest's state is then to be set in the emulator and `enterGuest` called. */
	start(): void {
		this.control.start();
		this.control.writeHostState();
		writeControls(this.control);
		this.mmu.configure(this.vmcs);
	}

	/** The vCPU is as the emulator has it: the guest begins, or begins anew. */
	enterGuest(): void {
		this.exitPending = this.retries = false;
		this.injection.reset();
		this.vmcs.write32(Vmcs.entryInterruptionInformation, 0);
		this.emulator.store();
		this.followControls();
		this.goBack();
	}

	/** What of the VMM lies neither in host memory nor in the processor, for restore(); undefined with an MMU that keeps more. */
	save(): MonitorState | undefined {
		const { mmu, frames, physical, injection, emulator, exitPending, retries, launched } = this;
		if (!(mmu instanceof EptMmu)) return undefined;
		return {
			...{ exitPending, retries, launched },
			exits: [...this.exits],
			frames: frames.save(),
			pmap: physical.pmap.slice(),
			injection: injection.save(),
			emulator: emulator.save(),
			mmu: mmu.save(),
		};
	}

	/** @param putBack restores the guest's devices, whose lines say nothing to the host meanwhile. */
	restore(state: MonitorState, putBack: () => void): void {
		this.inside = true;
		putBack();
		this.inside = false;
		const { exitPending, retries, launched } = state;
		Object.assign(this, { exitPending, retries, launched });
		this.exits.clear();
		for (const [reason, count] of state.exits) this.exits.set(reason, count);
		this.frames.restore(state.frames);
		this.physical.pmap.set(state.pmap);
		this.injection.restore(state.injection);
		this.emulator.restore(state.emulator);
		(this.mmu as EptMmu).restore(state.mmu);
	}

	/** The guest's interrupt controller drives INTR. */
	interruptRequest(asserted: boolean): void {
		this.injection.requested = asserted;
		if (!this.inside) this.control.requestInterrupt(asserted);
	}

	nonMaskableInterrupt(): void {
		this.injection.nmiPending = true;
		if (!this.inside) this.control.requestInterrupt(true);
	}

	/** Lets events come that were held back while the debugger stepped. */
	releaseInterrupts(): void {
		this.injection.hold = false;
		if (this.injection.requested || this.injection.nmiPending) this.control.requestInterrupt(true);
	}

	/** Takes the guest out of the hardware at the next moment. */
	forceExit(): void {
		this.control.requestInterrupt(true);
	}

	get facts(): ExitFacts {
		const { vmcs } = this;
		return {
			reason: vmcs.read32(Vmcs.exitReason),
			qualification: vmcs.read(Vmcs.exitQualification),
			guestPhysical: vmcs.read(Vmcs.guestPhysicalAddress),
			guestLinear: vmcs.read(Vmcs.guestLinearAddress),
		};
	}

	/** The host has come to the entry page: an exit, or a VMX instruction that failed. @throws {MachineError} */
	noteExit(): ExitFacts {
		if (this.control.hasFailed) throw new MachineError(this.describeRefusal("was refused"));
		this.launched = true;
		this.exitPending = true;
		const { facts } = this;
		if (facts.reason & ENTRY_FAILURE) throw new MachineError(this.describeRefusal("failed"));
		this.exits.set(facts.reason, (this.exits.get(facts.reason) ?? 0) + 1);
		return facts;
	}

	private describeRefusal(what: string): string {
		const failure = this.host.processor.vmx!.unit.entryFailure;
		const why = failure
			? `the field "${fieldTitle(failure.field)}" ${failure.rule}`
			: "the VMCS is not in the state that the instruction needs";
		return `The VM entry ${what}: ${why}.`;
	}

	/** Does what the pending exit asks for and puts the host before the next entry. @throws {MachineError} */
	handleExit(): void {
		const { host, vmcs } = this;
		this.exitPending = this.injection.redelivers = false;
		this.inside = true;
		host.clock.advanceTo(host.now());
		const before = vmcs.read(Vmcs.guestRip);
		const { reason } = this.facts;
		if (!this.dispatch(reason)) return;
		const injects = vmcs.read32(Vmcs.entryInterruptionInformation) < 0;
		this.retries = !MOMENTS.includes(reason) && !this.fetched() && !injects && vmcs.read(Vmcs.guestRip) === before;
		if (this.injection.sleepsForGood) this.observer.halted();
		this.goBack();
	}

	/**
	 * The exit came of fetching the instruction: nobody has been told yet of a breakpoint at it. Error code and qualification tell only of
	 * some fetches, so the addresses decide.
	 */
	private fetched(): boolean {
		const { vmcs } = this;
		const { reason, qualification, guestLinear } = this.facts;
		const vector = vmcs.read32(Vmcs.exitInterruptionInformation) & 0xff;
		const isPageFault = reason === ExitReasonNumber.exceptionOrNmi && vector === Vector.pageFault;
		if (!isPageFault && reason !== ExitReasonNumber.eptViolation) return false;
		const wide = (vmcs.read32(Vmcs.guestCsAccess) & (1 << 13)) !== 0;
		const code = (wide ? 0n : vmcs.read(Vmcs.guestCsBase)) + vmcs.read(Vmcs.guestRip);
		const offset = BigInt.asUintN(wide ? 64 : 32, (isPageFault ? qualification : guestLinear) - code);
		return offset < INSTRUCTION_BYTES;
	}

	private goBack(): void {
		this.injection.prepare();
		this.inside = false;
		this.control.prepareEntry(this.launched);
	}

	/** @returns false when the guest does not go on. */
	private dispatch(reason: number): boolean {
		const { vmcs, injection, mmu } = this;
		switch (reason) {
			case ExitReasonNumber.externalInterrupt:
				this.takeInterrupt(vmcs.read32(Vmcs.exitInterruptionInformation) & 0xff);
				return true;
			case ExitReasonNumber.interruptWindow:
			case ExitReasonNumber.nmiWindow:
				return true;
			case ExitReasonNumber.monitorTrapFlag:
				mmu.monitorTrap();
				return true;
			case ExitReasonNumber.tripleFault:
				this.observer.tripleFault();
				return false;
			case ExitReasonNumber.hlt:
				this.skipInstruction();
				if (!(vmcs.read32(Vmcs.guestPendingDebug) & PendingDebug.singleStep))
					vmcs.write32(Vmcs.guestActivity, GuestActivity.hlt);
				return true;
			case ExitReasonNumber.cpuid:
				this.cpuid();
				return true;
			case ExitReasonNumber.io:
				return this.io();
			case ExitReasonNumber.eptViolation: {
				const { guestPhysical, qualification } = this.facts;
				return this.conclude(mmu.handleEptViolation(Number(guestPhysical), qualification));
			}
			case ExitReasonNumber.invlpg:
				mmu.invalidatePage(vmcs.read(Vmcs.exitQualification));
				this.skipInstruction();
				return true;
			case ExitReasonNumber.exceptionOrNmi:
				return this.exception();
			case ExitReasonNumber.taskSwitch:
			case ExitReasonNumber.controlRegister:
			case ExitReasonNumber.rdmsr:
			case ExitReasonNumber.wrmsr:
			case ExitReasonNumber.xsetbv:
			case ExitReasonNumber.invd:
			case ExitReasonNumber.wbinvd:
			case ExitReasonNumber.getsec:
			case ExitReasonNumber.vmcall:
			case ExitReasonNumber.vmclear:
			case ExitReasonNumber.vmlaunch:
			case ExitReasonNumber.vmptrld:
			case ExitReasonNumber.vmptrst:
			case ExitReasonNumber.vmread:
			case ExitReasonNumber.vmresume:
			case ExitReasonNumber.vmwrite:
			case ExitReasonNumber.vmxoff:
			case ExitReasonNumber.vmxon:
			case ExitReasonNumber.invept:
			case ExitReasonNumber.invvpid:
				return this.emulate();
			default:
				injection.deliverAgain();
				throw new MachineError(`The VMM does not expect the VM exit "${exitReasonName(reason)}".`);
		}
	}

	/** The exit has acknowledged an interrupt of the host: ends its service, and handles what a device has sent. */
	private takeInterrupt(vector: number): void {
		if (!this.messages.take(vector)) this.control.endInterrupt();
	}

	/** What becomes of an exit that the MMU has looked at. */
	private conclude(outcome: MmuOutcome | GuestException): boolean {
		if (outcome === "emulate") return this.emulate();
		if (outcome === "resume") {
			this.injection.deliverAgain();
			return true;
		}
		return this.inject(outcome);
	}

	private exception(): boolean {
		const { vmcs } = this;
		const information = vmcs.read32(Vmcs.exitInterruptionInformation);
		if ((information & 0xff) !== Vector.pageFault) return this.emulate();
		const linear = vmcs.read(Vmcs.exitQualification);
		return this.conclude(this.mmu.handlePageFault(linear, vmcs.read32(Vmcs.exitInterruptionErrorCode)));
	}

	private inject(exception: GuestException): boolean {
		if (this.injection.injectException(exception)) return true;
		this.observer.tripleFault();
		return false;
	}

	/** Executes the guest's instruction, or delivers the event that the hardware could not, in software. */
	private emulate(): boolean {
		const { delivering } = this.injection;
		if (delivering) {
			if (this.emulator.deliver(delivering)) return this.followControls();
			this.observer.tripleFault();
			return false;
		}
		const exception = this.emulator.execute();
		this.followControls();
		if (exception === undefined) return true;
		return this.canEnter ? this.inject(exception) : this.deliverInSoftware(exception);
	}

	/**
	 * A task switch that has failed on its way leaves CS and SS of different privilege, with which no entry is possible without
	 * unrestricted guest (SDM Vol. 3C §27.3.1.2).
	 */
	private get canEnter(): boolean {
		const { vmcs } = this;
		if (vmcs.read32(Vmcs.secondaryControls) & Secondary.unrestrictedGuest) return true;
		if (vmcs.read32(Vmcs.guestRflags) & Eflags.VM) return true;
		return ((vmcs.read32(Vmcs.guestCs) ^ vmcs.read32(Vmcs.guestSs)) & 3) === 0;
	}

	private deliverInSoftware({ vector, errorCode }: GuestException): boolean {
		this.observer.softwareException(vector, errorCode);
		if (this.emulator.deliver({ vector, source: "exception", errorCode, instructionLength: 0 }))
			return this.followControls();
		this.observer.tripleFault();
		return false;
	}

	/** While the guest's CR0.NE is clear, the VMM does what FERR# does (SDM Vol. 3A §2.5, CR0.NE; Vol. 1 §8.7). */
	private followControls(): true {
		const { vmcs, mmu } = this;
		const ferr = (vmcs.read32(Vmcs.cr0ReadShadow) & Cr0.NE) === 0 ? 1 << Vector.x87FloatingPoint : 0;
		vmcs.write32(Vmcs.exceptionBitmap, mmu.interceptedExceptions | ferr);
		return true;
	}

	/** The VMM has done what the instruction asks for: the guest goes on behind it. */
	private skipInstruction(): void {
		const { vmcs } = this;
		const next = vmcs.read(Vmcs.guestRip) + BigInt(vmcs.read32(Vmcs.exitInstructionLength));
		const wide = (vmcs.read32(Vmcs.guestCsAccess) & (1 << 13)) !== 0;
		vmcs.write(Vmcs.guestRip, BigInt.asUintN(wide ? 64 : 32, next));
		const blocking = vmcs.read32(Vmcs.guestInterruptibility);
		vmcs.write32(Vmcs.guestInterruptibility, blocking & ~(Interruptibility.sti | Interruptibility.movSs));
		const flags = vmcs.read32(Vmcs.guestRflags);
		vmcs.write32(Vmcs.guestRflags, flags & ~Eflags.RF);
		if (flags & Eflags.TF)
			vmcs.write(Vmcs.guestPendingDebug, vmcs.read(Vmcs.guestPendingDebug) | BigInt(PendingDebug.singleStep));
		this.emulator.executed++;
	}

	/** The answers of a processor with the guest's features: no VMX. */
	private cpuid(): void {
		const { state } = this.control;
		const { cpuid } = this.emulator.processor;
		const mode64 = (this.vmcs.read32(Vmcs.guestCsAccess) & (1 << 13)) !== 0;
		const context = { mode64, cr4: this.vmcs.read32(Vmcs.guestCr4) };
		const [eax, ebx, ecx, edx] = cpuid.query(state.gpr32(RAX), state.gpr32(RCX), context);
		state.setGpr32(RAX, eax);
		state.setGpr32(RBX, ebx);
		state.setGpr32(RCX, ecx);
		state.setGpr32(RDX, edx);
		this.skipInstruction();
	}

	private io(): boolean {
		const qualification = Number(this.vmcs.read(Vmcs.exitQualification));
		if (qualification & IoQualification.string) return this.emulate();
		const { state } = this.control;
		const size = ((qualification & 7) + 1) as 1 | 2 | 4;
		const port = qualification >>> 16;
		if (qualification & IoQualification.input) {
			const value = this.devices.ports.read(port, size);
			if (size === 4) state.setGpr32(RAX, value | 0);
			else {
				const mask = size === 1 ? 0xffn : 0xffffn;
				state.setGpr64(RAX, (state.gpr64(RAX) & ~mask) | (BigInt(value) & mask));
			}
		} else {
			const value = state.gpr32(RAX);
			this.devices.ports.write(port, size, size === 1 ? value & 0xff : size === 2 ? value & 0xffff : value >>> 0);
		}
		this.skipInstruction();
		return true;
	}

	/** Whether an event is to be injected at the next entry. */
	get injects(): boolean {
		return (this.vmcs.read32(Vmcs.entryInterruptionInformation) & VALID) !== 0;
	}

	/** Whether the vCPU waits in HLT. */
	get isIdle(): boolean {
		if (this.control.inGuest) return this.control.state.i32[Internal.activity >> 2] !== 0;
		return this.vmcs.read32(Vmcs.guestActivity) !== GuestActivity.active;
	}
}

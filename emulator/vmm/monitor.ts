// The virtual machine monitor: what it does each time the host enters its ring 0, and how it goes back to guest code.
// User code runs directly at CPL 3; how kernel code runs at CPL 1 is the technique's (KernelExecution).

import { DEFAULT_FEATURES, supportedCr4 } from "../cpu/cpuid.ts";
import { Fault } from "../engine/fault.ts";
import { State } from "../isa/state.ts";
import type { HostMachine } from "../machine/host-machine.ts";
import { EventDelivery } from "./event-delivery.ts";
import { ControlTransfer, LOADABLE } from "./guest/control-transfer.ts";
import { GuestContext, refuse, Vector } from "./guest/guest-context.ts";
import { GuestLinearMemory } from "./guest/guest-linear-memory.ts";
import { Access, Cr0, Cr4 } from "./guest/guest-page-walk.ts";
import { GuestPhysicalMemory } from "./guest/guest-physical-memory.ts";
import { GuestRegisters } from "./guest/guest-registers.ts";
import { InstructionEmulator } from "./guest/instruction-emulator.ts";
import { type GuestPorts, PortInstructions } from "./guest/port-instructions.ts";
import { PrivilegedInstructions } from "./guest/privileged-instructions.ts";
import { GuestCode } from "./guest-code.ts";
import { HostControl, type HostFrame } from "./host-control.ts";
import { HostFrames } from "./host-frames.ts";
import { InterruptWindow } from "./interrupt-window.ts";
import { MessageInterrupts } from "./io/message-interrupts.ts";
import type { KernelExecution, KernelPosition } from "./kernel-execution.ts";
import { HostVector, VMM_BASE, VMM_BYTES } from "./layout.ts";
import type { MonitorObserver, MonitorStatistics } from "./monitor-observer.ts";
import { ShadowDescriptorTables } from "./segments/shadow-descriptor-tables.ts";
import { FillResult, ShadowPageTables, translationBytes } from "./shadow/shadow-page-tables.ts";
import { Trace } from "./shadow/write-traces.ts";
import { TrapHandler } from "./trap-handler.ts";
import { UserExecution } from "./user-execution.ts";
import { VirtualCpu } from "./virtual-cpu.ts";
import { VmmMemory } from "./vmm-memory.ts";
import { WorkLoop } from "./work-loop.ts";

/** First host frame that the VMM uses: above the first MiB, where a PC has its adapter window. */
const FIRST_FRAME = 0x100;
/** Host memory beyond the guest's: the VMM's 4 MB and shadow tables. */
export function vmmOverhead(guestBytes: number): number {
	return FIRST_FRAME * 4096 + VMM_BYTES + translationBytes(guestBytes);
}

const RESUME_FLAG = 0x10000;
const PRESENT_WRITABLE = 0x63;

/** What the VMM needs of the machine around it. */
export interface MonitorSurroundings {
	readonly ports: GuestPorts;
	acknowledgeInterrupt(): number;
	readonly observer: MonitorObserver;
	/** The kinds of the guest-physical pages of a VMM that is no longer used. */
	readonly recycled?: Uint8Array | undefined;
}

export class Monitor<Kernel extends KernelExecution = KernelExecution> {
	readonly vmm: VmmMemory;
	readonly frames: HostFrames;
	readonly physical: GuestPhysicalMemory;
	readonly vcpu: VirtualCpu;
	readonly registers: GuestRegisters;
	readonly shadow: ShadowPageTables;
	readonly memory: GuestLinearMemory;
	readonly descriptors: ShadowDescriptorTables;
	readonly guest: GuestContext;
	readonly code: GuestCode;
	readonly control: HostControl;
	readonly observer: MonitorObserver;
	readonly emulator: InstructionEmulator;
	readonly privileged: PrivilegedInstructions;
	readonly interrupts: InterruptWindow;
	readonly traps: TrapHandler;
	readonly work: WorkLoop;
	readonly user: UserExecution;
	readonly kernel: Kernel;
	/** Interrupts of the host that devices raise by message. */
	readonly messages: MessageInterrupts;
	readonly statistics: MonitorStatistics = { directExecution: 0, trueFaults: 0, interruptsDelivered: 0 };
	/** The host stands in the VMM's idle loop. */
	private idle = false;
	private readonly delivery: EventDelivery;

	/** @param kernelRunsDirectly kernel code runs as it is, so that the host's segment registers and TF are the guest's in it */
	constructor(
		readonly host: HostMachine,
		guestMemoryBytes: number,
		{ ports, acknowledgeInterrupt, observer, recycled }: MonitorSurroundings,
		kernelRunsDirectly: boolean,
		makeKernel: (monitor: Monitor) => Kernel,
	) {
		const { physical } = host;
		this.observer = observer;
		this.messages = new MessageInterrupts(host.devices.memory);
		this.frames = new HostFrames(FIRST_FRAME, physical.ramBytes / 4096);
		const area = this.frames.allocateRun(VMM_BYTES / 4096);
		this.vmm = new VmmMemory(physical, area * 4096);
		const vmmTables = Array.from({ length: VMM_BYTES / 0x200000 }, () => this.frames.allocate());
		for (let page = 0; page < VMM_BYTES / 4096; page++) {
			const entry = vmmTables[page >> 9]! * 4096 + (page & 0x1ff) * 8;
			physical.write(entry, 4, (area + page) * 4096 + PRESENT_WRITABLE);
			physical.write(entry + 4, 4, 0);
		}
		this.control = new HostControl(host, this.vmm, !kernelRunsDirectly);
		this.vcpu = new VirtualCpu(this.vmm);
		this.registers = new GuestRegisters(this.control.state);
		this.physical = new GuestPhysicalMemory(physical, this.frames, guestMemoryBytes, 0, recycled);
		this.shadow = new ShadowPageTables(
			physical,
			this.frames,
			this.physical,
			this.vcpu,
			{
				flushTlb: () => host.tlb.flush(),
				rootChanged: (frame) => this.control.loadRoot(frame),
				hasCode: (page) => this.kernel.translations?.hasCode(page) ?? false,
				codeMappingDropped: (page) => this.kernel.translations?.codeChanged(page, 0, 4096),
				directoryEntryChanged: (index) => this.kernel.translations?.directoryEntryChanged(index),
			},
			{
				reserved: {
					start: VMM_BASE,
					quadrant: VMM_BASE >>> 30,
					first: (VMM_BASE >>> 21) & 0x1ff,
					entries: vmmTables.map((frame) => frame * 4096 + PRESENT_WRITABLE),
				},
			},
		);
		this.memory = new GuestLinearMemory(this.shadow, this.physical);
		this.descriptors = new ShadowDescriptorTables(this.vmm, this.memory, this.shadow);
		this.guest = new GuestContext(
			this.control.state,
			this.vcpu,
			this.registers,
			this.physical,
			this.memory,
			this.shadow,
			this.descriptors,
			kernelRunsDirectly,
		);
		this.code = new GuestCode(this.vcpu, this.shadow, this.physical);
		this.physical.onWrite = (address, length) => this.pageWritten(address, length);
		const transfer = new ControlTransfer(this.guest, () => {});
		this.emulator = new InstructionEmulator(this.registers, this.guest);
		this.work = new WorkLoop(
			observer,
			(fault) => this.delivery.raise(fault),
			() => this.leftVmm(),
		);
		this.delivery = new EventDelivery(
			this.guest,
			transfer,
			this.work,
			observer,
			this.statistics,
			acknowledgeInterrupt,
			() => this.resume(),
		);
		this.privileged = new PrivilegedInstructions(
			this.guest,
			this.emulator,
			transfer,
			new PortInstructions(this.guest, ports),
			{
				controlsChanged: (cr0, cr4) => this.controlsChanged(cr0, cr4),
				privilegeLevelChanged: () => this.kernel.translations?.flush(),
				invalidatePage: (linear) => this.invalidatePage(linear),
				invalidateAll: () => {
					host.tlb.flush();
					this.descriptors.mappingChanged();
				},
				localTableLoaded: (length) => this.control.loadLocalDescriptorTable(length),
				stackSegmentLoaded: () => this.kernel.stackSegmentLoaded(),
				loadHostSegment: (segment, selector) => {
					this.descriptors.refresh(selector);
					try {
						host.processor.core.segmentation.load(segment, selector);
					} catch (fault) {
						if (!(fault instanceof Fault)) throw fault;
						refuse(`loads the selector 0x${selector.toString(16)}, where the VMM has its own`, this.registers.eip);
					}
					this.descriptors.drop(selector);
				},
				executeCpuid: () => void host.processor.helpers.cpuid!(0, 0),
				timestamp: () => host.now(),
				hostCr4Bits: () => supportedCr4(DEFAULT_FEATURES),
				softwareInterrupt: (vector, next) => this.delivery.softwareInterrupt(vector, next),
			},
		);
		this.interrupts = new InterruptWindow(this.vcpu, this.vmm);
		this.user = new UserExecution(this);
		this.kernel = makeKernel(this);
		this.traps = new TrapHandler(this.guest, this.code, this.emulator, this.privileged, this.kernel, {
			resume: () => this.resume(),
			raise: (fault) => this.delivery.raise(fault),
		});
	}

	/** Powers the vCPU on. The caller then sets its registers as the boot protocol asks and calls `enterGuest`. */
	start(): void {
		this.vcpu.reset();
		this.interrupts.reset();
		this.shadow.activate();
		this.control.start(this.shadow.rootFrame);
		this.control.followControls(this.vcpu.cr0, this.vcpu.cr4);
	}

	/** Runs the guest from the state in the vCPU and the registers. */
	enterGuest(): void {
		this.kernel.stackSegmentLoaded();
		this.work.run(() => this.resume());
	}

	// Interrupts of the guest's devices.

	/** The guest's interrupt controller drives INTR. */
	interruptRequest(asserted: boolean): void {
		this.interrupts.requested = asserted;
		if (!asserted) this.interrupts.clearPending();
		if (!this.work.inside) this.control.requestInterrupt(asserted);
	}

	/** Interrupts are held while the debugger steps. Clear it with releaseInterrupts(). */
	holdInterrupts = false;

	/** Lets interrupts that were held back come. */
	releaseInterrupts(): void {
		this.holdInterrupts = false;
		if (this.interrupts.requested && this.vcpu.interruptFlag) this.control.requestInterrupt(true);
	}

	private leftVmm(): void {
		if (this.interrupts.requested && !this.idle) this.control.requestInterrupt(!this.vcpu.pendingInterrupt);
	}

	// The way in.

	/** The host has entered the VMM: handles the event and returns to guest code (or stays suspended). */
	enter(): void {
		const { host, control, registers, kernel, work } = this;
		work.inside = true;
		host.clock.advanceTo(host.now());
		const frame = control.readFrame();
		if (this.idle) {
			this.idle = false;
			this.takeInterrupt(frame.vector);
			work.run(() => this.resume());
			return;
		}
		registers.eip = frame.eip;
		registers.esp = frame.esp;
		// RF is the host's own: it pushes it for every fault, also for those that the guest never had.
		registers.eflags = frame.eflags & ~RESUME_FLAG;
		const inKernel = (frame.cs & 3) === 1;
		work.run(() => {
			if (!inKernel) this.user.takeSegments(frame);
			if (frame.vector === Vector.pageFault && this.hiddenFault(frame, !inKernel)) return;
			if (inKernel) kernel.entered(frame);
			else this.fromUserCode(frame);
		});
	}

	/** Goes on after a suspension. */
	proceed(): void {
		this.work.proceed(() => this.resume());
	}

	/** The host was interrupted: ends the service, and handles what a device has sent. False when the vector is no interrupt's. */
	takeInterrupt(vector: number): boolean {
		if (vector < HostVector.interrupts || vector >= HostVector.interrupts + 16) return this.messages.take(vector);
		this.control.endInterrupt();
		return true;
	}

	private fromUserCode(frame: HostFrame): void {
		const { vcpu } = this;
		this.statistics.directExecution++;
		const { vector } = frame;
		if (this.takeInterrupt(vector)) {
			this.interrupts.notice();
			this.resume();
			return;
		}
		if (vector === Vector.debug)
			vcpu.dr[6] = (vcpu.dr[6]! & ~0x400f) | this.control.state.i32[(State.dr + 6 * 8) >> 2]!;
		this.traps.handle(frame);
	}

	/** A page fault that the guest need not know of: true when it is done with. */
	private hiddenFault(frame: HostFrame, user: boolean): boolean {
		const { shadow, kernel, observer } = this;
		const address = this.control.state.i32[State.cr2 >> 2]! >>> 0;
		const access = (frame.errorCode & (Access.write | Access.fetch)) | (user ? Access.user : 0);
		const result = shadow.fill(address, access);
		if (result !== FillResult.filled) return false;
		if (user) {
			this.statistics.directExecution++;
			this.user.returnTo(frame);
		} else kernel.returnTo(frame);
		const instruction = user ? frame.eip : kernel.position(frame.eip).eip;
		observer.record("hidden-fault", user ? "user" : "kernel", instruction, [
			{ name: "address", value: BigInt(address) },
			{ name: "error code", value: frame.errorCode },
		]);
		if (observer.wants("hidden-page-fault")) {
			const what = `Hidden page fault: the shadow now maps 0x${address.toString(16).padStart(8, "0")}`;
			observer.event("hidden-page-fault", what, { address, errorCode: frame.errorCode });
		}
		return true;
	}

	// The way back.

	/**
	 * Runs the guest from registers.eip.
	 * @param shadow the next instruction retires before an interrupt is taken
	 * @param at host address to go on at, when it is known that it belongs to registers.eip
	 */
	resume(shadow = false, at = 0): void {
		const { vcpu, interrupts } = this;
		if (interrupts.requested && !this.holdInterrupts) {
			if (vcpu.interruptFlag && !shadow) {
				this.delivery.deliverInterrupt();
				return;
			}
			interrupts.notice();
		}
		if (vcpu.halted) this.haltGuest();
		else if (vcpu.cpl === 3) this.user.run();
		else this.kernel.run(shadow, at);
	}

	/** HLT: the VMM halts the host until one of its devices asks for it. */
	private haltGuest(): void {
		if (!this.vcpu.interruptFlag) {
			this.work.suspend(undefined);
			this.observer.halted();
			return;
		}
		this.idle = true;
		this.control.idle();
	}

	/** True while the guest is halted and waits for an interrupt. */
	get isIdle(): boolean {
		return this.idle;
	}

	// For debuggers.

	/** The VMM was stopped inside: `proceed` has to be called. */
	get suspended(): boolean {
		return this.work.suspended;
	}

	/** The guest's registers are in `registers`, not in the host's: the VMM was stopped inside, or the guest is halted. */
	get holdsGuestRegisters(): boolean {
		return this.work.suspended || this.idle;
	}

	/** Where the guest stands in kernel code that the host runs; undefined when the VMM or user code holds its state as it is. */
	kernelPosition(): KernelPosition | undefined {
		const { state } = this.control;
		return this.holdsGuestRegisters || state.cpl !== 1 ? undefined : this.kernel.position(state.eip);
	}

	/** Takes the guest's registers out of guest code, at a boundary between guest instructions; proceed() goes on with them. */
	takeGuestRegisters(): void {
		if (this.holdsGuestRegisters) return;
		const { state } = this.control;
		const { registers } = this;
		registers.eip = state.eip;
		registers.esp = state.gpr32(4) >>> 0;
		registers.eflags = this.host.processor.core.flags.readEflags() & ~RESUME_FLAG;
		if (state.cpl === 1) this.kernel.takeRegisters(state.eip);
		else this.user.takeSegments({ cs: state.selector(1), ss: state.selector(2) });
		// As an entry would leave it: at CPL 0 with the VMM's segments.
		this.control.enterRing0();
		this.work.suspend(() => this.resume());
	}

	/** Makes the guest go on at another address. */
	moveTo(eip: number): void {
		this.takeGuestRegisters();
		this.registers.eip = eip >>> 0;
		this.vcpu.halted = false;
		if (this.idle) {
			this.idle = false;
			this.work.suspend(() => this.resume());
		} else if (this.suspended) this.work.replaceSuspended(() => this.resume());
	}

	/** Loads the guest's EFLAGS, but for VM. */
	setEflags(value: number): void {
		this.takeGuestRegisters();
		this.guest.loadEflags(value, LOADABLE | 0x3200, this.vcpu.cpl);
	}

	// Changes of the guest's paging.

	private controlsChanged(cr0: number, cr4: number): void {
		const { shadow, vcpu } = this;
		if (cr0 & Cr0.pg || cr4 & (Cr4.pse | Cr4.pae)) this.kernel.translations?.flush();
		shadow.activate();
		this.control.followControls(vcpu.cr0, vcpu.cr4);
		this.kernel.translations?.rootChanged();
		this.descriptors.mappingChanged();
	}

	private invalidatePage(linear: number): void {
		this.host.tlb.flushPage(linear | 0);
		this.descriptors.mappingChanged();
	}

	/** Bytes of a guest-physical page changed by the VMM's hand: those who trace it are told. */
	private pageWritten(address: number, length: number): void {
		const page = address >>> 12;
		const reasons = this.shadow.traces.reasonsOf(page);
		if (reasons === 0) return;
		if (reasons & Trace.table) this.shadow.guestTableWritten(address, length);
		if (reasons & Trace.code) this.kernel.translations?.codeChanged(page, address & 0xfff, (address & 0xfff) + length);
		if (reasons & Trace.descriptors) this.descriptors.written(address, length);
	}
}

// The virtual machine monitor: what it does each time the host enters its ring 0, and how it goes back to guest code.
// Kernel code runs as translated fragments at CPL 1, user code directly at CPL 3 (Adams & Agesen, ASPLOS 2006, §3).

import { State } from "../isa/state.ts";
import { exceptionMnemonic } from "../machine/exception-names.ts";
import type { HostMachine } from "../machine/host-machine.ts";
import type { EventName } from "../machine/virtual-machine.ts";
import { Adaptation } from "./adaptation.ts";
import { calloutName } from "./callout-names.ts";
import { ControlTransfer, LOADABLE } from "./guest/control-transfer.ts";
import { GuestContext, refuse, Vector } from "./guest/guest-context.ts";
import { GuestFault } from "./guest/guest-fault.ts";
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
import { HostSelector, HostVector, VcpuBlock, VMM_BASE, VMM_BYTES } from "./layout.ts";
import type { EventDetails, MonitorObserver, MonitorStatistics } from "./monitor-observer.ts";
import { ShadowDescriptorTables } from "./segments/shadow-descriptor-tables.ts";
import { FillResult, ShadowPageTables } from "./shadow/shadow-page-tables.ts";
import { Trace } from "./shadow/write-traces.ts";
import { type CalloutSite, type Fragment, Undo } from "./translate/fragment.ts";
import { type Recovered, recover } from "./translate/recovery.ts";
import { TranslationCache } from "./translate/translation-cache.ts";
import { TrapHandler } from "./trap-handler.ts";
import { VirtualCpu } from "./virtual-cpu.ts";
import { VmmMemory } from "./vmm-memory.ts";

/** First host frame that the VMM uses: above the first MiB, where a PC has its adapter window. */
const FIRST_FRAME = 0x100;
/** Host memory beyond the guest's: the VMM's 4 MB and shadow tables. */
export const VMM_OVERHEAD = 0x100000 + VMM_BYTES + 0x1800000;
const TRAP_FLAG = 0x100;
const RESUME_FLAG = 0x10000;
const PRESENT_WRITABLE = 0x63;
/** Faults of the guest that are delivered one behind the other before the machine's run loop is asked. */
const STEPS_AT_ONCE = 1000;

export class Monitor {
	readonly vmm: VmmMemory;
	readonly frames: HostFrames;
	readonly physical: GuestPhysicalMemory;
	readonly vcpu: VirtualCpu;
	readonly registers: GuestRegisters;
	readonly shadow: ShadowPageTables;
	readonly memory: GuestLinearMemory;
	readonly descriptors: ShadowDescriptorTables;
	readonly guest: GuestContext;
	readonly cache: TranslationCache;
	readonly code: GuestCode;
	readonly control: HostControl;
	readonly statistics: MonitorStatistics = {
		callouts: 0,
		directExecution: 0,
		trueFaults: 0,
		interruptsDelivered: 0,
	};
	/** The VMM works: guest interrupts wait until it goes back. */
	private inside = false;
	/** The VMM has been stopped inside: the guest's registers are in `registers`, and `resume` has to be called. */
	suspended = false;
	private suspendedWork: (() => void) | undefined;
	/** What is left to do before the VMM goes back to guest code. */
	private todo: (() => void) | undefined;
	/** The host's %gs is the VMM's. */
	private gsIsVmm = false;
	/** The host stands in the VMM's idle loop. */
	private idle = false;
	private readonly transfer: ControlTransfer;
	private readonly emulator: InstructionEmulator;
	private readonly privileged: PrivilegedInstructions;
	private readonly interrupts: InterruptWindow;
	private readonly traps: TrapHandler;
	private readonly adaptation: Adaptation;

	constructor(
		readonly host: HostMachine,
		guestMemoryBytes: number,
		ports: GuestPorts,
		private readonly acknowledgeInterrupt: () => number,
		private readonly observer: MonitorObserver,
	) {
		const { physical } = host;
		this.frames = new HostFrames(FIRST_FRAME, physical.ramBytes / 4096);
		const area = this.frames.allocateRun(VMM_BYTES / 4096);
		this.vmm = new VmmMemory(physical, area * 4096);
		const table = this.frames.allocate();
		for (let page = 0; page < 1024; page++)
			physical.write(table * 4096 + page * 4, 4, (area + page) * 4096 + PRESENT_WRITABLE);
		this.control = new HostControl(host, this.vmm);
		this.vcpu = new VirtualCpu(this.vmm);
		this.registers = new GuestRegisters(this.control.state);
		this.physical = new GuestPhysicalMemory(physical, this.frames, guestMemoryBytes);
		this.shadow = new ShadowPageTables(
			physical,
			this.frames,
			this.physical,
			this.vcpu,
			table * 4096 + PRESENT_WRITABLE,
			{
				flushTlb: () => host.tlb.flush(),
				rootChanged: (frame) => this.control.loadRoot(frame),
				hasCode: (page) => this.cache.hasCode(page),
				codeMappingDropped: (page) => this.cache.bytesChanged(page, 0, 4096),
				directoryEntryChanged: (index) => this.code.directoryEntryChanged(index),
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
		);
		this.code = new GuestCode(this.vcpu, this.shadow, this.physical);
		this.cache = new TranslationCache(this.vmm, this.code, {
			codePageAdded: (page) => this.shadow.traces.set(page, Trace.code),
			codePageRemoved: (page) => this.shadow.traces.clear(page, Trace.code),
			translated: (fragment) => {
				this.code.translated(fragment);
				observer.translated(fragment);
			},
		});
		this.code.cache = this.cache;
		this.physical.onWrite = (address, length) => this.pageWritten(address, length);
		this.transfer = new ControlTransfer(this.guest, () => {});
		this.emulator = new InstructionEmulator(this.registers, this.guest);
		this.privileged = new PrivilegedInstructions(
			this.guest,
			this.emulator,
			this.transfer,
			new PortInstructions(this.guest, ports),
			{
				controlsChanged: (cr0, cr4) => this.controlsChanged(cr0, cr4),
				privilegeLevelChanged: () => this.cache.flush(),
				invalidatePage: (linear) => this.invalidatePage(linear),
				localTableLoaded: (length) => this.control.loadLocalDescriptorTable(length),
				stackSegmentLoaded: () => this.publishStack(),
				loadHostSegment: (segment, selector) => {
					this.descriptors.refresh(selector);
					host.processor.core.segmentation.load(segment, selector);
					this.descriptors.drop(selector);
				},
				executeCpuid: () => void host.processor.helpers.cpuid!(0, 0),
				timestamp: () => host.now(),
				softwareInterrupt: (vector, next) => this.softwareInterrupt(vector, next),
			},
		);
		this.interrupts = new InterruptWindow(this.vcpu, this.vmm);
		this.adaptation = new Adaptation(this.code, this.cache);
		this.traps = new TrapHandler(this.guest, this.code, this.cache, this.emulator, this.privileged, this.adaptation, {
			resume: () => this.resume(),
			raise: (fault) => this.raise(fault),
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
		this.publishStack();
		this.inside = true;
		this.run(() => this.resume());
	}

	// Interrupts of the guest's devices.

	/** The guest's interrupt controller drives INTR. */
	interruptRequest(asserted: boolean): void {
		this.interrupts.requested = asserted;
		if (!asserted) this.interrupts.clearPending();
		if (!this.inside) this.control.requestInterrupt(asserted);
	}

	/** Interrupts are held while the debugger steps. Clear it with releaseInterrupts(). */
	holdInterrupts = false;

	/** Lets interrupts that were held back come. */
	releaseInterrupts(): void {
		this.holdInterrupts = false;
		if (this.interrupts.requested && this.vcpu.interruptFlag) this.control.requestInterrupt(true);
	}

	// The way in.

	/** The host has entered the VMM: handles the event and returns to guest code (or stays suspended). */
	enter(): void {
		const { host, control } = this;
		this.inside = true;
		host.clock.advanceTo(host.now());
		const frame = control.readFrame();
		if (this.idle) {
			this.idle = false;
			control.endInterrupt();
			this.run(() => this.resume());
			return;
		}
		this.registers.eip = frame.eip;
		this.registers.esp = frame.esp;
		// RF is the host's own: it pushes it for every fault, also for those that the guest never had.
		this.registers.eflags = frame.eflags & ~RESUME_FLAG;
		const translated = (frame.cs & 3) === 1;
		this.run(() => {
			if (translated) this.fromTranslatedCode(frame);
			else this.fromUserCode(frame);
		});
	}

	/** Goes on after a suspension. */
	proceed(): void {
		const work = this.suspendedWork;
		this.suspended = false;
		this.suspendedWork = undefined;
		this.inside = true;
		this.run(() => (work ? work() : this.resume()));
	}

	/** Does `work` and what it leaves to do, step by step: a fault whose handler faults must not grow the stack. */
	private run(work: () => void): void {
		this.todo = work;
		for (let steps = 0; this.todo !== undefined && !this.suspended; steps++) {
			const step: () => void = this.todo;
			this.todo = undefined;
			if (steps > STEPS_AT_ONCE) {
				this.suspend(step);
				break;
			}
			try {
				step();
			} catch (fault) {
				if (!(fault instanceof GuestFault)) throw fault;
				this.todo = () => this.raise(fault);
			}
		}
		this.inside = false;
		if (this.interrupts.requested && !this.idle) this.control.requestInterrupt(!this.vcpu.pendingInterrupt);
	}

	private suspend(work: (() => void) | undefined): void {
		this.suspended = true;
		this.suspendedWork = work;
	}

	/** Tells an event; when the machine has to stop, `work` is what is left to do. True when it stops. */
	private stopsAt(event: EventName, description: () => string, details: EventDetails, work: () => void): boolean {
		if (!this.observer.wants(event) || !this.observer.event(event, description(), details)) return false;
		this.suspend(work);
		return true;
	}

	private fromTranslatedCode(frame: HostFrame): void {
		const { vector } = frame;
		// The host's TF in translated code is the VMM's own; the guest's is in the vCPU.
		this.registers.eflags &= ~TRAP_FLAG;
		if (vector === HostVector.continuation) {
			this.continuation(frame);
			return;
		}
		if (vector === HostVector.callout) {
			this.callout(frame);
			return;
		}
		if (vector === Vector.pageFault && this.hiddenFault(frame, false)) return;
		const recovered = recover(this.cache, this.vmm, frame.eip);
		if (vector >= HostVector.interrupts && vector < HostVector.interrupts + 16) {
			this.control.endInterrupt();
			this.interruptedTranslatedCode(frame, recovered);
			return;
		}
		if (vector === Vector.debug) {
			this.steppedTranslatedCode(frame, recovered);
			return;
		}
		this.undo(recovered);
		this.traps.handle(frame);
	}

	private fromUserCode(frame: HostFrame): void {
		const { vcpu } = this;
		this.statistics.directExecution++;
		this.takeUserSegments(frame);
		const { vector } = frame;
		if (vector === Vector.pageFault && this.hiddenFault(frame, true)) return;
		if (vector >= HostVector.interrupts && vector < HostVector.interrupts + 16) {
			this.control.endInterrupt();
			this.interrupts.notice();
			this.resume();
			return;
		}
		if (vector === Vector.debug)
			vcpu.dr[6] = (vcpu.dr[6]! & ~0x400f) | this.control.state.i32[(State.dr + 6 * 8) >> 2]!;
		this.traps.handle(frame);
	}

	/** What user code may have changed without the VMM: CS, SS and GS. */
	private takeUserSegments(frame: HostFrame): void {
		const { vcpu, guest } = this;
		const { state } = this.control;
		for (const [segment, selector] of [
			[vcpu.cs, frame.cs],
			[vcpu.ss, frame.ss],
		] as const) {
			if (segment.selector === selector || (selector & 0xfff8) >= (HostSelector.cachedStack & 0xfff8)) continue;
			const descriptor = this.descriptors.descriptor(selector);
			if (descriptor !== undefined) guest.fillSegment(segment, selector, descriptor);
		}
		const gs = state.selector(5);
		if (this.gsIsVmm || (gs & 0xfff8) === (HostSelector.cachedGs & 0xfff8)) return;
		vcpu.gs.selector = gs;
		vcpu.gs.access = state.access(5);
		vcpu.gs.base = state.baseLow(5) >>> 0;
		vcpu.gs.limit = state.limit(5);
	}

	// Exceptions.

	/** A page fault that the guest need not know of: true when it is done with. */
	private hiddenFault(frame: HostFrame, user: boolean): boolean {
		const { shadow } = this;
		const address = this.control.state.i32[State.cr2 >> 2]! >>> 0;
		const access = (frame.errorCode & Access.write) | (user ? Access.user : 0);
		const result = shadow.fill(address, access);
		if (result !== FillResult.filled) return false;
		this.leaveTo(frame);
		this.observer.record("hidden-fault", user ? "user" : "kernel", this.hiddenFaultAt(frame, user), [
			{ name: "address", value: BigInt(address) },
			{ name: "error code", value: frame.errorCode },
		]);
		if (this.observer.wants("hidden-page-fault")) {
			const what = `Hidden page fault: the shadow now maps 0x${address.toString(16).padStart(8, "0")}`;
			this.observer.event("hidden-page-fault", what, { address, errorCode: frame.errorCode });
		}
		return true;
	}

	/** Linear address of the guest instruction that a host address belongs to: in the translation cache, that which was translated. */
	private hiddenFaultAt(frame: HostFrame, user: boolean): number {
		return user ? frame.eip : recover(this.cache, this.vmm, frame.eip).eip;
	}

	/** Back to where the host was interrupted, with nothing changed. */
	private leaveTo(frame: HostFrame): void {
		this.control.leave(frame.eip, frame.cs, frame.eflags, frame.esp, frame.ss);
	}

	/** Raises an exception in the vCPU and goes on with its handler. */
	private raise(fault: GuestFault): void {
		const { vector, errorCode } = fault;
		const { eip } = this.registers;
		const where = () => `at 0x${eip.toString(16).padStart(8, "0")}`;
		if (vector === Vector.pageFault) {
			this.statistics.trueFaults++;
			const address = fault.address >>> 0;
			this.observer.record("true-fault", this.guest.user ? "user" : "kernel", eip >>> 0, [
				{ name: "address", value: BigInt(address) },
				{ name: "error code", value: errorCode ?? 0 },
			]);
			const text = () => `True page fault on 0x${address.toString(16).padStart(8, "0")} ${where()}`;
			const details = { vector, errorCode, address };
			if (this.stopsAt("true-page-fault", text, details, () => this.deliverFault(fault))) return;
		} else {
			const detail = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
			this.observer.record("exception", exceptionMnemonic(vector), eip >>> 0, detail);
			const text = () => `Exception ${vector} ${where()}`;
			if (this.stopsAt("exception", text, { vector, errorCode }, () => this.deliverFault(fault))) return;
		}
		this.deliverFault(fault);
	}

	private deliverFault(fault: GuestFault): void {
		if (fault.vector === Vector.pageFault) this.vcpu.cr2 = fault.address >>> 0;
		this.deliver(fault.vector, fault.errorCode, false);
	}

	private deliver(vector: number, errorCode: number | undefined, external: boolean): void {
		if (!this.transfer.deliver({ vector, errorCode, external })) {
			this.suspend(undefined);
			this.observer.tripleFault();
			return;
		}
		this.vcpu.halted = false;
		this.todo = () => this.resume();
	}

	private softwareInterrupt(vector: number, next: number): void {
		const { registers } = this;
		const { eip } = registers;
		registers.eip = next;
		try {
			this.transfer.enterSoftware(vector);
		} catch (fault) {
			registers.eip = eip;
			throw fault;
		}
	}

	// Translated code.

	private continuation(frame: HostFrame): void {
		const address = frame.eip - 2;
		const site = this.cache.site(address);
		if (site === undefined) throw new Error(`No continuation at 0x${address.toString(16)}.`);
		this.registers.eip = site.next;
		const fragment = this.cache.resolve(address, site);
		this.enterFragment(fragment);
	}

	private callout(frame: HostFrame): void {
		const { registers, vmm } = this;
		const address = frame.eip - 2;
		const site = this.cache.site(address);
		if (site === undefined) {
			registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
			registers.eip = vmm.read32(VcpuBlock.target) >>> 0;
			const fragment = this.cache.findOrTranslate(registers.eip);
			this.cache.launch(fragment);
			this.enterFragment(fragment);
			return;
		}
		this.statistics.callouts++;
		registers.eip = site.guest;
		if (site.kind === "sti") registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
		this.observer.record("callout", calloutName(site), site.guest);
		const text = () => `Callout for the instruction at 0x${site.guest.toString(16).padStart(8, "0")}`;
		if (this.stopsAt("callout", text, { address: site.guest }, () => this.performCallout(site, frame.eip))) return;
		this.performCallout(site, frame.eip);
	}

	private performCallout(site: CalloutSite, behind: number): void {
		const { registers } = this;
		if (site.kind === "sti") {
			this.vcpu.interruptFlag = true;
			registers.eip = site.next;
			this.resume(true);
			return;
		}
		const instruction = site.instruction!;
		const { slowAccesses } = this.memory;
		const known = this.privileged.execute(instruction, site.next) || this.emulator.execute(instruction, site.next);
		if (this.code.isSimulated(site.guest))
			this.adaptation.simulated(site.guest, this.memory.slowAccesses !== slowAccesses);
		if (!known) {
			if (instruction.operandSize16) refuse("uses a 16-bit near branch", site.guest);
			this.traps.refuseInstruction(instruction);
		}
		const shadowed = instruction.opcode === 0x17 || (instruction.opcode === 0x8e && instruction.reg === 2);
		const straight =
			site.kind !== "callout-end" && registers.eip === site.next && site.fragment.valid && this.vcpu.cpl === 0;
		this.resume(shadowed, straight ? behind : 0);
	}

	/** Makes the host's registers those of the guest at the start of the instruction at `recovered.eip`. */
	private undo(recovered: Recovered): void {
		const { registers, vmm } = this;
		registers.eip = recovered.eip;
		if (recovered.undo & Undo.finishPopf) {
			vmm.write32(VcpuBlock.interruptAdjust, registers.read32(1) | 0);
			registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
			const line = recovered.fragment?.lines.find((one) => one.guest === recovered.eip);
			if (line) registers.eip = line.guest + line.guestBytes.length;
			return;
		}
		if (recovered.undo & Undo.ecx) registers.write32(1, vmm.read32(VcpuBlock.savedEcx));
		if (recovered.undo & Undo.eax) registers.write32(0, vmm.read32(VcpuBlock.savedEax));
		registers.esp = (registers.esp + recovered.stackAdjust) >>> 0;
	}

	private interruptedTranslatedCode(frame: HostFrame, recovered: Recovered): void {
		this.interrupts.notice();
		if (recovered.shadowed) {
			this.interrupts.shadow = true;
			this.control.leave(frame.eip, frame.cs, frame.eflags | TRAP_FLAG, frame.esp, frame.ss);
			return;
		}
		this.undo(recovered);
		this.resume();
	}

	/** A single step of the host in translated code: the guest steps itself, or waits for the end of an interrupt shadow. */
	private steppedTranslatedCode(frame: HostFrame, recovered: Recovered): void {
		if (!recovered.boundary) {
			this.leaveTo(frame);
			return;
		}
		this.undo(recovered);
		this.registers.eflags &= ~TRAP_FLAG;
		this.interrupts.shadow = false;
		if (this.vcpu.trapFlag) {
			this.vcpu.dr[6] = this.vcpu.dr[6]! | 0x4000;
			this.raise(new GuestFault(Vector.debug));
			return;
		}
		this.resume();
	}

	// The way back.

	/**
	 * Runs the guest from registers.eip.
	 * @param shadow the next instruction retires before an interrupt is taken
	 * @param translated host address to go on at, when it is known that it belongs to registers.eip
	 */
	private resume(shadow = false, translated = 0): void {
		const { vcpu, interrupts } = this;
		if (interrupts.requested && !this.holdInterrupts) {
			if (vcpu.interruptFlag && !shadow) {
				this.deliverInterrupt();
				return;
			}
			interrupts.notice();
		}
		if (vcpu.halted) {
			this.haltGuest();
			return;
		}
		if (vcpu.cpl === 3) {
			this.runDirectly();
			return;
		}
		interrupts.shadow = shadow && interrupts.requested;
		if (translated !== 0) {
			this.runTranslated(translated);
			return;
		}
		let fragment: Fragment;
		try {
			fragment = this.cache.findOrTranslate(this.registers.eip);
		} catch (fault) {
			if (!(fault instanceof GuestFault)) throw fault;
			this.todo = () => this.raise(fault);
			return;
		}
		this.enterFragment(fragment);
	}

	private enterFragment(fragment: Fragment): void {
		fragment.entries++;
		this.runTranslated(fragment.translatedStart);
	}

	private runTranslated(address: number): void {
		const { registers, vcpu, control } = this;
		if (!this.gsIsVmm) {
			control.loadVmmGs();
			this.gsIsVmm = true;
		}
		if (this.stackOf !== 0) this.publishStack();
		vcpu.publishSelectors();
		let flags = (registers.eflags | 0x202) & ~TRAP_FLAG;
		if (vcpu.trapFlag || this.interrupts.shadow) flags |= TRAP_FLAG;
		control.leave(address, HostSelector.translatedCode, flags, registers.esp, HostSelector.cachedStack);
	}

	/** Privilege level of the stack segment in the cached descriptor; -1: it has to be written anew. */
	private stackOf = -1;

	private publishStack(): void {
		if (this.vcpu.cpl !== 0) {
			this.stackOf = -1;
			return;
		}
		this.control.cacheDescriptor(HostSelector.cachedStack, this.vcpu.ss);
		this.stackOf = 0;
	}

	private runDirectly(): void {
		const { registers, vcpu, control, descriptors } = this;
		if ((vcpu.cs.base + registers.eip) % 0x100000000 >= VMM_BASE) {
			// The truncated segment would say #GP; the guest sees what its tables say.
			this.code.fetch((vcpu.cs.base + registers.eip) >>> 0);
			refuse("runs user code in the top 4 MB of linear space", registers.eip);
		}
		for (const [segment, what] of [
			[vcpu.cs, "code"],
			[vcpu.ss, "stack"],
		] as const) {
			if (!descriptors.isTraced(segment.selector)) descriptors.refresh(segment.selector);
			if (!descriptors.isShadowed(segment.selector) && !this.traps.shadowDescriptorMissing(segment.selector))
				refuse(`runs user code whose ${what} segment is not in its tables`, registers.eip);
		}
		if (this.gsIsVmm) {
			control.loadGuestGs(vcpu.gs, descriptors.isShadowed(vcpu.gs.selector));
			this.gsIsVmm = false;
		}
		this.stackOf = -1;
		// TF goes on into user code where the way there loads no flags: SYSEXIT (SDM Vol. 2B).
		if (vcpu.trapFlag) registers.eflags |= TRAP_FLAG;
		vcpu.trapFlag = false;
		control.leave(registers.eip, vcpu.cs.selector, registers.eflags | 0x202, registers.esp, vcpu.ss.selector);
	}

	private deliverInterrupt(): void {
		const { eip } = this.registers;
		const vector = this.acknowledgeInterrupt();
		this.statistics.interruptsDelivered++;
		this.observer.record("interrupt", `vector ${vector}`, eip >>> 0);
		const text = () => `Interrupt ${vector} at 0x${eip.toString(16).padStart(8, "0")}`;
		const work = () => this.deliver(vector, undefined, true);
		if (!this.stopsAt("interrupt", text, { vector }, work)) work();
	}

	/** HLT: the VMM halts the host until one of its devices asks for it. */
	private haltGuest(): void {
		if (!this.vcpu.interruptFlag) {
			this.suspend(undefined);
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

	/** Emulated writes to write-traced pages, and instructions that got their SIMULATE form. */
	get traceWrites(): number {
		return this.traps.traceWrites;
	}

	get adapted(): number {
		return this.adaptation.count;
	}

	// For debuggers.

	/** The guest's registers are in `registers`, not in the host's: the VMM was stopped inside, or the guest is halted. */
	get holdsGuestRegisters(): boolean {
		return this.suspended || this.idle;
	}

	/** Takes the guest's registers out of guest code, at a boundary between guest instructions; proceed() goes on with them. */
	takeGuestRegisters(): void {
		if (this.holdsGuestRegisters) return;
		const { state } = this.control;
		const { registers } = this;
		registers.eip = state.eip;
		registers.esp = state.gpr32(4) >>> 0;
		registers.eflags = this.host.processor.core.flags.readEflags() & ~RESUME_FLAG;
		if (state.cpl === 1) this.undo(recover(this.cache, this.vmm, state.eip));
		else
			this.takeUserSegments({
				vector: 0,
				errorCode: 0,
				eip: 0,
				cs: state.selector(1),
				eflags: 0,
				esp: 0,
				ss: state.selector(2),
			});
		// As an entry would leave it: at CPL 0 with the VMM's segments.
		this.control.enterRing0();
		this.suspend(() => this.resume());
	}

	/** Makes the guest go on at another address. */
	moveTo(eip: number): void {
		this.takeGuestRegisters();
		this.registers.eip = eip >>> 0;
		this.vcpu.halted = false;
		if (this.idle) {
			this.idle = false;
			this.suspend(() => this.resume());
		} else if (this.suspended) this.suspendedWork = () => this.resume();
	}

	/** Loads the guest's EFLAGS, but for VM. */
	setEflags(value: number): void {
		this.takeGuestRegisters();
		this.guest.loadEflags(value, LOADABLE | 0x3200, this.vcpu.cpl);
	}

	// Changes of the guest's paging.

	private controlsChanged(cr0: number, cr4: number): void {
		const { shadow, vcpu } = this;
		const structure = (cr0 & (Cr0.pg | Cr0.wp)) | (cr4 & Cr4.pse);
		if (structure !== 0) {
			if (cr0 & Cr0.pg || cr4 & Cr4.pse) this.cache.flush();
			shadow.dropAll();
		}
		shadow.activate();
		this.control.followControls(vcpu.cr0, vcpu.cr4);
		this.code.rootChanged();
		this.descriptors.mappingChanged();
	}

	private invalidatePage(linear: number): void {
		this.host.tlb.flushPage(linear | 0, 0);
		this.descriptors.mappingChanged();
	}

	/** Bytes of a guest-physical page changed by the VMM's hand: those who trace it are told. */
	private pageWritten(address: number, length: number): void {
		const page = address >>> 12;
		const reasons = this.shadow.traces.reasonsOf(page);
		if (reasons === 0) return;
		if (reasons & Trace.table) this.shadow.guestTableWritten(address, length);
		if (reasons & Trace.code) this.cache.bytesChanged(page, address & 0xfff, (address & 0xfff) + length);
		if (reasons & Trace.descriptors) this.descriptors.written(address, length);
	}
}

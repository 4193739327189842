// Kernel code as translated fragments at CPL 1 (Adams & Agesen, ASPLOS 2006, §3): continuations, callouts, and the guest's
// state in the middle of a fragment.

import { Adaptation } from "../adaptation.ts";
import { calloutName } from "../callout-names.ts";
import { refuse, Vector } from "../guest/guest-context.ts";
import { GuestFault } from "../guest/guest-fault.ts";
import type { HostFrame } from "../host-control.ts";
import type { KernelExecution, KernelPosition, TranslationHooks } from "../kernel-execution.ts";
import { HostSelector, HostVector, VcpuBlock } from "../layout.ts";
import type { Monitor } from "../monitor.ts";
import { Trace } from "../shadow/write-traces.ts";
import type { VirtualSegment } from "../virtual-cpu.ts";
import type { CalloutSite, Fragment } from "./fragment.ts";
import { Undo } from "./fragment.ts";
import type { InstructionBytes } from "./instruction-bytes.ts";
import { type Recovered, recover } from "./recovery.ts";
import { TranslationCache } from "./translation-cache.ts";
import { TranslationSource } from "./translation-source.ts";

const TRAP_FLAG = 0x100;
const ECX = 1;
const EAX = 0;

export class TranslatedExecution implements KernelExecution, TranslationHooks {
	readonly translations: TranslationHooks = this;
	readonly cache: TranslationCache;
	callouts = 0;
	private readonly source: TranslationSource;
	private readonly adaptation: Adaptation;
	/** Privilege level of the stack segment in the cached descriptor; -1: it has to be written anew. */
	private stackOf = -1;

	constructor(private readonly monitor: Monitor) {
		const { vmm, vcpu, shadow, code, observer } = monitor;
		this.source = new TranslationSource(code, vcpu, shadow);
		this.cache = new TranslationCache(vmm, this.source, {
			codePageAdded: (page) => shadow.traces.set(page, Trace.code),
			codePageRemoved: (page) => shadow.traces.clear(page, Trace.code),
			translated: (fragment) => {
				this.source.translated(fragment);
				observer.translated(fragment);
			},
		});
		this.source.cache = this.cache;
		this.adaptation = new Adaptation(this.source, this.cache);
	}

	/** Instructions that got their SIMULATE form. */
	get adapted(): number {
		return this.adaptation.count;
	}

	entered(frame: HostFrame): void {
		const { vector } = frame;
		const { monitor } = this;
		// The host's TF in translated code is the VMM's own; the guest's is in the vCPU.
		monitor.registers.eflags &= ~TRAP_FLAG;
		if (vector === HostVector.continuation) {
			this.continuation(frame);
			return;
		}
		if (vector === HostVector.callout) {
			this.callout(frame);
			return;
		}
		const recovered = this.recoverAt(frame.eip);
		if (monitor.takeInterrupt(vector)) {
			this.interrupted(frame, recovered);
			return;
		}
		if (vector === Vector.debug) {
			this.stepped(frame, recovered);
			return;
		}
		this.undo(recovered);
		monitor.traps.handle(frame);
	}

	private recoverAt(address: number): Recovered {
		return recover(this.cache, this.monitor.vmm, address);
	}

	private continuation(frame: HostFrame): void {
		const address = frame.eip - 2;
		const site = this.cache.site(address);
		if (site === undefined) throw new Error(`No continuation at 0x${address.toString(16)}.`);
		this.monitor.registers.eip = site.next;
		this.enterFragment(this.cache.resolve(address, site));
	}

	private callout(frame: HostFrame): void {
		const { monitor } = this;
		const { registers, vmm } = monitor;
		const address = frame.eip - 2;
		const site = this.cache.site(address);
		if (site === undefined) {
			registers.write32(ECX, vmm.read32(VcpuBlock.savedEcx));
			registers.eip = vmm.read32(VcpuBlock.target) >>> 0;
			const fragment = this.cache.findOrTranslate(registers.eip);
			this.cache.launch(fragment);
			this.enterFragment(fragment);
			return;
		}
		this.callouts++;
		registers.eip = site.guest;
		if (site.kind === "sti") registers.write32(ECX, vmm.read32(VcpuBlock.savedEcx));
		monitor.observer.record("callout", calloutName(site), site.guest);
		const text = () => `Callout for the instruction at 0x${site.guest.toString(16).padStart(8, "0")}`;
		const perform = () => this.performCallout(site, frame.eip);
		if (!monitor.work.stopsAt("callout", text, { address: site.guest }, perform)) perform();
	}

	private performCallout(site: CalloutSite, behind: number): void {
		const { monitor } = this;
		const { registers, vcpu, memory } = monitor;
		if (site.kind === "sti") {
			vcpu.interruptFlag = true;
			registers.eip = site.next;
			monitor.resume(true);
			return;
		}
		const instruction = site.instruction!;
		const { slowAccesses } = memory;
		const known =
			monitor.privileged.execute(instruction, site.next) || monitor.emulator.execute(instruction, site.next);
		if (this.source.isSimulated(site.guest))
			this.adaptation.simulated(site.guest, memory.slowAccesses !== slowAccesses);
		if (!known) {
			if (instruction.operandSize16) refuse("uses a 16-bit near branch", site.guest);
			monitor.traps.refuseInstruction(instruction);
		}
		const shadowed = instruction.opcode === 0x17 || (instruction.opcode === 0x8e && instruction.reg === 2);
		// Behind the callout of a POPF lies its short form, which is not for this image.
		const straight = site.kind === "callout" && registers.eip === site.next && site.fragment.valid && vcpu.cpl === 0;
		monitor.resume(shadowed, straight ? behind : 0);
	}

	/** Makes the host's registers those of the guest at the start of the instruction at `recovered.eip`. */
	private undo(recovered: Recovered): void {
		const { registers, vmm } = this.monitor;
		registers.eip = recovered.eip;
		if (recovered.undo & Undo.finishPopf) {
			vmm.write32(VcpuBlock.interruptAdjust, registers.read32(ECX) | 0);
			registers.write32(ECX, vmm.read32(VcpuBlock.savedEcx));
			registers.eip = behindPopf(recovered) ?? registers.eip;
			return;
		}
		if (recovered.undo & Undo.ecx) registers.write32(ECX, vmm.read32(VcpuBlock.savedEcx));
		if (recovered.undo & Undo.eax) registers.write32(EAX, vmm.read32(VcpuBlock.savedEax));
		registers.esp = (registers.esp + recovered.stackAdjust) >>> 0;
	}

	private interrupted(frame: HostFrame, recovered: Recovered): void {
		const { interrupts, control } = this.monitor;
		interrupts.notice();
		if (recovered.shadowed) {
			interrupts.shadow = true;
			control.leave(frame.eip, frame.cs, frame.eflags | TRAP_FLAG, frame.esp, frame.ss);
			return;
		}
		this.undo(recovered);
		this.monitor.resume();
	}

	/** A single step of the host in translated code: the guest steps itself, or waits for the end of an interrupt shadow. */
	private stepped(frame: HostFrame, recovered: Recovered): void {
		const { monitor } = this;
		const { vcpu } = monitor;
		if (!recovered.boundary) {
			this.returnTo(frame);
			return;
		}
		this.undo(recovered);
		monitor.interrupts.shadow = false;
		if (vcpu.trapFlag) {
			vcpu.dr[6] = vcpu.dr[6]! | 0x4000;
			throw new GuestFault(Vector.debug);
		}
		monitor.resume();
	}

	returnTo(frame: HostFrame): void {
		this.monitor.control.leave(frame.eip, frame.cs, frame.eflags, frame.esp, frame.ss);
	}

	run(shadow: boolean, at: number): void {
		const { interrupts, registers } = this.monitor;
		interrupts.shadow = shadow && interrupts.requested;
		if (at !== 0) this.runTranslated(at);
		else this.enterFragment(this.cache.findOrTranslate(registers.eip));
	}

	private enterFragment(fragment: Fragment): void {
		fragment.entries++;
		this.runTranslated(fragment.translatedStart);
	}

	private runTranslated(address: number): void {
		const { registers, vcpu, control, interrupts, user } = this.monitor;
		user.takeGs();
		if (this.stackOf !== 0) this.stackSegmentLoaded();
		vcpu.publishSelectors();
		let flags = (registers.eflags | 0x202) & ~TRAP_FLAG;
		if (vcpu.trapFlag || interrupts.shadow) flags |= TRAP_FLAG;
		control.leave(address, HostSelector.translatedCode, flags, registers.esp, HostSelector.cachedStack);
	}

	stackSegmentLoaded(): void {
		const { vcpu, control } = this.monitor;
		if (vcpu.cpl !== 0) {
			this.stackOf = -1;
			return;
		}
		control.cacheDescriptor(HostSelector.cachedStack, vcpu.ss);
		this.stackOf = 0;
	}

	segments(): { readonly cs: VirtualSegment; readonly ss: VirtualSegment } {
		return this.monitor.vcpu;
	}

	leavesKernel(): void {
		this.stackOf = -1;
	}

	emulated(eip: number, instruction: InstructionBytes): void {
		this.adaptation.trapped(eip, instruction);
	}

	/** Translated code has callouts for these; what traps in it is something else. */
	emulatePrivileged(): boolean {
		return false;
	}

	position(address: number): KernelPosition {
		const recovered = this.recoverAt(address);
		const { vmm, vcpu, control } = this.monitor;
		const registers: (readonly [number, number])[] = [[4, (control.state.gpr32(4) + recovered.stackAdjust) | 0]];
		if (recovered.undo & (Undo.ecx | Undo.finishPopf)) registers.push([ECX, vmm.read32(VcpuBlock.savedEcx)]);
		if (recovered.undo & Undo.eax) registers.push([EAX, vmm.read32(VcpuBlock.savedEax)]);
		const { boundary, glue } = recovered;
		const eip = recovered.undo & Undo.finishPopf ? (behindPopf(recovered) ?? recovered.eip + 1) : recovered.eip;
		return { eip, boundary, glue, registers, trapFlag: vcpu.trapFlag };
	}

	takeRegisters(address: number): void {
		this.undo(this.recoverAt(address));
	}

	// What translations depend on.

	hasCode(page: number): boolean {
		return this.cache.hasCode(page);
	}

	codeChanged(page: number, from: number, to: number): void {
		this.cache.bytesChanged(page, from, to);
	}

	flush(): void {
		this.cache.flush();
	}

	directoryEntryChanged(index: number): void {
		this.source.directoryEntryChanged(index);
	}

	rootChanged(): void {
		this.source.rootChanged();
	}
}

/** The guest's EIP when translated POPF has loaded the flags but the rest of its sequence is not done. */
function behindPopf({ fragment, eip }: Recovered): number | undefined {
	const line = fragment?.lines.find((one) => one.guest === eip);
	return line && line.guest + line.guestBytes.length;
}

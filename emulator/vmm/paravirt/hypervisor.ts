// The hypervisor: what happens each time the host leaves guest code, and which domain runs next.

import { Fault } from "../../engine/fault.ts";
import { State } from "../../isa/state.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import { MachineError } from "../../machine/virtual-machine.ts";
import type { VmEventField } from "../../machine/vm-events.ts";
import { Domain, type GuestFrame } from "./domain.ts";
import { GuestEntry } from "./guest-entry.ts";
import { HostControl, type HostEntry } from "./host-control.ts";
import { HypercallContext, HypercallTable, hypercallName } from "./hypercall.ts";
import { runStateInfo } from "./hypercalls/scheduling-hypercalls.ts";
import { FrameAllocator, FrameFlag, FrameTable, PageType, XEN_OWNER } from "./memory/frame-table.ts";
import { GuestMemory } from "./memory/guest-memory.ts";
import { MachineMemory } from "./memory/machine-memory.ts";
import { PageTables } from "./memory/page-tables.ts";
import type { HypervisorObserver } from "./observer.ts";
import { PageTableWrites } from "./page-table-writes.ts";
import { Scheduler } from "./scheduler.ts";
import { Traps } from "./traps.ts";
import { PerDomainArea, TIMER_LINE } from "./vmm-layout.ts";
import { Domid, FIRST_RESERVED_GDT_PAGE } from "./xen-abi.ts";

const RAX = 0;
/** General registers that hold a hypercall's arguments: arch-x86/xen-x86_64.h (RDI RSI RDX R10 R8 R9), xen-x86_32.h (EBX ECX EDX ESI EDI EBP). */
const WIDE_ARGUMENTS = [7, 6, 2, 10, 8, 9];
const COMPAT_ARGUMENTS = [3, 1, 2, 6, 7, 5];
/** Bytes of INT n and of SYSCALL. */
const HYPERCALL_BYTES = 2n;
/** Machine memory that the VMM keeps for itself below the first frame that it hands out: what a PC has there is no plain RAM. */
const FIRST_FRAME = 0x100;

/** What clearing or copying a page counts for, in entries of tables looked at. */
export const PAGE_WORK = 256;

export class Hypervisor {
	readonly memory: MachineMemory;
	readonly frames: FrameTable;
	readonly allocator: FrameAllocator;
	readonly control: HostControl;
	readonly tables: PageTables;
	readonly guestMemory: GuestMemory;
	readonly entry: GuestEntry;
	readonly hypercalls = new HypercallTable();
	readonly scheduler: Scheduler;
	readonly pageTableWrites: PageTableWrites;
	readonly traps: Traps;
	readonly domains = new Map<number, Domain>();
	/** Registers of the domain that runs, while the VMM does. */
	readonly frame: GuestFrame = { rip: 0n, cs: 0, rflags: 0, rsp: 0n, ss: 0 };
	/** What an entry from the idle loop pushed. */
	private readonly idleFrame: GuestFrame = { rip: 0n, cs: 0, rflags: 0, rsp: 0n, ss: 0 };
	/** The VMM was stopped inside; proceed() goes on. */
	suspended = false;
	/** The host stands in the VMM. */
	inside = true;
	/** A debugger steps: no interrupt or event goes to the guest. */
	holdInterrupts = false;
	/** Called for an interrupt of one of the host's devices that a domain has bound. */
	onInterrupt: (line: number) => void = () => {};
	readonly statistics = { trueFaults: 0, upcalls: 0, fastTraps: 0, emulated: 0 };
	private work: (() => void) | undefined;

	constructor(
		readonly host: HostMachine,
		readonly observer: HypervisorObserver,
	) {
		this.memory = new MachineMemory(host.physical);
		this.frames = new FrameTable(this.memory.frames);
		this.allocator = new FrameAllocator(this.ramFrames());
		this.control = new HostControl(host, this.memory, this.allocator);
		this.tables = new PageTables(this.memory, this.frames, this.allocator, {
			owner: (id) => this.domains.get(id),
			flushes: () => host.tlb.flushes,
			flush: () => host.processor.core.paging.flush(),
		});
		this.guestMemory = new GuestMemory(this.memory, host.processor.core.paging);
		this.entry = new GuestEntry(this.control, this.memory, this.guestMemory);
		this.pageTableWrites = new PageTableWrites(this.control, this.tables);
		this.scheduler = new Scheduler(this);
		this.traps = new Traps(this);
		this.control.start();
	}

	private *ramFrames(): Generator<number> {
		for (let frame = FIRST_FRAME; frame < this.memory.frames; frame++) if (this.memory.isRam(frame)) yield frame;
	}

	/** The domain whose registers the host holds. */
	get current(): Domain | undefined {
		return this.scheduler.current;
	}

	// Domains.

	/** @throws {MachineError} */
	createDomain(id: number, name: string, wide: boolean, privileged: boolean, pages: number): Domain {
		if (this.domains.has(id)) throw new MachineError(`There is a domain ${id} already.`);
		const domain = new Domain(id, name, wide, privileged, pages);
		this.control.addDomain(domain);
		domain.frameFreed = (frame) => {
			domain.pages--;
			this.forgetPhysical(domain, frame);
		};
		this.domains.set(id, domain);
		domain.sharedInfoFrame = this.sharedFrame(domain);
		domain.vcpu.infoFrame = domain.sharedInfoFrame;
		return domain;
	}

	/** The domain that a number in a hypercall means; undefined when there is none. */
	domainOf(caller: Domain, id: number): Domain | undefined {
		return id === Domid.self ? caller : this.domains.get(id);
	}

	/** A frame for a domain within its quota; -1 when there is none. */
	allocate(domain: Domain): number {
		if (domain.pages >= domain.maximumPages) return -1;
		const frame = this.allocator.take();
		if (frame < 0) return -1;
		const { frames } = this;
		if (frames.released[frame] === this.host.tlb.flushes) this.host.processor.core.paging.flush();
		this.memory.clear(frame);
		this.tables.work += PAGE_WORK;
		frames.owner[frame] = domain.id;
		frames.type[frame] = PageType.none;
		frames.typeCount[frame] = 0;
		frames.referenceCount[frame] = 1;
		frames.flags[frame] = FrameFlag.allocated;
		domain.pages++;
		return frame;
	}

	/** A frame of the VMM's that a domain may map writable, and that is not of its quota; it is never freed. */
	sharedFrame(domain: Domain): number {
		const frame = this.allocator.take();
		if (frame < 0)
			throw new MachineError("The host has no memory left for the hypervisor: give the machine less guest memory.");
		const { frames } = this;
		this.memory.clear(frame);
		frames.owner[frame] = domain.id;
		frames.type[frame] = PageType.writable;
		frames.typeCount[frame] = 1;
		frames.referenceCount[frame] = 1;
		frames.flags[frame] = FrameFlag.allocated | FrameFlag.validated | FrameFlag.shared;
		return frame;
	}

	/** Writes the machine-to-physical table, and follows it the other way. */
	setPhysical(domain: Domain, frame: number, page: number): void {
		this.forgetPhysical(domain, frame);
		this.control.setMachineToPhysical(frame, page);
		if (page >= 0 && page < this.memory.frames * 4) domain.physicalToMachine[page] = frame;
	}

	private forgetPhysical(domain: Domain, frame: number): void {
		const page = this.control.machineToPhysical(frame);
		if (page < 0) return;
		if (domain.physicalToMachine[page] === frame) domain.physicalToMachine[page] = -1;
		this.control.setMachineToPhysical(frame, -1);
	}

	/** Whether a frame belongs to the VMM itself. */
	isOwn(frame: number): boolean {
		return this.frames.owner[frame] === XEN_OWNER || this.frames.owner[frame] === -1;
	}

	/** Ends a domain; the others go on. */
	crash(domain: Domain, why: string): void {
		if (domain.ended) return;
		domain.state = "crashed";
		domain.ending = why;
		this.ended(domain);
	}

	shutDown(domain: Domain, why: string): void {
		if (domain.ended) return;
		domain.state = "shut down";
		domain.ending = why;
		this.ended(domain);
	}

	private ended(domain: Domain): void {
		for (const action of domain.onEnd) action();
		this.scheduler.wanted = true;
		this.observer.domainEnded(domain);
	}

	// Entries and the way back.

	/** The host has entered the VMM. */
	enter(): void {
		const { control } = this;
		const idle = this.current === undefined;
		const entry = control.readEntry(idle ? this.idleFrame : this.frame);
		this.inside = true;
		this.work = () => this.handle(entry);
		this.proceed();
	}

	/** Goes on with what the VMM has to do, until guest code runs, the host idles or the machine stops. */
	proceed(): void {
		this.suspended = false;
		while (this.work !== undefined && !this.suspended) {
			const { work } = this;
			this.work = undefined;
			work();
		}
	}

	/** Lets the first domain run. */
	start(): void {
		this.next(() => this.finish());
		this.proceed();
	}

	/** What comes next. */
	next(work: () => void): void {
		this.work = work;
	}

	/** Asks the machine whether it stops here; if so, `work` is done when it goes on. */
	stopsAt(...[event, description, facts]: Parameters<HypervisorObserver["event"]>): boolean {
		if (!this.observer.event(event, description, facts)) return false;
		this.suspended = true;
		return true;
	}

	private handle(entry: HostEntry): void {
		const domain = this.current;
		if (entry.kind === "vector" && entry.vector >= 0xe0) this.interrupt(entry.vector - 0xe0);
		if (domain === undefined) {
			this.next(() => this.finish());
			return;
		}
		const { pageTableWrites, frame } = this;
		if (pageTableWrites.isOpen) {
			const { guestSteps } = pageTableWrites;
			const fault = pageTableWrites.finish(frame);
			if (fault) {
				this.next(() => this.traps.pageFault(domain, fault.address, fault.errorCode));
				return;
			}
			// The trap after the one instruction is the VMM's own.
			if (entry.kind === "vector" && entry.vector === 1 && !guestSteps && this.traps.takeSingleStep()) {
				this.next(() => this.finish());
				return;
			}
		}
		if (entry.kind === "vector" && entry.vector >= 0xe0) this.next(() => this.finish());
		else if (entry.kind === "syscall") this.systemCall(domain);
		else if (entry.kind === "sysenter") this.traps.systemEnter(domain);
		else this.traps.handle(domain, entry.vector, entry.errorCode);
	}

	/** What a trap leads to in the end. */
	goOn(): void {
		this.finish();
	}

	private interrupt(line: number): void {
		const { control } = this;
		if (line === TIMER_LINE) {
			control.requestInterrupt(false);
			control.endInterrupt(line);
			return;
		}
		control.maskLine(line, true);
		control.endInterrupt(line);
		this.onInterrupt(line);
	}

	/** SYSCALL: a hypercall of a 64-bit kernel, or a system call of its user code. */
	private systemCall(domain: Domain): void {
		if (domain.vcpu.inKernel) {
			this.hypercall(domain);
			return;
		}
		const to = domain.vcpu.syscallCallback;
		if (to === undefined) this.crash(domain, "user code made a system call, but no callback for it is registered");
		else this.callGuest(domain, to);
		this.next(() => this.finish());
	}

	/** Calls guest code; a stack that cannot be written is the domain's end. */
	callGuest(domain: Domain, to: NonNullable<Domain["vcpu"]["eventCallback"]>, errorCode?: number): void {
		const { rip, rsp } = this.frame;
		if (this.entry.call(domain, this.frame, to, errorCode)) return;
		this.crash(
			domain,
			`the stack of its kernel cannot be written, interrupted at 0x${rip.toString(16)} with the stack pointer 0x${rsp.toString(16)}`,
		);
	}

	/** The hypercall that the guest's registers ask for. */
	hypercall(domain: Domain): void {
		const { state } = this.control;
		const number = domain.wide ? Number(BigInt.asUintN(32, state.gpr64(RAX))) : state.gpr32(RAX) >>> 0;
		const args = domain.wide
			? WIDE_ARGUMENTS.map((register) => BigInt.asUintN(64, state.gpr64(register)))
			: COMPAT_ARGUMENTS.map((register) => BigInt(state.gpr32(register) >>> 0));
		const name = hypercallName(number);
		const work = () => this.perform(domain, number, args);
		const facts = { hypercall: name, arguments: args };
		if (this.stopsAt("hypercall", () => `Hypercall ${name}`, facts)) this.next(work);
		else work();
	}

	private perform(domain: Domain, number: number, args: readonly bigint[]): void {
		const { frame, hypercalls } = this;
		const { state } = this.control;
		const name = hypercallName(number);
		const at = BigInt.asUintN(64, frame.rip - HYPERCALL_BYTES);
		const call = new HypercallContext(domain, this.guestMemory, args);
		hypercalls.count(name);
		const handler = hypercalls.find(number);
		const result = handler ? handler(call) : -38;
		if (call.continuation) {
			// The instruction is executed again, with what is left to do.
			frame.rip = at;
			call.continuation.forEach((value, index) => {
				const register = (domain.wide ? WIDE_ARGUMENTS : COMPAT_ARGUMENTS)[index]!;
				if (domain.wide) state.setGpr64(register, BigInt.asIntN(64, value));
				else state.setGpr32(register, Number(BigInt.asIntN(32, value)));
			});
		} else if (domain.wide) state.setGpr64(RAX, BigInt.asIntN(64, BigInt(result)));
		else state.setGpr32(RAX, Number(BigInt.asIntN(32, BigInt(result))));
		const detail: VmEventField[] = [
			...call.detail,
			{ name: "domain", value: domain.id },
			{ name: "result", value: call.continuation ? "goes on" : result },
		];
		this.observer.record("hypercall", name, at, detail);
		this.next(() => this.finish());
	}

	/** The way back to guest code: another domain's turn, an event's upcall, or just the guest. */
	private finish(): void {
		const { scheduler, frame } = this;
		const domain = scheduler.choose();
		if (domain === undefined) {
			this.idle();
			return;
		}
		const { eventCallback } = domain.vcpu;
		if (eventCallback && !this.holdInterrupts && this.entry.eventPending(domain) && !this.entry.eventsMasked(domain)) {
			this.statistics.upcalls++;
			this.observer.record("interrupt", "event upcall", frame.rip);
			const work = () => {
				this.callGuest(domain, { ...eventCallback, masksEvents: true });
				this.next(() => this.finish());
			};
			if (this.stopsAt("interrupt", () => `Event upcall at 0x${frame.rip.toString(16)}`, {})) this.next(work);
			else work();
			return;
		}
		this.leave(domain);
	}

	private leave(domain: Domain): void {
		const { frame, entry } = this;
		entry.sanitize(domain, frame);
		try {
			this.inside = false;
			this.control.leave(frame);
			this.badFrames = 0;
		} catch (fault) {
			if (!(fault instanceof Fault)) throw fault;
			this.inside = true;
			this.control.enterRing0();
			this.badFrame(domain, fault);
		}
	}

	/** The guest asked for a frame that the processor refuses: its failsafe callback is called, or it ends. */
	private badFrame(domain: Domain, fault: Fault): void {
		const { failsafeCallback } = domain.vcpu;
		const { frame } = this;
		const what = `it cannot go on at ${frame.cs.toString(16)}:0x${frame.rip.toString(16)} (exception ${fault.vector})`;
		const called =
			failsafeCallback !== undefined &&
			++this.badFrames <= 8 &&
			this.entry.call(domain, frame, failsafeCallback, undefined, true);
		if (!called) this.crash(domain, what);
		this.next(() => this.finish());
	}

	/** Frames in a row that could not be loaded: a failsafe callback that cannot be entered either. */
	private badFrames = 0;

	private idle(): void {
		this.inside = false;
		if (![...this.domains.values()].some((domain) => !domain.ended)) {
			this.observer.halted();
			this.inside = true;
			this.suspended = true;
			return;
		}
		this.control.loadIdleRoot();
		this.control.idle();
	}

	/** Writes a domain's run state where it wants it, while its kernel's tables are in use. */
	updateRunState(domain: Domain): void {
		const { runStateArea, inKernel } = domain.vcpu;
		if (runStateArea === 0n || domain !== this.current || !inKernel) return;
		this.guestMemory.write(runStateArea, runStateInfo(domain, this.host.now()));
	}

	/** Something outside of guest code has changed what should run: the host is called into the VMM. */
	attention(): void {
		if (!this.inside) this.control.requestInterrupt(true);
	}

	// Tables.

	/** Makes a table the root of a domain's kernel, or of its user mode. 0 or a negative errno. */
	loadGuestRoot(domain: Domain, frame: number, user = false): number {
		const { vcpu } = domain;
		const old = user ? vcpu.userRoot : vcpu.root;
		const result = this.tables.getPageAndType(frame, domain.id, domain.wide ? PageType.l4 : PageType.l3);
		if (result < 0) return result;
		if (user) vcpu.userRoot = frame;
		else {
			// The same linear addresses may hold other descriptors now.
			this.unmapLocalDescriptorTable(domain);
			vcpu.root = frame;
		}
		if (domain === this.current && vcpu.inKernel !== user) this.control.loadDomainRoot(domain);
		if (old >= 0) this.tables.putPageAndType(old);
		return 0;
	}

	/** Puts frames of descriptors into a domain's GDT, before the VMM's own page. 0 or a negative errno and nothing changed. */
	setGlobalDescriptorFrames(domain: Domain, frames: readonly number[]): number {
		const { tables, control } = this;
		for (const [index, frame] of frames.entries()) {
			const result = tables.getPageAndType(frame, domain.id, PageType.descriptors);
			if (result === 0) continue;
			for (const taken of frames.slice(0, index)) tables.putPageAndType(taken);
			return result;
		}
		const old = domain.vcpu.gdtFrames;
		domain.vcpu.gdtFrames = [...frames];
		for (let page = 0; page < FIRST_RESERVED_GDT_PAGE; page++)
			control.mapPerDomain(domain, PerDomainArea.gdt + page * 4096, frames[page] ?? -1);
		for (const frame of old) tables.putPageAndType(frame);
		return 0;
	}

	/** Takes away the mappings of a domain's LDT. */
	unmapLocalDescriptorTable(domain: Domain): void {
		domain.vcpu.ldtFrames.forEach((frame, page) => {
			if (frame < 0) return;
			domain.vcpu.ldtFrames[page] = -1;
			this.control.mapPerDomain(domain, PerDomainArea.ldt + page * 4096, -1);
			this.tables.putPageAndType(frame);
		});
	}

	/** CR2 of the host: the address of the page fault just taken. */
	get faultAddress(): bigint {
		return BigInt.asUintN(64, this.control.state.i64[State.cr2 >> 3]!);
	}
}

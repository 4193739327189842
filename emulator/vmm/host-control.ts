// What the VMM does to the host: its descriptor tables, task state, control registers, interrupt controllers, and the way
// in and out of guest code. Everything that the hardware uses lies in host physical memory.

import { Activity, Internal, type ProcessorState } from "../cpu/processor-state.ts";
import { Fault } from "../engine/fault.ts";
import { Efer, Cr0 as HostCr0, Cr4 as HostCr4 } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { HostMachine } from "../machine/host-machine.ts";
import { refuse } from "./guest/guest-context.ts";
import { Cr0 } from "./guest/guest-page-walk.ts";
import { endInterrupt, startInterruptController } from "./host-interrupt-lines.ts";
import { Area, ENTRY_BYTES, HostSelector, HostVector, VMM_BASE, VMM_BYTES, VMM_INTERRUPT_LINE } from "./layout.ts";
import { type DescriptorWords, shadowDescriptor } from "./segments/shadow-descriptor.ts";
import type { VirtualSegment } from "./virtual-cpu.ts";
import type { VmmMemory } from "./vmm-memory.ts";

const ESP = 4;
const EFLAGS_IF = 0x200;
/** Offset in the entry page of the VMM's idle loop: behind the last vector that translated code or a device raises. */
const IDLE = 0xff0;
const TSS_BYTES = 104;
/** Vectors that push an error code (SDM Vol. 3A, Table 6-1). */
const WITH_ERROR_CODE = 0x27d00;

/** What the host pushed when it entered the VMM from guest code. */
export interface HostFrame {
	vector: number;
	errorCode: number;
	eip: number;
	cs: number;
	eflags: number;
	esp: number;
	ss: number;
}

/** A code or data descriptor. `access` as in SegmentSlot.access, without G; the limit in bytes. */
export function makeDescriptor(base: number, limit: number, access: number): DescriptorWords {
	const pages = limit > 0xfffff;
	const raw = pages ? limit >>> 12 : limit;
	const rights = (access & ~0x8000) | (pages ? 0x8000 : 0);
	return [
		(raw & 0xffff) | ((base & 0xffff) << 16),
		((base >>> 16) & 0xff) | (raw & 0xf0000) | ((rights & 0xf0ff) << 8) | (base & 0xff000000),
	];
}

export class HostControl {
	readonly state: ProcessorState;
	private readonly frame: HostFrame = { vector: 0, errorCode: 0, eip: 0, cs: 0, eflags: 0, esp: 0, ss: 0 };
	private readonly entryStart = VMM_BASE + Area.entryPage;

	constructor(
		readonly host: HostMachine,
		private readonly memory: VmmMemory,
		/** Translated code runs in ring 1 and calls the VMM. */
		private readonly translates: boolean,
	) {
		this.state = host.processor.core.state;
	}

	/** Takes over the host after power-on. @param rootFrame of the first root. */
	start(rootFrame: number): void {
		const { state, host } = this;
		this.buildTables();
		state.i32[State.gdtrBase >> 2] = (VMM_BASE + Area.globalDescriptorTable) | 0;
		state.i32[State.gdtrLimit >> 2] = 0xffff;
		state.i32[State.idtrBase >> 2] = (VMM_BASE + Area.interruptDescriptorTable) | 0;
		state.i32[State.idtrLimit >> 2] = 256 * 8 - 1;
		state.setSegment(Segment.tr, HostSelector.taskState, 0x8b, (VMM_BASE + Area.taskState) | 0, 0, TSS_BYTES - 1);
		state.setNullSegment(Segment.ldtr, 0);
		state.setSegment(Segment.cs, HostSelector.code, 0xc09b, 0, 0, 0xffffffff);
		state.setSegment(Segment.ss, HostSelector.stack, 0xc093, 0, 0, 0xffffffff);
		state.cpl = 0;
		// The shadow tables are PAE tables with execute-disable bits.
		state.cr4 = HostCr4.PAE;
		state.efer = Efer.NXE;
		state.cr0 = HostCr0.PE | HostCr0.PG | HostCr0.WP | HostCr0.NE | HostCr0.ET;
		this.loadRoot(rootFrame);
		state.updateMode();
		host.engine.setHostEntry(BigInt(this.entryStart), BigInt(this.entryStart + 4096));
		startInterruptController(host, HostVector.interrupts, [VMM_INTERRUPT_LINE]);
	}

	private buildTables(): void {
		const { memory } = this;
		memory.fill32(Area.globalDescriptorTable, 0x10000 / 4, 0);
		// Execute-only: guest code in ring 1 must not load it as data, for it is not truncated.
		if (this.translates) this.setDescriptor(HostSelector.translatedCode, makeDescriptor(0, 0xffffffff, 0x40b9));
		this.setDescriptor(HostSelector.code, makeDescriptor(0, 0xffffffff, 0x409b));
		this.setDescriptor(HostSelector.stack, makeDescriptor(0, 0xffffffff, 0x4093));
		this.setDescriptor(HostSelector.taskState, makeDescriptor(VMM_BASE + Area.taskState, TSS_BYTES - 1, 0x8b));
		for (let vector = 0; vector < 256; vector++) {
			const entry = this.entryStart + vector * ENTRY_BYTES;
			const called = vector === HostVector.callout || vector === HostVector.continuation;
			const dpl = this.translates && called ? 1 : 0;
			const at = Area.interruptDescriptorTable + vector * 8;
			memory.write32(at, (HostSelector.code << 16) | (entry & 0xffff));
			memory.write32(at + 4, (entry & 0xffff0000) | 0x8e00 | (dpl << 13));
		}
		memory.fill32(Area.taskState, TSS_BYTES / 4, 0);
		memory.write32(Area.taskState + 4, VMM_BASE + Area.stackEnd);
		memory.write32(Area.taskState + 8, HostSelector.stack);
		// The I/O map lies beyond the limit: every port access of guest code traps (SDM Vol. 1 §19.5.2).
		memory.write32(Area.taskState + 0x64, TSS_BYTES << 16);
	}

	/** Makes the host take an interrupt as soon as guest code runs, or takes that back. */
	requestInterrupt(asserted: boolean): void {
		this.host.devices.pic.line(VMM_INTERRUPT_LINE).set(asserted);
	}

	/** Ends the service of the VMM's interrupt. */
	endInterrupt(): void {
		this.requestInterrupt(false);
		endInterrupt(this.host, VMM_INTERRUPT_LINE);
	}

	setDescriptor(selector: number, [low, high]: DescriptorWords): void {
		const at = Area.globalDescriptorTable + (selector & 0xfff8);
		this.memory.write32(at, low);
		this.memory.write32(at + 4, high);
	}

	loadRoot(frame: number): void {
		this.state.i32[State.cr3 >> 2] = frame * 4096;
		this.state.i32[(State.cr3 >> 2) + 1] = 0;
		if (!this.host.processor.core.paging.loadPdptes(frame * 4096)) throw new Error("The VMM's own PDPTEs are broken.");
		this.host.tlb.flush();
	}

	/** CR0 and CR4 of the host follow what the guest says of x87, SSE, XSAVE, alignment and UMIP; paging and write protection are always on. */
	followControls(cr0: number, cr4: number): void {
		const { state } = this;
		const own = HostCr0.PE | HostCr0.PG | HostCr0.WP | HostCr0.NE | HostCr0.ET;
		state.cr0 = own | (cr0 & (Cr0.mp | Cr0.em | Cr0.ts | Cr0.am));
		const followed = HostCr4.OSFXSR | HostCr4.OSXMMEXCPT | HostCr4.DE | HostCr4.UMIP | HostCr4.OSXSAVE;
		state.cr4 = HostCr4.PAE | (cr4 & followed);
		state.updateMode();
	}

	/** The frame that the host pushed; the next entry reuses the object. */
	readFrame(): HostFrame {
		const { frame, memory, state } = this;
		frame.vector = ((state.eip - this.entryStart) / ENTRY_BYTES) | 0;
		const withError = frame.vector < 32 && ((WITH_ERROR_CODE >> frame.vector) & 1) !== 0;
		const at = Area.stackEnd - 20;
		frame.errorCode = withError ? memory.read32(at - 4) : 0;
		frame.eip = memory.read32(at) >>> 0;
		frame.cs = memory.read32(at + 4) & 0xffff;
		frame.eflags = memory.read32(at + 8);
		frame.esp = memory.read32(at + 12) >>> 0;
		frame.ss = memory.read32(at + 16) & 0xffff;
		return frame;
	}

	/** Leaves the VMM for guest code: an IRET with the frame given. @throws {GuestRefusal} when the host's segments do not reach it */
	leave(eip: number, cs: number, eflags: number, esp: number, ss: number): void {
		const { memory, state } = this;
		const at = Area.stackEnd - 20;
		memory.write32(at, eip);
		memory.write32(at + 4, cs);
		memory.write32(at + 8, eflags);
		memory.write32(at + 12, esp);
		memory.write32(at + 16, ss);
		state.setGpr32(ESP, VMM_BASE + at);
		try {
			this.host.processor.helpers.iret!(0, 4);
		} catch (fault) {
			if (!(fault instanceof Fault)) throw fault;
			refuse("runs code or has a stack that its truncated segments do not reach", eip);
		}
	}

	/** Puts the host where an entry leaves it, when a debugger took it out of guest code. */
	enterRing0(): void {
		const { state } = this;
		state.setSegment(Segment.cs, HostSelector.code, 0xc09b, 0, 0, 0xffffffff);
		state.setSegment(Segment.ss, HostSelector.stack, 0xc093, 0, 0, 0xffffffff);
		state.cpl = 0;
		state.flagsRest = 0;
		state.updateMode();
		state.setGpr32(ESP, VMM_BASE + Area.stackEnd);
		state.rip = BigInt(this.entryStart + IDLE);
	}

	/** Halts the host in the VMM, with interrupts on: STI, HLT. The next entry comes from here. */
	idle(): void {
		const { state } = this;
		state.setGpr32(ESP, VMM_BASE + Area.stackEnd);
		state.flagsRest = EFLAGS_IF;
		state.rip = BigInt(this.entryStart + IDLE);
		state.i32[Internal.activity >> 2] = Activity.halted;
	}

	/** Loads the VMM's %gs, for translated code; its descriptor is in the table for no longer, so that the guest finds none. */
	loadVmmGs(): void {
		this.state.setSegment(Segment.gs, HostSelector.vmmData, 0xc0b3, VMM_BASE | 0, 0, VMM_BYTES - 1);
	}

	/** Loads the guest's %gs for user code. @param shadowed the host's table holds its descriptor */
	loadGuestGs(segment: VirtualSegment, shadowed: boolean): void {
		const { state } = this;
		if ((segment.selector & ~3) === 0 || segment.access & 0x10000) {
			state.setNullSegment(Segment.gs, segment.selector);
			return;
		}
		let selector = segment.selector;
		if (!shadowed) {
			selector = HostSelector.cachedGs;
			this.cacheDescriptor(selector, segment);
		}
		this.host.processor.core.segmentation.load(Segment.gs, selector);
	}

	/** Writes a cached descriptor: the hidden part of a segment register, truncated. */
	cacheDescriptor(selector: number, segment: VirtualSegment): void {
		const guest = makeDescriptor(segment.base, segment.limit, segment.access | 1);
		this.setDescriptor(selector, shadowDescriptor(guest));
	}

	/** Flat data segments, truncated, that no descriptor table of the guest holds yet. */
	loadFlatData(segments: readonly SegmentIndex[], selector: number): void {
		for (const segment of segments) this.state.setSegment(segment, selector, 0xc0b3, 0, 0, VMM_BASE - 1);
	}

	loadLocalDescriptorTable(length: number): void {
		if (length === 0) {
			this.setDescriptor(HostSelector.localDescriptorTable, [0, 0]);
			this.state.setNullSegment(Segment.ldtr, 0);
			return;
		}
		const base = VMM_BASE + Area.localDescriptorTable;
		this.setDescriptor(HostSelector.localDescriptorTable, makeDescriptor(base, length - 1, 0x82));
		this.state.setSegment(Segment.ldtr, HostSelector.localDescriptorTable, 0x82, base | 0, 0, length - 1);
	}
}

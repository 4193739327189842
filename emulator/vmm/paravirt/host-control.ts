// What the VMM does to the host: 4-level paging in long mode, descriptor tables, task state, SYSCALL, interrupt controllers, and the
// way in and out of guest code. All of it lies in host physical memory. Both kinds of guests run under these tables: 64-bit kernels
// in ring 3, 32-bit ones in ring 1 in compatibility mode, where no address reaches the VMM.

import { SystemCallMsr } from "../../cpu/model-specific-registers.ts";
import { Activity, Internal, type ProcessorState } from "../../cpu/processor-state.ts";
import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { Segment, State } from "../../isa/state.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import { endInterrupt, startInterruptController } from "../host-interrupt-lines.ts";
import type { Domain, GuestFrame } from "./domain.ts";
import type { FrameAllocator } from "./memory/frame-table.ts";
import type { MachineMemory } from "./memory/machine-memory.ts";
import { Entry } from "./memory/page-tables.ts";
import {
	ENTRY_BYTES,
	GDT_LIMIT,
	HYPERCALL_VECTOR,
	INTERRUPT_VECTOR,
	PER_DOMAIN_HIGH,
	PerDomainArea,
	SYSTEM_CALL_VECTOR,
	TIMER_LINE,
	VMM_HIGH,
	VMM_LINEAR,
	VmmArea,
	VmmSelector,
	XenSlot,
} from "./vmm-layout.ts";
import { FIRST_RESERVED_GDT_PAGE, GuestSelector } from "./xen-abi.ts";

/** The line by which the slave of the 8259A pair reaches the master. */
const CASCADE = 2;
const RSP = 4;
const RCX = 1;
const R11 = 11;
const TSS_BYTES = 104;
/** Vectors that push an error code (SDM Vol. 3A, Table 6-1). */
const WITH_ERROR_CODE = 0x27d00;
const TABLE_ENTRY = Entry.present | Entry.writable | Entry.user | Entry.accessed;
const PRIVATE_ENTRY = Entry.present | Entry.writable | Entry.accessed | Entry.dirty;
/** Entries of the machine-to-physical tables of frames that are no guest's. */
const NO_PHYSICAL = -1;
const INTERRUPT_GATE = 0x8e00;

/** How guest code was left. */
export type HostEntry =
	| { readonly kind: "vector"; readonly vector: number; readonly errorCode: number; readonly fromGuest: boolean }
	| { readonly kind: "syscall" }
	| { readonly kind: "sysenter" };

/** A flat segment descriptor: type and DPL, S, P in bits 47:40; D, L, G in 55:52. */
function flat(access: number, flags: number): readonly [number, number] {
	return [0x0000ffff, 0x000f0000 | (access << 8) | (flags << 20)];
}

const CODE64 = 0xa;
const CODE32 = 0xc;
/** Reserved page of the GDT of 64-bit guests: arch-x86/xen-x86_64.h, FLAT_RING3_*. */
const WIDE_DESCRIPTORS: readonly (readonly [number, readonly [number, number]])[] = [
	[VmmSelector.code, flat(0x9b, CODE64)],
	[VmmSelector.data, flat(0x93, CODE32)],
	[GuestSelector.ring3Code32, flat(0xfb, CODE32)],
	[GuestSelector.ring3Data, flat(0xf3, CODE32)],
	[GuestSelector.ring3Code64, flat(0xfb, CODE64)],
];
/** The same of 32-bit guests: arch-x86/xen-x86_32.h, FLAT_RING1_* and FLAT_RING3_*. */
const COMPAT_DESCRIPTORS: readonly (readonly [number, readonly [number, number]])[] = [
	[VmmSelector.code, flat(0x9b, CODE64)],
	[VmmSelector.data, flat(0x93, CODE32)],
	[GuestSelector.compatRing1Code, flat(0xbb, CODE32)],
	[GuestSelector.compatRing1Data, flat(0xb3, CODE32)],
	[GuestSelector.compatRing3Code, flat(0xfb, CODE32)],
	[GuestSelector.compatRing3Data, flat(0xf3, CODE32)],
];

export class HostControl {
	readonly state: ProcessorState;
	/** Level-3 tables of the VMM's area and of the machine-to-physical table. */
	private vmmL3 = -1;
	private machineToPhysicalL3 = -1;
	/** Frames of the machine-to-physical tables: 8 and 4 bytes an entry. */
	private readonly wideTable: number[] = [];
	private readonly compatTable: number[] = [];
	private readonly compatL1: number[] = [];
	private readonly area: number[] = [];
	private wideDescriptors = -1;
	private compatDescriptors = -1;
	/** Table that the host runs on while no domain does. */
	private idleRoot = -1;

	constructor(
		readonly host: HostMachine,
		private readonly memory: MachineMemory,
		private readonly allocator: FrameAllocator,
	) {
		this.state = host.processor.core.state;
	}

	private take(): number {
		const frame = this.allocator.take();
		if (frame < 0) throw new Error("The host has no memory left for the VMM.");
		this.memory.clear(frame);
		return frame;
	}

	/** Takes over the host after power-on. */
	start(): void {
		this.buildMachineToPhysical();
		this.buildArea();
		this.wideDescriptors = this.buildDescriptors(WIDE_DESCRIPTORS);
		this.compatDescriptors = this.buildDescriptors(COMPAT_DESCRIPTORS);
		this.idleRoot = this.take();
		this.memory.writeEntry(this.idleRoot, XenSlot.vmm, this.vmmL3 * 4096 + PRIVATE_ENTRY, 0);
		const idleL1 = this.buildPerDomain(this.idleRoot);
		this.mapReservedDescriptors(idleL1, true);
		const { state, host } = this;
		state.cr0 = Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP;
		state.cr4 = Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.DE;
		state.efer = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
		this.loadRoot(this.idleRoot);
		const set = (at: number, low: number, high: number): void => {
			state.i32[at >> 2] = low;
			state.i32[(at >> 2) + 1] = high;
		};
		set(State.gdtrBase, PerDomainArea.gdt, PER_DOMAIN_HIGH);
		state.i32[State.gdtrLimit >> 2] = GDT_LIMIT;
		set(State.idtrBase, VmmArea.interruptDescriptorTable, VMM_HIGH);
		state.i32[State.idtrLimit >> 2] = 256 * 16 - 1;
		set(SystemCallMsr.star, 0, (GuestSelector.ring3Code32 << 16) | VmmSelector.code | 0);
		set(SystemCallMsr.lstar, VmmArea.syscallEntry, VMM_HIGH);
		set(SystemCallMsr.fmask, Eflags.TF | Eflags.IF | Eflags.DF | Eflags.IOPL | Eflags.NT | Eflags.RF | Eflags.AC, 0);
		set(SystemCallMsr.sysenterCs, VmmSelector.code, 0);
		set(SystemCallMsr.sysenterEip, VmmArea.sysenterEntry, VMM_HIGH);
		set(SystemCallMsr.sysenterEsp, VmmArea.stackEnd, VMM_HIGH);
		state.setSegment(Segment.tr, VmmSelector.taskState, 0x8b, VmmArea.taskState, VMM_HIGH, TSS_BYTES - 1);
		state.setNullSegment(Segment.ldtr, 0);
		for (const segment of [Segment.es, Segment.ds, Segment.fs, Segment.gs] as const) state.setNullSegment(segment, 0);
		this.enterRing0();
		// The engine compares addresses as signed numbers.
		const first = BigInt.asIntN(64, VMM_LINEAR);
		host.engine.setHostEntry(first, first + BigInt(VmmArea.entryEnd));
		startInterruptController(this.host, INTERRUPT_VECTOR, [TIMER_LINE, CASCADE]);
	}

	/** Both forms of the table, with every frame marked as no guest's, and the tables that map them read-only to all. */
	private buildMachineToPhysical(): void {
		const { memory } = this;
		const fill = (frames: number[], bytes: number): void => {
			for (let done = 0; done < memory.frames * bytes; done += 4096) {
				const frame = this.take();
				for (let word = 0; word < 1024; word++) memory.write(frame, word, NO_PHYSICAL);
				frames.push(frame);
			}
		};
		fill(this.wideTable, 8);
		fill(this.compatTable, 4);
		const readOnly = Entry.present | Entry.user | Entry.accessed;
		const level1 = (frames: readonly number[]): number[] => {
			const tables: number[] = [];
			frames.forEach((frame, index) => {
				if (index % 512 === 0) tables.push(this.take());
				memory.writeEntry(tables[tables.length - 1]!, index % 512, frame * 4096 + readOnly, 0);
			});
			return tables;
		};
		const l2 = this.take();
		level1(this.wideTable).forEach((table, index) => {
			memory.writeEntry(l2, index, table * 4096 + TABLE_ENTRY, 0);
		});
		this.machineToPhysicalL3 = this.take();
		memory.writeEntry(this.machineToPhysicalL3, 0, l2 * 4096 + TABLE_ENTRY, 0);
		this.compatL1.push(...level1(this.compatTable));
	}

	/** The VMM's own area: entries, IDT, TSS, stack. No guest may see or touch it. */
	private buildArea(): void {
		const { memory } = this;
		for (let offset = 0; offset < VmmArea.end; offset += 4096) this.area.push(this.take());
		const l1 = this.take();
		this.area.forEach((frame, index) => {
			memory.writeEntry(l1, index, frame * 4096 + PRIVATE_ENTRY, 0);
		});
		const l2 = this.take();
		memory.writeEntry(l2, 0, l1 * 4096 + PRIVATE_ENTRY, 0);
		this.vmmL3 = this.take();
		memory.writeEntry(this.vmmL3, 0, l2 * 4096 + PRIVATE_ENTRY, 0);
		for (let vector = 0; vector < 256; vector++) {
			const dpl = [3, 4, SYSTEM_CALL_VECTOR].includes(vector) ? 3 : vector === HYPERCALL_VECTOR ? 1 : 0;
			const at = VmmArea.interruptDescriptorTable + vector * 16;
			const offset = VmmArea.entry + vector * ENTRY_BYTES;
			this.write(at, (VmmSelector.code << 16) | offset);
			this.write(at + 4, INTERRUPT_GATE | (dpl << 13));
			this.write(at + 8, VMM_HIGH);
		}
		// RSP0; the I/O map lies beyond the limit, so that every port access of a guest traps (SDM Vol. 1 §19.5.2).
		this.write(VmmArea.taskState + 4, VmmArea.stackEnd);
		this.write(VmmArea.taskState + 8, VMM_HIGH);
		this.write(VmmArea.taskState + 0x64, TSS_BYTES << 16);
	}

	/** A dword of the VMM's area. */
	private write(offset: number, value: number): void {
		this.memory.write(this.area[offset >> 12]!, (offset & 0xfff) >> 2, value);
	}

	private read(offset: number): number {
		return this.memory.read(this.area[offset >> 12]!, (offset & 0xfff) >> 2);
	}

	private buildDescriptors(descriptors: typeof WIDE_DESCRIPTORS): number {
		const frame = this.take();
		const first = FIRST_RESERVED_GDT_PAGE * 4096;
		for (const [selector, [low, high]] of descriptors)
			this.memory.writeEntry(frame, (selector - first) >> 3, low, high);
		const tss = (VmmSelector.taskState - first) >> 3;
		const base = VmmArea.taskState;
		this.memory.writeEntry(frame, tss, (TSS_BYTES - 1) | ((base & 0xffff) << 16), ((base >>> 16) & 0xff) | 0x8b00);
		this.memory.writeEntry(frame, tss + 1, VMM_HIGH, 0);
		return frame;
	}

	/** Opens or closes a line of the host's interrupt controllers. */
	maskLine(line: number, masked: boolean): void {
		const { ports } = this.host.devices;
		const port = line < 8 ? 0x21 : 0xa1;
		const bit = 1 << (line & 7);
		const mask = ports.read(port, 1);
		ports.write(port, 1, masked ? mask | bit : mask & ~bit);
	}

	/** Ends the service of an interrupt. */
	endInterrupt(line: number): void {
		endInterrupt(this.host, line);
	}

	/** Makes the host take an interrupt as soon as guest code runs, or takes that back. */
	requestInterrupt(asserted: boolean): void {
		this.host.devices.pic.line(TIMER_LINE).set(asserted);
	}

	// What belongs to a domain.

	/** Tables of the per-domain area under a top-level table. @returns the level-1 table. */
	private buildPerDomain(root: number): number {
		const l1 = this.take();
		const l2 = this.take();
		const l3 = this.take();
		this.memory.writeEntry(l2, 0, l1 * 4096 + PRIVATE_ENTRY, 0);
		this.memory.writeEntry(l3, 0, l2 * 4096 + PRIVATE_ENTRY, 0);
		this.memory.writeEntry(root, XenSlot.perDomain, l3 * 4096 + PRIVATE_ENTRY, 0);
		return l1;
	}

	private mapReservedDescriptors(l1: number, wide: boolean): void {
		const frame = wide ? this.wideDescriptors : this.compatDescriptors;
		this.memory.writeEntry(l1, FIRST_RESERVED_GDT_PAGE, frame * 4096 + PRIVATE_ENTRY, 0);
	}

	/** Makes what the VMM needs for a new domain: its monitor table and per-domain area. */
	addDomain(domain: Domain): void {
		const { memory } = this;
		domain.monitorRoot = this.take();
		domain.perDomainL1 = this.buildPerDomain(domain.monitorRoot);
		domain.perDomainL3 = memory.read(domain.monitorRoot, XenSlot.perDomain * 2) >>> 12;
		this.mapReservedDescriptors(domain.perDomainL1, domain.wide);
		domain.fillXenSlots = (frame) => {
			for (let slot = 256; slot < 272; slot++) memory.writeEntry(frame, slot, 0, 0);
			memory.writeEntry(frame, XenSlot.machineToPhysical, this.machineToPhysicalL3 * 4096 + TABLE_ENTRY, 0);
			memory.writeEntry(frame, XenSlot.perDomain, domain.perDomainL3 * 4096 + PRIVATE_ENTRY, 0);
			memory.writeEntry(frame, XenSlot.vmm, this.vmmL3 * 4096 + PRIVATE_ENTRY, 0);
		};
		domain.fillCompatSlots = (frame) => {
			for (let slot = 428; slot < 512; slot++) {
				const table = this.compatL1[slot - 428];
				if (table === undefined) memory.writeEntry(frame, slot, 0, 0);
				else memory.writeEntry(frame, slot, table * 4096 + TABLE_ENTRY, 0);
			}
		};
		domain.fillXenSlots(domain.monitorRoot);
	}

	/** The page of a 32-bit guest's top GByte where the VMM's part begins is found through the guest's own level-2 table. */
	setMachineToPhysical(frame: number, page: number): void {
		const { memory } = this;
		memory.writeEntry(this.wideTable[frame >> 9]!, frame & 511, page, page < 0 ? -1 : 0);
		memory.write(this.compatTable[frame >> 10]!, frame & 1023, page);
	}

	machineToPhysical(frame: number): number {
		return this.memory.read(this.compatTable[frame >> 10]!, frame & 1023);
	}

	/** Frames of the 64-bit table: XENMEM_machphys_mfn_list gives them to Domain 0. */
	get machineToPhysicalFrames(): readonly number[] {
		return this.wideTable;
	}

	/** Writes the entry of the per-domain area at an offset; a frame of -1 unmaps it. */
	mapPerDomain(domain: Domain, offset: number, frame: number): void {
		if (frame < 0) this.memory.writeEntry(domain.perDomainL1, offset >> 12, 0, 0);
		else this.memory.writeEntry(domain.perDomainL1, offset >> 12, frame * 4096 + PRIVATE_ENTRY, 0);
		this.host.processor.core.paging.flushPage(offset, PER_DOMAIN_HIGH);
	}

	/** The LDT of the domain that runs. */
	loadLocalDescriptorTable(entries: number): void {
		const { state } = this;
		if (entries === 0) state.setNullSegment(Segment.ldtr, 0);
		else {
			const selector = VmmSelector.localDescriptorTable;
			state.setSegment(Segment.ldtr, selector, 0x82, PerDomainArea.ldt, PER_DOMAIN_HIGH, entries * 8 - 1);
		}
	}

	/** Loads CR3. */
	loadRoot(frame: number): void {
		this.state.i32[State.cr3 >> 2] = frame * 4096;
		this.state.i32[(State.cr3 >> 2) + 1] = 0;
		this.host.processor.core.paging.flush();
	}

	/** The table that the host runs on for a domain: the guest's own top-level table, or the VMM's that leads to it. */
	loadDomainRoot(domain: Domain): void {
		const { vcpu } = domain;
		if (domain.wide) {
			this.loadRoot(vcpu.inKernel ? vcpu.root : vcpu.userRoot);
			return;
		}
		this.memory.writeEntry(domain.monitorRoot, 0, vcpu.root * 4096 + TABLE_ENTRY, 0);
		this.loadRoot(domain.monitorRoot);
	}

	loadIdleRoot(): void {
		this.loadRoot(this.idleRoot);
	}

	/** CR0.TS as the guest that runs has it. */
	setTaskSwitched(set: boolean): void {
		const { state } = this;
		state.cr0 = set ? state.cr0 | Cr0.TS : state.cr0 & ~Cr0.TS;
		state.updateMode();
	}

	// In and out.

	/** How the VMM was entered, and the guest's registers into `frame`. */
	readEntry(frame: GuestFrame): HostEntry {
		const { state } = this;
		const offset = state.eip - VmmArea.entry;
		if (offset >= VmmArea.syscallEntry) {
			frame.rsp = state.gpr64(RSP);
			frame.ss = GuestSelector.ring3Data;
			if (offset === VmmArea.sysenterEntry) {
				Object.assign(frame, { rip: 0n, cs: GuestSelector.ring3Code32, rflags: Eflags.IF, rsp: 0n });
				return { kind: "sysenter" };
			}
			frame.rip = BigInt.asUintN(64, state.gpr64(RCX));
			frame.rflags = Number(state.gpr64(R11));
			frame.cs = GuestSelector.ring3Code64;
			return { kind: "syscall" };
		}
		const vector = (offset / ENTRY_BYTES) | 0;
		const at = VmmArea.stackEnd - 40;
		const withError = vector < 32 && ((WITH_ERROR_CODE >> vector) & 1) !== 0;
		const cs = this.read(at + 8) & 0xffff;
		frame.rip = this.read64(at);
		frame.cs = cs;
		frame.rflags = this.read(at + 16);
		frame.rsp = this.read64(at + 24);
		frame.ss = this.read(at + 32) & 0xffff;
		return {
			kind: "vector",
			vector,
			errorCode: withError ? this.read(at - 8) : 0,
			fromGuest: (cs & 3) !== 0,
		};
	}

	private read64(offset: number): bigint {
		return (BigInt(this.read(offset + 4) >>> 0) << 32n) | BigInt(this.read(offset) >>> 0);
	}

	private write64(offset: number, value: bigint): void {
		this.write(offset, Number(BigInt.asIntN(32, value)));
		this.write(offset + 4, Number(BigInt.asIntN(32, value >> 32n)));
	}

	/** Leaves the VMM for guest code: an IRETQ. @throws {Fault} what the frame raises. */
	leave(frame: GuestFrame): void {
		const at = VmmArea.stackEnd - 40;
		this.write64(at, frame.rip);
		this.write64(at + 8, BigInt(frame.cs));
		this.write64(at + 16, BigInt(frame.rflags >>> 0));
		this.write64(at + 24, frame.rsp);
		this.write64(at + 32, BigInt(frame.ss));
		this.state.setGpr64(RSP, BigInt.asIntN(64, VMM_LINEAR + BigInt(at)));
		this.host.processor.helpers.iret!(0, 8);
	}

	/** Puts the host where an entry leaves it. */
	enterRing0(): void {
		const { state } = this;
		state.setSegment(Segment.cs, VmmSelector.code, 0xa09b, 0, 0, 0xffffffff | 0);
		state.setSegment(Segment.ss, VmmSelector.data, 0xc093, 0, 0, 0xffffffff | 0);
		state.cpl = 0;
		state.flagsRest = 0;
		state.updateMode();
		state.setGpr64(RSP, BigInt.asIntN(64, VMM_LINEAR + BigInt(VmmArea.stackEnd)));
		state.rip = VMM_LINEAR + BigInt(VmmArea.idle);
	}

	/** Halts the host in the VMM, with interrupts on: STI, HLT. The next entry comes from here. */
	idle(): void {
		const { state } = this;
		this.enterRing0();
		state.flagsRest = Eflags.IF;
		state.i32[Internal.activity >> 2] = Activity.halted;
	}
}

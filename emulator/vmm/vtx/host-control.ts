// What the VMM does to the host to be its VMX root software: 64-bit mode with its own tables, VMX operation, the interrupt controllers.
// Everything that the hardware uses lies in host physical memory.

import { msrSlot } from "../../cpu/model-specific-registers.ts";
import type { ProcessorState } from "../../cpu/processor-state.ts";
import { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs, VmcsRegion } from "../../cpu/vmx/vmcs-fields.ts";
import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../../isa/state.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import { endInterrupt, startInterruptController } from "../host-interrupt-lines.ts";
import { Area, HOST_INTERRUPTS, HostSelector, Instruction, machineCode, VMM_INTERRUPT_LINE } from "./layout.ts";

const RAX = 0;
const RSP = 4;
const GIB = 2 ** 30;
/** P, R/W, A, D; with PS a page of 2 MBytes. */
const TABLE_ENTRY = 0x63;
const LARGE_PAGE_ENTRY = 0xe3;
const TSS_BYTES = 0x68;
const CODE_64 = 0xa09b;
const DATA = 0xc093;
const BUSY_TSS = 0x8b;
/** IA32_FEATURE_CONTROL: locked, VMX outside SMX. */
const FEATURE_CONTROL = 5n;

export const HOST_CR0 = Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET;
export const HOST_CR4 = Cr4.PAE | Cr4.OSFXSR | Cr4.OSXMMEXCPT | Cr4.VMXE;
export const HOST_EFER = Efer.LME | Efer.LMA | Efer.NXE;

export class HostControl {
	readonly state: ProcessorState;
	readonly vmcs: VmcsMemory;
	readonly entryAddress: number;

	/** @param area host-physical address of the VMM's memory. */
	constructor(
		readonly host: HostMachine,
		readonly area: number,
	) {
		this.state = host.processor.core.state;
		this.vmcs = new VmcsMemory(host.physical, area + Area.vmcs);
		this.entryAddress = area + Area.entryPage;
	}

	at(offset: number): number {
		return this.area + offset;
	}

	private store32(offset: number, ...words: readonly number[]): void {
		for (const [index, word] of words.entries()) this.host.physical.write(this.at(offset) + index * 4, 4, word >>> 0);
	}

	/** Takes over the host after power-on, up to a clear VMCS that is current. */
	start(): void {
		const { host, state } = this;
		host.physical.poke(this.area, new Uint8Array(Area.end));
		this.buildPageTables();
		this.buildDescriptors();
		for (const [offset, bytes] of machineCode)
			host.physical.poke(this.at(Area.instructions + offset), new Uint8Array(bytes));
		state.cr0 = HOST_CR0;
		state.cr4 = HOST_CR4;
		state.efer = HOST_EFER;
		state.i64[State.cr3 >> 3] = BigInt(this.at(Area.pageTables));
		state.i64[msrSlot("IA32_FEATURE_CONTROL") >> 3] = FEATURE_CONTROL;
		state.i64[State.gdtrBase >> 3] = BigInt(this.at(Area.descriptorTables));
		state.i32[State.gdtrLimit >> 2] = 0xffff;
		state.i64[State.idtrBase >> 3] = BigInt(this.at(Area.interruptDescriptorTable));
		state.i32[State.idtrLimit >> 2] = 0xffff;
		const task = this.at(Area.descriptorTables) + 0x100;
		state.setSegment(Segment.tr, HostSelector.taskState, BUSY_TSS, task, 0, TSS_BYTES - 1);
		state.setNullSegment(Segment.ldtr, 0);
		state.setSegment(Segment.cs, HostSelector.code, CODE_64, 0, 0, 0xffffffff);
		const data: readonly SegmentIndex[] = [Segment.es, Segment.ss, Segment.ds, Segment.fs, Segment.gs];
		for (const segment of data) state.setSegment(segment, HostSelector.data, DATA, 0, 0, 0xffffffff);
		state.cpl = 0;
		state.flagsRest = 0;
		state.setGpr64(RSP, BigInt(this.at(Area.stackEnd)));
		state.updateMode();
		host.tlb.flush();
		startInterruptController(host, HOST_INTERRUPTS, [VMM_INTERRUPT_LINE]);
		host.engine.setHostEntry(BigInt(this.entryAddress), BigInt(this.entryAddress + 4096));
		this.enterVmxOperation();
	}

	/** Linear = physical for all of the host's memory, in pages of 2 MBytes. */
	private buildPageTables(): void {
		const directories = Math.ceil(this.host.physical.ramBytes / GIB);
		const entry = (offset: number, address: number, flags: number) => this.store32(offset, address | flags, 0);
		const pointers = Area.pageTables + 0x1000;
		entry(Area.pageTables, this.at(pointers), TABLE_ENTRY);
		for (let directory = 0; directory < directories; directory++) {
			const table = pointers + 0x1000 * (1 + directory);
			entry(pointers + directory * 8, this.at(table), TABLE_ENTRY);
			for (let page = 0; page < 512; page++)
				entry(table + page * 8, directory * GIB + page * 0x200000, LARGE_PAGE_ENTRY);
		}
	}

	private buildDescriptors(): void {
		const table = Area.descriptorTables;
		const task = this.at(table) + 0x100;
		this.store32(table + HostSelector.code, 0x0000ffff, 0x00af9b00);
		this.store32(table + HostSelector.data, 0x0000ffff, 0x00cf9300);
		this.store32(
			table + HostSelector.taskState,
			((task & 0xffff) << 16) | (TSS_BYTES - 1),
			((task >>> 16) & 0xff) | (BUSY_TSS << 8) | (task & 0xff000000),
			0,
			0,
		);
	}

	/** VMXON, VMCLEAR and VMPTRLD, executed by the host (SDM Vol. 3C §31.5). */
	private enterVmxOperation(): void {
		const revision = Number(this.host.processor.modelSpecific.read(0x480)! & 0x7fffffffn);
		this.store32(Area.vmxonRegion, revision);
		this.vmcs.setWord(VmcsRegion.revision, revision);
		for (const [instruction, region] of [
			[Instruction.vmxon, Area.vmxonRegion],
			[Instruction.vmclear, Area.vmcs],
			[Instruction.vmptrld, Area.vmcs],
		] as const) {
			this.store32(Area.stackEnd - 8, this.at(region), 0);
			this.state.setGpr64(RAX, BigInt(this.at(Area.stackEnd - 8)));
			this.state.rip = BigInt(this.at(Area.instructions + instruction));
			this.host.engine.execute(1);
			if (this.hasFailed) throw new Error(`The host refused the VMX instruction at offset ${instruction}.`);
		}
	}

	/** Whether the last VMX instruction failed (SDM Vol. 3C §31.2). */
	get hasFailed(): boolean {
		return (this.host.processor.core.readEflags() & (Eflags.CF | Eflags.ZF)) !== 0;
	}

	/** The host-state area. */
	writeHostState(): void {
		const { vmcs } = this;
		vmcs.write(Vmcs.hostCr0, BigInt(HOST_CR0 >>> 0));
		vmcs.write(Vmcs.hostCr3, BigInt(this.at(Area.pageTables)));
		vmcs.write(Vmcs.hostCr4, BigInt(HOST_CR4 >>> 0));
		vmcs.write(Vmcs.hostEfer, BigInt(HOST_EFER));
		vmcs.write(Vmcs.hostPat, 0x0007040600070406n);
		vmcs.write32(Vmcs.hostCs, HostSelector.code);
		for (const field of [Vmcs.hostSs, Vmcs.hostDs, Vmcs.hostEs, Vmcs.hostFs, Vmcs.hostGs])
			vmcs.write32(field, HostSelector.data);
		vmcs.write32(Vmcs.hostTr, HostSelector.taskState);
		vmcs.write(Vmcs.hostTrBase, BigInt(this.at(Area.descriptorTables) + 0x100));
		vmcs.write(Vmcs.hostGdtrBase, BigInt(this.at(Area.descriptorTables)));
		vmcs.write(Vmcs.hostIdtrBase, BigInt(this.at(Area.interruptDescriptorTable)));
		vmcs.write(Vmcs.hostRsp, BigInt(this.at(Area.stackEnd)));
		vmcs.write(Vmcs.hostRip, BigInt(this.entryAddress));
	}

	/** In VMX non-root operation: the guest runs. */
	get inGuest(): boolean {
		return this.host.processor.runsGuest;
	}

	/** Puts the host before VMLAUNCH or VMRESUME. */
	prepareEntry(launched: boolean): void {
		const offset = launched ? Instruction.vmresume : Instruction.vmlaunch;
		this.state.rip = BigInt(this.at(Area.instructions + offset));
	}

	/** Makes the host take an interrupt, a VM exit, as soon as the guest runs, or takes that back. */
	requestInterrupt(asserted: boolean): void {
		this.host.devices.pic.line(VMM_INTERRUPT_LINE).set(asserted);
	}

	/** Ends the service of the VMM's interrupt. */
	endInterrupt(): void {
		this.requestInterrupt(false);
		endInterrupt(this.host, VMM_INTERRUPT_LINE);
	}
}

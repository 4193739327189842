// The vCPU: what the guest believes of its processor, as far as the host's registers do not hold it. General registers, x87
// and SSE, and ES, DS and FS are always the host's own.

import { GuestMsrs } from "./guest/guest-msrs.ts";
import { Cr0, Cr4, type PagingControls } from "./guest/guest-page-walk.ts";
import { INTERRUPTS_OFF, VcpuBlock } from "./layout.ts";
import type { VmmMemory } from "./vmm-memory.ts";

/** A segment register of the guest that the host's register does not hold. Access rights as in SegmentSlot.access. */
export interface VirtualSegment {
	selector: number;
	access: number;
	base: number;
	limit: number;
}

export interface TableRegister {
	base: number;
	limit: number;
}

/** CR4 bits that the guest may set; what is behind the others its CPUID does not announce. */
export const GUEST_CR4 =
	Cr4.tsd | Cr4.de | Cr4.pse | Cr4.pae | Cr4.mce | Cr4.pge | Cr4.osfxsr | Cr4.osxmmexcpt | Cr4.umip | Cr4.osxsave;
const UNUSABLE = 1 << 16;

export class VirtualCpu implements PagingControls {
	cr0 = 0;
	cr2 = 0;
	cr3 = 0;
	cr4 = 0;
	/** Of EFER a 32-bit guest has NXE alone. */
	efer = 0;
	readonly pdptes = new Int32Array(8);
	readonly dr = new Int32Array(8);
	readonly gdtr: TableRegister = { base: 0, limit: 0 };
	readonly idtr: TableRegister = { base: 0, limit: 0 };
	readonly cs: VirtualSegment = { selector: 0, access: 0, base: 0, limit: 0 };
	readonly ss: VirtualSegment = { selector: 0, access: 0, base: 0, limit: 0 };
	/** Valid while translated code runs or the VMM does: then the host's %gs is the VMM's. */
	readonly gs: VirtualSegment = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
	readonly ldtr: VirtualSegment = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
	readonly tr: VirtualSegment = { selector: 0, access: UNUSABLE, base: 0, limit: 0 };
	cpl: 0 | 3 = 0;
	iopl = 0;
	/** EFLAGS.TF of guest code that runs translated (user code has the real one). */
	trapFlag = false;
	sysenterCs = 0;
	sysenterEsp = 0;
	sysenterEip = 0;
	/** The other model-specific registers. */
	readonly msrs = new GuestMsrs();
	halted = false;

	constructor(private readonly block: VmmMemory) {}

	/** The state after power-on, in protected mode as the boot protocols leave it. */
	reset(): void {
		this.cr0 = Cr0.pe | Cr0.et;
		this.cr2 = this.cr3 = this.cr4 = this.efer = 0;
		this.pdptes.fill(0);
		this.dr.fill(0);
		this.dr[6] = 0xffff0ff0 | 0;
		this.dr[7] = 0x400;
		Object.assign(this.gdtr, { base: 0, limit: 0xffff });
		Object.assign(this.idtr, { base: 0, limit: 0 });
		for (const segment of [this.gs, this.ldtr, this.tr])
			Object.assign(segment, { selector: 0, access: UNUSABLE, base: 0, limit: 0 });
		this.cpl = 0;
		this.iopl = 0;
		this.trapFlag = false;
		this.sysenterCs = this.sysenterEsp = this.sysenterEip = 0;
		this.msrs.reset();
		this.halted = false;
		this.interruptFlag = false;
		this.pendingInterrupt = false;
		this.publishSelectors();
	}

	/** The guest's EFLAGS.IF; it lies in the vCPU block, where translated code reads and writes it. */
	get interruptFlag(): boolean {
		return this.block.read32(VcpuBlock.interruptAdjust) === 0;
	}

	set interruptFlag(set: boolean) {
		this.block.write32(VcpuBlock.interruptAdjust, set ? 0 : INTERRUPTS_OFF);
	}

	/** A virtual interrupt waits for IF; translated STI looks at it. */
	get pendingInterrupt(): boolean {
		return this.block.read32(VcpuBlock.pendingInterrupt) !== 0;
	}

	set pendingInterrupt(set: boolean) {
		this.block.write32(VcpuBlock.pendingInterrupt, set ? 1 : 0);
	}

	/** Stores the selectors that translated code reads from the vCPU block. */
	publishSelectors(): void {
		this.block.write32(VcpuBlock.guestCs, this.cs.selector);
		this.block.write32(VcpuBlock.guestSs, this.ss.selector);
		this.block.write32(VcpuBlock.guestGs, this.gs.selector);
		this.block.write32(VcpuBlock.guestLdtr, this.ldtr.selector);
		this.block.write32(VcpuBlock.guestTr, this.tr.selector);
	}
}

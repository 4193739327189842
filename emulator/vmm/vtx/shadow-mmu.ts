// `--mmu shadow` under VT-x without EPT: the hardware's CR3 is the root of shadow page tables, PAE tables or, for a guest in IA-32e mode,
// 4-level ones. So CR0.PG, CR0.WP, CR4.PAE and EFER.NXE are always set in the hardware, and the guest reads its own values from the read
// shadows and from the VMM. Every page fault exits, every change of CR0, CR3, CR4 and EFER that paging hangs on exits; INVLPG need not,
// for the shadows follow the guest's tables at each write to them. Such writes are to traced pages: they fault, and the VMM executes the
// instruction in software.

import { inspectMappings, inspectWalk, physicalTables } from "../../cpu/page-walk-view.ts";
import { Internal, type ProcessorState } from "../../cpu/processor-state.ts";
import { Primary } from "../../cpu/vmx/controls.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { Vector } from "../../engine/fault.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import { MachineError, type Mapping, type Walk } from "../../machine/virtual-machine.ts";
import { walkInSpace } from "../guest/guest-memory-view.ts";
import type { PagingControls } from "../guest/guest-page-walk.ts";
import type { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import type { HostFrames } from "../host-frames.ts";
import { FillResult, SHADOWED_CR4, ShadowPageTables } from "../shadow/shadow-page-tables.ts";
import type { GuestException, GuestMmu, MmuOutcome } from "./guest-mmu.ts";

/** Bits of CR0 that paging hangs on, and PE, which VMX operation without unrestricted guests fixes (SDM Vol. 3C §24.8). */
const OWNED_CR0 = Cr0.PE | Cr0.PG | Cr0.WP;
/** PGE too: a change of it loads the PDPTE registers (SDM Vol. 3A §4.4.1). */
const OWNED_CR4 = SHADOWED_CR4 | Cr4.PSE | Cr4.PGE | Cr4.PCIDE;
const IA32_EFER = 0xc0000080;

export class ShadowMmu implements GuestMmu {
	readonly kind = "shadow";
	readonly ownedCr0 = OWNED_CR0;
	readonly ownedCr4 = OWNED_CR4;
	readonly interceptedExceptions = 1 << Vector.pageFault;
	readonly shadow: ShadowPageTables;
	/** What the guest believes. */
	private readonly controls: PagingControls = { cr0: 0, cr3: 0, cr4: 0, efer: 0, pdptes: new Int32Array(8) };
	private active = false;
	private traceWrites = 0;

	/**
	 * @param flush forgets cached translations: INVVPID.
	 * @param hidden told of each hidden page fault.
	 */
	constructor(
		private readonly host: PhysicalMemory,
		frames: HostFrames,
		memory: GuestPhysicalMemory,
		private readonly vmcs: VmcsMemory,
		flush: () => void,
		private readonly hidden: (linear: bigint, errorCode: number) => void,
	) {
		this.shadow = new ShadowPageTables(host, frames, memory, this.controls, {
			flushTlb: flush,
			// The next entry loads it from the VMCS.
			rootChanged: () => {},
			hasCode: () => false,
			codeMappingDropped: () => {},
			directoryEntryChanged: () => {},
		});
	}

	configure(vmcs: VmcsMemory): void {
		const primary = vmcs.read32(Vmcs.primaryControls);
		vmcs.write32(Vmcs.primaryControls, primary | Primary.cr3LoadExiting | Primary.cr3StoreExiting);
		// Every page fault exits: its error code matches (SDM Vol. 3C §25.6.3).
		vmcs.write32(Vmcs.pageFaultErrorCodeMask, 0);
		vmcs.write32(Vmcs.pageFaultErrorCodeMatch, 0);
		const bitmap = Number(vmcs.read(Vmcs.msrBitmap));
		for (const half of [0x400, 0xc00]) {
			const at = bitmap + half + ((IA32_EFER & 0x1fff) >> 3);
			this.host.write(at, 1, this.host.read(at, 1) | (1 << (IA32_EFER & 7)));
		}
	}

	/** @throws {MachineError} when the guest goes where VT-x without EPT does not lead. */
	realize(vmcs: VmcsMemory, guest: ProcessorState): void {
		this.follow(guest);
		const { shadow, controls } = this;
		if ((controls.cr0 & Cr0.PE) === 0)
			throw new MachineError(
				`The guest is in real-address mode at 0x${guest.rip.toString(16)}, which VT-x runs with extended page tables alone: choose "mmu": "ept".`,
			);
		const real = (value: bigint, clear: number, set: number) => (value & ~BigInt(clear >>> 0)) | BigInt(set >>> 0);
		vmcs.write(Vmcs.guestCr0, real(vmcs.read(Vmcs.guestCr0), 0, OWNED_CR0));
		vmcs.write(Vmcs.guestCr4, real(vmcs.read(Vmcs.guestCr4), SHADOWED_CR4, shadow.hardwareCr4));
		vmcs.write(Vmcs.guestCr3, BigInt(shadow.rootFrame * 4096));
		// LME is LMA's while CR0.PG is set (§27.3.1.1).
		const longMode = controls.efer & Efer.LMA ? Efer.LME : 0;
		vmcs.write(Vmcs.guestEfer, real(BigInt(controls.efer >>> 0), Efer.LME, Efer.NXE | longMode));
	}

	/** Makes the shadow tables those of the guest's state. */
	private follow(guest: ProcessorState): void {
		const { controls } = this;
		const pdptes = guest.i32.subarray(Internal.pdpte >> 2, (Internal.pdpte >> 2) + 8);
		const cr3 = Number(BigInt.asUintN(64, guest.i64[State.cr3 >> 3]!));
		const owned = (cr0: number) => cr0 & OWNED_CR0;
		const same =
			this.active &&
			owned(controls.cr0) === owned(guest.cr0) &&
			controls.cr3 === cr3 &&
			controls.cr4 === guest.cr4 &&
			controls.efer === guest.efer &&
			pdptes.every((word, index) => word === controls.pdptes[index]);
		if (same) return;
		controls.cr0 = guest.cr0;
		controls.cr3 = cr3;
		controls.cr4 = guest.cr4;
		controls.efer = guest.efer;
		controls.pdptes.set(pdptes);
		this.active = true;
		this.shadow.activate();
	}

	virtualize(guest: ProcessorState): void {
		const { controls } = this;
		guest.i64[State.cr3 >> 3] = BigInt(controls.cr3);
		guest.efer = controls.efer;
		guest.i32.set(controls.pdptes, Internal.pdpte >> 2);
	}

	handleEptViolation(): MmuOutcome {
		throw new Error("There are no extended page tables.");
	}

	handlePageFault(linear: bigint, errorCode: number): MmuOutcome | GuestException {
		const { shadow, vmcs } = this;
		const low = Number(BigInt.asIntN(32, linear));
		const high = Number((linear >> 32n) & 0xffffn);
		// At CPL 3 a supervisor's access is an implicit one.
		const explicit = ((vmcs.read32(Vmcs.guestSsAccess) >> 5) & 3) !== 3;
		const alignmentCheck = explicit && (vmcs.read32(Vmcs.guestRflags) & Eflags.AC) !== 0;
		const result = shadow.pageFault(low, errorCode, alignmentCheck, high);
		switch (result) {
			case FillResult.filled:
				this.hidden(linear, errorCode);
				return "resume";
			case FillResult.fault:
				return { vector: Vector.pageFault, errorCode: shadow.walk.errorCode, address: linear };
			case FillResult.traced:
				this.traceWrites++;
				return "emulate";
			default:
				return "emulate";
		}
	}

	invalidatePage(): void {}

	monitorTrap(): void {}

	memoryWritten(address: number, length: number): void {
		if (this.shadow.traces.has(Math.floor(address / 4096))) this.shadow.guestTableWritten(address, length);
	}

	pageChanged(page: number): void {
		this.shadow.forgetPage(page);
	}

	walk(
		linear: bigint,
		_guestPhysical: bigint | undefined,
		access: { write?: boolean; user?: boolean; execute?: boolean },
	): Walk {
		return walkInSpace(
			"shadow",
			"hpa",
			linear,
			inspectWalk(physicalTables(this.host), this.shadow.inspected(), linear, access),
		);
	}

	mappings(from: bigint, limit: number): Mapping[] {
		const { mappings } = inspectMappings(physicalTables(this.host), this.shadow.inspected(), from, limit);
		return mappings.map((mapping) => ({ ...mapping, target: { space: "hpa", value: BigInt(mapping.target) } }));
	}

	statistics() {
		const { shadow, traceWrites } = this;
		return {
			hiddenFaults: shadow.hiddenFaults,
			traceWrites,
			shadowTables: shadow.size,
			evictedTables: shadow.evicted,
		};
	}
}

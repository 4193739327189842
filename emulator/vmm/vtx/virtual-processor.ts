// The vCPU as a processor of its own: what the guest believes, put together from the VMCS, from the registers that the guest leaves in the
// host's processor, and from the registers that exist only in the VMM (MTRRs, IA32_APIC_BASE, ...).

import { msrSlot } from "../../cpu/model-specific-registers.ts";
import type { PortBus } from "../../cpu/port-io.ts";
import { ArchitecturalProcessor } from "../../cpu/processor.ts";
import { Internal, type ProcessorState } from "../../cpu/processor-state.ts";
import { loadGuestState, saveGuestState } from "../../cpu/vmx/guest-state.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { GuestControls } from "../../cpu/vmx/vmx-state.ts";
import { PhysicalMemory, type RecycledMemory } from "../../engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../../engine/translation-lookaside-buffer.ts";
import { Cr0, Cr4 } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import type { GuestMmu } from "./guest-mmu.ts";

const RSP = 4;
/** What VMX operation fixes in CR0, and the cache bits, which entries and exits leave alone (SDM Vol. 3C §24.8, §27.3.2.1). */
const OWNED_CR0 = Cr0.NE | Cr0.CD | Cr0.NW;
const OWNED_CR4 = Cr4.VMXE;

/** Bytes of the state that are the guest's in the host's processor also while the VMM works: [start, end). */
const LIVE: readonly (readonly [start: number, end: number])[] = [
	[State.xmm, State.xcr0 + 8],
	[State.cr2, State.cr2 + 8],
	[State.dr, State.dr + 4 * 8],
	[State.dr + 6 * 8, State.dr + 7 * 8],
	...["IA32_STAR", "IA32_LSTAR", "IA32_CSTAR", "IA32_FMASK", "IA32_KERNEL_GS_BASE", "IA32_TSC_AUX"].map((name) => {
		const at = msrSlot(name);
		return [at, at + 8] as const;
	}),
];

export class VirtualProcessor {
	readonly processor: ArchitecturalProcessor;
	readonly state: ProcessorState;
	readonly physical: PhysicalMemory;

	constructor(
		protected readonly host: HostMachine,
		protected readonly vmcs: VmcsMemory,
		protected readonly mmu: GuestMmu,
		parts: { readonly ports?: PortBus; readonly ferr?: () => void; readonly retired?: () => number } = {},
		recycled?: RecycledMemory,
	) {
		this.physical = new PhysicalMemory(2 * 4096, 0, recycled);
		this.processor = new ArchitecturalProcessor({
			physical: this.physical,
			tlb: new TranslationLookasideBuffer(this.physical),
			ports: parts.ports ?? { read: () => 0, write: () => {} },
			timestamp: () => host.now(),
			retired: parts.retired ?? (() => host.engine.retired),
			...(parts.ferr ? { ferr: parts.ferr } : {}),
			// Above shadow page tables the hardware's CR3 is no CR3 of the guest, and has no identifier of its.
			features: { vmx: false, pcid: mmu.kind === "ept" },
		});
		this.state = this.processor.core.state;
	}

	private get ownedCr0(): number {
		return OWNED_CR0 | this.mmu.ownedCr0;
	}

	private get ownedCr4(): number {
		return OWNED_CR4 | this.mmu.ownedCr4;
	}

	/** Takes over registers that exist only in the VMM. */
	adopt(other: VirtualProcessor): void {
		this.state.u8.set(other.state.u8.subarray(State.msr, State.msr + 60 * 8), State.msr);
	}

	/** The guest's state after an exit. */
	load(): void {
		const { vmcs, state } = this;
		const host = this.host.processor.core.state;
		state.u8.set(host.u8.subarray(State.gpr, State.gpr + 16 * 8), State.gpr);
		for (const [start, end] of LIVE) state.u8.set(host.u8.subarray(start, end), start);
		loadGuestState(this.processor.core, vmcs, new GuestControls(vmcs));
		state.i64[Internal.timestampOffset >> 3] = BigInt.asIntN(64, vmcs.read(Vmcs.tscOffset));
		this.showControls();
	}

	/** The guest's state while it runs: the host's registers are its. */
	loadRunning(): void {
		const { state } = this;
		const host = this.host.processor.core.state;
		state.u8.set(host.u8.subarray(0, State.msr), 0);
		for (const [start, end] of LIVE) state.u8.set(host.u8.subarray(start, end), start);
		for (const name of ["IA32_SYSENTER_CS", "IA32_SYSENTER_ESP", "IA32_SYSENTER_EIP", "IA32_PAT", "IA32_DEBUGCTL"]) {
			const at = msrSlot(name);
			state.i64[at >> 3] = host.i64[at >> 3]!;
		}
		const internal = State.msr + 54 * 8;
		state.u8.set(host.u8.subarray(internal, State.msr + 64 * 8), internal);
		this.showControls();
	}

	/** CR0 and CR4 as the guest reads them (SDM Vol. 3C §25.6.6), and what hangs on them. */
	private showControls(): void {
		const { state, vmcs } = this;
		const shown = (real: number, owned: number, shadow: number) => (real & ~owned) | (shadow & owned);
		state.cr0 = shown(state.cr0, this.ownedCr0, vmcs.read32(Vmcs.cr0ReadShadow));
		state.cr4 = shown(state.cr4, this.ownedCr4, vmcs.read32(Vmcs.cr4ReadShadow));
		this.mmu.virtualize(state);
		state.updateMode();
		this.processor.core.paging.flush();
	}

	/** Writes the state to where the next entry finds it. */
	store(): void {
		const { vmcs, state } = this;
		const host = this.host.processor.core.state;
		saveGuestState(this.processor.core, vmcs, new GuestControls(vmcs), undefined);
		this.storeControls();
		vmcs.write(Vmcs.tscOffset, BigInt.asUintN(64, state.i64[Internal.timestampOffset >> 3]!));
		const stack = host.gpr64(RSP);
		host.u8.set(state.u8.subarray(State.gpr, State.gpr + 16 * 8), State.gpr);
		host.setGpr64(RSP, stack);
		for (const [start, end] of LIVE) host.u8.set(state.u8.subarray(start, end), start);
	}

	private storeControls(): void {
		const { state, vmcs, ownedCr0, ownedCr4 } = this;
		vmcs.write(Vmcs.cr0Mask, BigInt(ownedCr0 >>> 0));
		vmcs.write(Vmcs.cr4Mask, BigInt(ownedCr4 >>> 0));
		vmcs.write(Vmcs.cr0ReadShadow, BigInt(state.cr0 >>> 0));
		vmcs.write(Vmcs.cr4ReadShadow, BigInt(state.cr4 >>> 0));
		vmcs.write(Vmcs.guestCr0, BigInt(((state.cr0 & ~OWNED_CR0) | Cr0.NE) >>> 0));
		vmcs.write(Vmcs.guestCr4, BigInt((state.cr4 | Cr4.VMXE) >>> 0));
		this.mmu.realize(vmcs, state);
	}
}

// The guest-state area: saved at a VM exit (SDM Vol. 3C §28.3), loaded at a VM entry (§27.3.2).

import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../../isa/state.ts";
import type { ProcessorCore } from "../core.ts";
import { Activity, Internal } from "../processor-state.ts";
import { EntryControl, ExitControl, Secondary } from "./controls.ts";
import { GuestActivity, Interruptibility, PendingDebug } from "./guest-checks.ts";
import { MsrPlace, setWord, wordOf } from "./state-words.ts";
import type { VmcsMemory } from "./vmcs.ts";
import { Vmcs } from "./vmcs-fields.ts";
import { type GuestControls, VmxWord } from "./vmx-state.ts";

/** Bits of CR0 that neither entry nor exit changes: ET, NW, CD (§27.3.2.1, §28.5.1). */
const CR0_KEPT = Cr0.ET | Cr0.NW | Cr0.CD;

const SEGMENTS: readonly (readonly [SegmentIndex, selector: number, base: number, limit: number, access: number])[] = [
	[Segment.es, Vmcs.guestEs, Vmcs.guestEsBase, Vmcs.guestEsLimit, Vmcs.guestEsAccess],
	[Segment.cs, Vmcs.guestCs, Vmcs.guestCsBase, Vmcs.guestCsLimit, Vmcs.guestCsAccess],
	[Segment.ss, Vmcs.guestSs, Vmcs.guestSsBase, Vmcs.guestSsLimit, Vmcs.guestSsAccess],
	[Segment.ds, Vmcs.guestDs, Vmcs.guestDsBase, Vmcs.guestDsLimit, Vmcs.guestDsAccess],
	[Segment.fs, Vmcs.guestFs, Vmcs.guestFsBase, Vmcs.guestFsLimit, Vmcs.guestFsAccess],
	[Segment.gs, Vmcs.guestGs, Vmcs.guestGsBase, Vmcs.guestGsLimit, Vmcs.guestGsAccess],
	[Segment.ldtr, Vmcs.guestLdtr, Vmcs.guestLdtrBase, Vmcs.guestLdtrLimit, Vmcs.guestLdtrAccess],
	[Segment.tr, Vmcs.guestTr, Vmcs.guestTrBase, Vmcs.guestTrLimit, Vmcs.guestTrAccess],
];
const PDPTES = [Vmcs.guestPdpte0, Vmcs.guestPdpte1, Vmcs.guestPdpte2, Vmcs.guestPdpte3];
/** Access rights that the VMCS has; the state keeps no others. */
const ACCESS_DEFINED = 0x1f0ff;

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const high = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));

/** Whether the PDPTE registers are in use. */
export function usesPdptes(cr0: number, cr4: number, longMode: boolean): boolean {
	return (cr0 & Cr0.PG) !== 0 && (cr4 & Cr4.PAE) !== 0 && !longMode;
}

/**
 * @param resumeFlag what RF is stored as; undefined: as it is.
 * @param now virtual time.
 */
export function saveGuestState(
	core: ProcessorCore,
	vmcs: VmcsMemory,
	controls: GuestControls,
	resumeFlag: boolean | undefined,
): void {
	const { state } = core;
	vmcs.write(Vmcs.guestCr0, BigInt(state.cr0 >>> 0));
	vmcs.write(Vmcs.guestCr3, wordOf(state, State.cr3));
	vmcs.write(Vmcs.guestCr4, BigInt(state.cr4 >>> 0));
	vmcs.write32(Vmcs.guestSysenterCs, state.i32[MsrPlace.IA32_SYSENTER_CS >> 2]!);
	vmcs.write(Vmcs.guestSysenterEsp, wordOf(state, MsrPlace.IA32_SYSENTER_ESP));
	vmcs.write(Vmcs.guestSysenterEip, wordOf(state, MsrPlace.IA32_SYSENTER_EIP));
	if (controls.exit & ExitControl.saveDebugControls) {
		vmcs.write(Vmcs.guestDr7, wordOf(state, State.dr + 7 * 8));
		vmcs.write(Vmcs.guestDebugctl, wordOf(state, MsrPlace.IA32_DEBUGCTL));
	}
	if (controls.exit & ExitControl.savePat) vmcs.write(Vmcs.guestPat, wordOf(state, MsrPlace.IA32_PAT));
	if (controls.exit & ExitControl.saveEfer) vmcs.write(Vmcs.guestEfer, BigInt(state.efer >>> 0));
	// IA32_VMX_MISC bit 5: the entry control follows EFER.LMA.
	const entry = vmcs.read32(Vmcs.entryControls) & ~EntryControl.ia32eModeGuest;
	vmcs.write32(Vmcs.entryControls, state.longMode ? entry | EntryControl.ia32eModeGuest : entry);
	for (const [segment, selector, base, limit, access] of SEGMENTS) {
		vmcs.write32(selector, state.selector(segment));
		vmcs.write(base, state.base(segment));
		vmcs.write32(limit, state.limit(segment));
		vmcs.write32(access, state.access(segment) & ACCESS_DEFINED);
	}
	vmcs.write(Vmcs.guestGdtrBase, wordOf(state, State.gdtrBase));
	vmcs.write32(Vmcs.guestGdtrLimit, state.i32[State.gdtrLimit >> 2]!);
	vmcs.write(Vmcs.guestIdtrBase, wordOf(state, State.idtrBase));
	vmcs.write32(Vmcs.guestIdtrLimit, state.i32[State.idtrLimit >> 2]!);
	vmcs.write(Vmcs.guestRip, state.rip);
	vmcs.write(Vmcs.guestRsp, BigInt.asUintN(64, state.gpr64(4)));
	let flags = core.readEflags();
	if (resumeFlag !== undefined) flags = resumeFlag ? flags | Eflags.RF : flags & ~Eflags.RF;
	vmcs.write(Vmcs.guestRflags, BigInt(flags >>> 0));
	vmcs.write32(Vmcs.guestActivity, activityOf(core));
	vmcs.write32(Vmcs.guestInterruptibility, interruptibilityOf(core));
	vmcs.write(Vmcs.guestPendingDebug, BigInt(pendingDebugOf(core)));
	if (controls.secondary & Secondary.enableEpt && usesPdptes(state.cr0, state.cr4, state.longMode))
		for (const [index, field] of PDPTES.entries()) vmcs.write(field, wordOf(state, Internal.pdpte + index * 8));
}

function activityOf(core: ProcessorCore): number {
	const { i32 } = core.state;
	if (i32[VmxWord.waitForSipi >> 2]) return GuestActivity.waitForSipi;
	const activity = i32[Internal.activity >> 2]!;
	return activity === Activity.halted ? GuestActivity.hlt : activity === Activity.shutdown ? GuestActivity.shutdown : 0;
}

function interruptibilityOf(core: ProcessorCore): number {
	const { state } = core;
	const retired = core.retired();
	const movSs = retired < state.internal(Internal.debugShadowBoundary);
	const shadow = retired < state.internal(Internal.shadowBoundary);
	const nmi = state.i32[Internal.nmiBlocked >> 2] !== 0 ? Interruptibility.nmi : 0;
	return nmi | (movSs ? Interruptibility.movSs : shadow ? Interruptibility.sti : 0);
}

function pendingDebugOf(core: ProcessorCore): number {
	const { state } = core;
	const pending = state.i32[Internal.pendingDebug >> 2]!;
	const hits = pending & PendingDebug.breakpoints;
	// Behind MOV SS a single-step trap waits (§28.3.4); so the field fits what the next entry checks.
	const behindMovSs = core.retired() < state.internal(Internal.debugShadowBoundary);
	const step = behindMovSs && state.flagsRest & Eflags.TF ? PendingDebug.singleStep : 0;
	return hits | (hits ? PendingDebug.enabledBreakpoint : 0) | (pending & PendingDebug.singleStep) | step;
}

/** Loads everything but the MSR list and the event. The fields have been checked. */
export function loadGuestState(core: ProcessorCore, vmcs: VmcsMemory, controls: GuestControls): void {
	const { state } = core;
	const entry = vmcs.read32(Vmcs.entryControls);
	const longMode = (entry & EntryControl.ia32eModeGuest) !== 0;
	state.cr0 = (vmcs.read32(Vmcs.guestCr0) & ~CR0_KEPT) | (state.cr0 & CR0_KEPT);
	setWord(state, State.cr3, vmcs.read(Vmcs.guestCr3));
	state.cr4 = vmcs.read32(Vmcs.guestCr4);
	setWord(state, MsrPlace.IA32_SYSENTER_CS, BigInt(vmcs.read32(Vmcs.guestSysenterCs) >>> 0));
	setWord(state, MsrPlace.IA32_SYSENTER_ESP, vmcs.read(Vmcs.guestSysenterEsp));
	setWord(state, MsrPlace.IA32_SYSENTER_EIP, vmcs.read(Vmcs.guestSysenterEip));
	if (entry & EntryControl.loadDebugControls) {
		setWord(state, State.dr + 7 * 8, (vmcs.read(Vmcs.guestDr7) & 0xffff2fffn) | 0x400n);
		setWord(state, MsrPlace.IA32_DEBUGCTL, vmcs.read(Vmcs.guestDebugctl));
	}
	if (entry & EntryControl.loadPat) setWord(state, MsrPlace.IA32_PAT, vmcs.read(Vmcs.guestPat));
	const paging = (state.cr0 & Cr0.PG) !== 0;
	if (entry & EntryControl.loadEfer) state.efer = vmcs.read32(Vmcs.guestEfer);
	const mode = longMode ? Efer.LMA | Efer.LME : 0;
	// Without paging LME stays as it is (§27.3.2.1).
	state.efer = (state.efer & ~(Efer.LMA | (paging ? Efer.LME : 0))) | (paging ? mode : mode & Efer.LMA);
	for (const [segment, selector, base, limit, access] of SEGMENTS) {
		const at = vmcs.read(base);
		const rights = vmcs.read32(access) & ACCESS_DEFINED;
		state.setSegment(segment, vmcs.read32(selector) & 0xffff, rights, low(at), high(at), vmcs.read32(limit));
	}
	setWord(state, State.gdtrBase, vmcs.read(Vmcs.guestGdtrBase));
	state.i32[State.gdtrLimit >> 2] = vmcs.read32(Vmcs.guestGdtrLimit);
	setWord(state, State.idtrBase, vmcs.read(Vmcs.guestIdtrBase));
	state.i32[State.idtrLimit >> 2] = vmcs.read32(Vmcs.guestIdtrLimit);
	state.rip = vmcs.read(Vmcs.guestRip);
	state.setGpr64(4, vmcs.read(Vmcs.guestRsp));
	state.cpl = (state.access(Segment.ss) >> 5) & 3;
	core.writeEflags(vmcs.read32(Vmcs.guestRflags), -1);
	if (controls.secondary & Secondary.enableEpt && usesPdptes(state.cr0, state.cr4, state.longMode))
		for (const [index, field] of PDPTES.entries()) setWord(state, Internal.pdpte + index * 8, vmcs.read(field));
	loadNonRegisterState(core, vmcs);
	state.updateMode();
}

function loadNonRegisterState(core: ProcessorCore, vmcs: VmcsMemory): void {
	const { state } = core;
	const activity = vmcs.read32(Vmcs.guestActivity);
	state.i32[VmxWord.waitForSipi >> 2] = activity === GuestActivity.waitForSipi ? 1 : 0;
	state.i32[Internal.activity >> 2] =
		activity === GuestActivity.active
			? Activity.active
			: activity === GuestActivity.hlt
				? Activity.halted
				: Activity.shutdown;
	const blocking = vmcs.read32(Vmcs.guestInterruptibility);
	state.setInternal(Internal.shadowBoundary, 0);
	state.setInternal(Internal.debugShadowBoundary, 0);
	if (blocking & Interruptibility.movSs) core.beginStackShadow();
	else if (blocking & Interruptibility.sti) core.beginInterruptShadow();
	// With virtual NMIs it is these that are blocked (§27.7.1).
	state.i32[Internal.nmiBlocked >> 2] = blocking & Interruptibility.nmi ? 1 : 0;
	const pending = vmcs.read32(Vmcs.guestPendingDebug);
	state.i32[Internal.pendingDebug >> 2] =
		pending & (PendingDebug.enabledBreakpoint | PendingDebug.singleStep)
			? pending & (PendingDebug.breakpoints | PendingDebug.singleStep)
			: 0;
}

export { CR0_KEPT };

// The host-state area, loaded at a VM exit (SDM Vol. 3C §28.5).

import { Access, Cr4, Efer } from "../../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../../isa/state.ts";
import type { ProcessorCore } from "../core.ts";
import { Activity, Internal } from "../processor-state.ts";
import { ExitControl } from "./controls.ts";
import { CR0_KEPT, usesPdptes } from "./guest-state.ts";
import { MsrPlace, setWord } from "./state-words.ts";
import type { VmcsMemory } from "./vmcs.ts";
import { Vmcs } from "./vmcs-fields.ts";
import { VmxWord } from "./vmx-state.ts";

const FLAT = Access.accessed | Access.S | Access.P | Access.G;
const CODE = FLAT | Access.code | Access.readable;
const DATA = FLAT | Access.writable | Access.DB;
/** A busy 32- or 64-bit TSS that is present. */
const TSS = 0x8b;

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const high = (value: bigint): number => Number(BigInt.asIntN(32, value >> 32n));

/** @returns false when the host's PDPTEs have reserved bits: a VMX abort (§28.7). */
export function loadHostState(core: ProcessorCore, vmcs: VmcsMemory): boolean {
	const { state, paging } = core;
	const exit = vmcs.read32(Vmcs.exitControls);
	const long = (exit & ExitControl.hostAddressSpaceSize) !== 0;
	state.cr0 = (vmcs.read32(Vmcs.hostCr0) & ~CR0_KEPT) | (state.cr0 & CR0_KEPT);
	setWord(state, State.cr3, vmcs.read(Vmcs.hostCr3));
	const cr4 = vmcs.read32(Vmcs.hostCr4);
	state.cr4 = long ? cr4 | Cr4.PAE : cr4 & ~Cr4.PCIDE;
	setWord(state, State.dr + 7 * 8, 0x400n);
	setWord(state, MsrPlace.IA32_DEBUGCTL, 0n);
	setWord(state, MsrPlace.IA32_SYSENTER_CS, BigInt(vmcs.read32(Vmcs.hostSysenterCs) >>> 0));
	setWord(state, MsrPlace.IA32_SYSENTER_ESP, vmcs.read(Vmcs.hostSysenterEsp));
	setWord(state, MsrPlace.IA32_SYSENTER_EIP, vmcs.read(Vmcs.hostSysenterEip));
	if (exit & ExitControl.loadPat) setWord(state, MsrPlace.IA32_PAT, vmcs.read(Vmcs.hostPat));
	if (exit & ExitControl.loadEfer) state.efer = vmcs.read32(Vmcs.hostEfer);
	else state.efer = (state.efer & ~(Efer.LMA | Efer.LME)) | (long ? Efer.LMA | Efer.LME : 0);
	loadSegments(core, vmcs, long);
	state.rip = vmcs.read(Vmcs.hostRip);
	state.setGpr64(4, vmcs.read(Vmcs.hostRsp));
	state.cpl = 0;
	core.writeEflags(0, -1);
	state.i32[Internal.activity >> 2] = Activity.active;
	state.i32[VmxWord.waitForSipi >> 2] = 0;
	state.i32[Internal.pendingDebug >> 2] = 0;
	state.setInternal(Internal.shadowBoundary, 0);
	state.setInternal(Internal.debugShadowBoundary, 0);
	state.updateMode();
	return !usesPdptes(state.cr0, state.cr4, state.longMode) || paging.loadPdptes(state.i32[State.cr3 >> 2]!);
}

/** §28.5.2 */
function loadSegments(core: ProcessorCore, vmcs: VmcsMemory, long: boolean): void {
	const { state } = core;
	const selector = (offset: number): number => vmcs.read32(offset) & 0xffff;
	state.setSegment(Segment.cs, selector(Vmcs.hostCs), CODE | (long ? Access.L : Access.DB), 0, 0, 0xffffffff | 0);
	const data: readonly (readonly [SegmentIndex, number, number | undefined])[] = [
		[Segment.ss, Vmcs.hostSs, undefined],
		[Segment.ds, Vmcs.hostDs, undefined],
		[Segment.es, Vmcs.hostEs, undefined],
		[Segment.fs, Vmcs.hostFs, Vmcs.hostFsBase],
		[Segment.gs, Vmcs.hostGs, Vmcs.hostGsBase],
	];
	for (const [segment, offset, baseOffset] of data) {
		const value = selector(offset);
		const base = baseOffset === undefined ? 0n : vmcs.read(baseOffset);
		const access = value === 0 ? DATA | Access.unusable : DATA;
		state.setSegment(segment, value, access, low(base), high(base), 0xffffffff | 0);
	}
	state.setSegment(Segment.ldtr, 0, Access.unusable | 2, 0, 0, 0);
	const tr = vmcs.read(Vmcs.hostTrBase);
	state.setSegment(Segment.tr, selector(Vmcs.hostTr), TSS, low(tr), high(tr), 0x67);
	state.i64[State.gdtrBase >> 3] = vmcs.read(Vmcs.hostGdtrBase);
	state.i32[State.gdtrLimit >> 2] = 0xffff;
	state.i64[State.idtrBase >> 3] = vmcs.read(Vmcs.hostIdtrBase);
	state.i32[State.idtrLimit >> 2] = 0xffff;
}

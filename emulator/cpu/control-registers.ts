// Control registers and the switches of mode that follow from them (SDM Vol. 3A §2.5, §9.8.5, §9.9; Vol. 2B, MOV to/from CR).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Access, Cr0, Cr4, Efer } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { type ProcessorFeatures, supportedCr4 } from "./cpuid.ts";
import type { LocalApicPort } from "./local-apic-port.ts";
import { isCanonical } from "./memory-access.ts";
import { PHYSICAL_ADDRESS_BITS } from "./paging.ts";
import { Activity, Internal } from "./processor-state.ts";

const CR0_DEFINED = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.NW | Cr0.CD | Cr0.PG;
/** Bits whose change makes cached translations invalid (SDM Vol. 3A §4.10.4.1). */
const CR0_FLUSHES = Cr0.PE | Cr0.WP | Cr0.PG;
const CR4_FLUSHES = Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP;
/** CR3 bits 11:0 while CR4.PCIDE is set: the process-context identifier (SDM Vol. 3A §4.10.1). */
const PCID = 0xfff;
/** Types of INVPCID (SDM Vol. 2A). */
const Invalidation = { address: 0, context: 1, everything: 2, allContexts: 3 } as const;
/** Bits whose change loads the PDPTE registers in PAE paging (SDM Vol. 3A §4.4.1). */
const CR0_LOADS_PDPTES = Cr0.CD | Cr0.NW | Cr0.PG;
const CR4_LOADS_PDPTES = Cr4.PAE | Cr4.PGE | Cr4.PSE | Cr4.SMEP;

const NOTHING_FIXED = { cr0: 0, cr4: 0 } as const;

const badValue = (): Fault => new Fault(Vector.generalProtection, 0);

export class ControlRegisters {
	/** CR8 is the task priority of the local APIC (SDM Vol. 3A §10.8.6). Without one, the register only keeps its value. */
	localApic: LocalApicPort | undefined;
	/** Bits of CR0 and CR4 that VMX operation keeps set (SDM Vol. 3C §24.8). */
	fixedByVmx: () => { readonly cr0: number; readonly cr4: number } = () => NOTHING_FIXED;
	readonly helpers: Record<string, Helper>;

	constructor(
		private readonly core: ProcessorCore,
		private readonly features: ProcessorFeatures,
	) {
		this.helpers = this.instructions();
	}

	private usesPdptes(cr0: number, cr4: number, efer: number): boolean {
		return (cr0 & Cr0.PG) !== 0 && (cr4 & Cr4.PAE) !== 0 && (efer & Efer.LMA) === 0;
	}

	/** @throws {Fault} #GP(0) for a value that MOV to CR0 refuses. */
	writeCr0(low: number, high = 0): void {
		const { state, paging } = this.core;
		const old = state.cr0;
		const cr0 = (low & CR0_DEFINED) | Cr0.ET;
		if (high !== 0) throw badValue();
		if (cr0 & Cr0.PG && !(cr0 & Cr0.PE)) throw badValue();
		if (cr0 & Cr0.NW && !(cr0 & Cr0.CD)) throw badValue();
		const fixed = this.fixedByVmx().cr0;
		if ((cr0 & fixed) !== fixed) throw badValue();
		const changed = old ^ cr0;
		let { efer } = state;
		if (changed & Cr0.PG) {
			if (cr0 & Cr0.PG) {
				if (efer & Efer.LME) {
					// IA-32e mode is entered (SDM Vol. 3A §9.8.5): PAE on, CS not yet 64-bit, no 16-bit TSS.
					const tss16 = (state.access(Segment.tr) & 8) === 0;
					if (!(state.cr4 & Cr4.PAE) || state.access(Segment.cs) & Access.L || tss16) throw badValue();
					efer |= Efer.LMA;
				}
			} else {
				// PCIDs exist in IA-32e mode alone (SDM Vol. 2B, MOV to CR0).
				if (state.mode64 || state.cr4 & Cr4.PCIDE) throw badValue();
				efer &= ~Efer.LMA;
			}
		}
		if (changed & CR0_LOADS_PDPTES && this.usesPdptes(cr0, state.cr4, efer))
			if (!paging.loadPdptes(state.i32[State.cr3 >> 2]!)) throw badValue();
		state.cr0 = cr0;
		state.efer = efer;
		if (changed & CR0_FLUSHES) paging.flush();
		state.updateMode();
	}

	/** @throws {Fault} #GP(0) */
	writeCr3(low: number, high = 0): void {
		const { state, paging } = this.core;
		const identified = (state.cr4 & Cr4.PCIDE) !== 0;
		// Bit 63 of the operand does not go into CR3 (SDM Vol. 3A §4.10.4.1).
		const keep = identified && high < 0;
		if (keep) high &= 0x7fffffff;
		if (high >>> 0 >= 2 ** (PHYSICAL_ADDRESS_BITS - 32)) throw badValue();
		if (this.usesPdptes(state.cr0, state.cr4, state.efer) && !paging.loadPdptes(low)) throw badValue();
		const before = state.i32[State.cr3 >> 2]! & PCID;
		state.i32[State.cr3 >> 2] = low;
		state.i32[(State.cr3 >> 2) + 1] = high;
		if (identified) paging.switchContext(before, low & PCID, keep);
		else paging.flushLocal();
	}

	/** @throws {Fault} #GP(0) */
	writeCr4(low: number, high = 0): void {
		const { state, paging } = this.core;
		if (high !== 0 || low & ~supportedCr4(this.features)) throw badValue();
		if (state.longMode && !(low & Cr4.PAE)) throw badValue();
		// SDM Vol. 2B, MOV to CR4: PCIDs begin in IA-32e mode, with the identifier 000H.
		if (low & ~state.cr4 & Cr4.PCIDE && (!state.longMode || state.i32[State.cr3 >> 2]! & PCID)) throw badValue();
		const fixed = this.fixedByVmx().cr4;
		if ((low & fixed) !== fixed) throw badValue();
		const changed = state.cr4 ^ low;
		if (changed & CR4_LOADS_PDPTES && this.usesPdptes(state.cr0, low, state.efer))
			if (!paging.loadPdptes(state.i32[State.cr3 >> 2]!)) throw badValue();
		state.cr4 = low;
		if (changed & CR4_FLUSHES) paging.flush();
		state.updateMode();
	}

	/** @throws {Fault} #GP(0) */
	private writeCr8(low: number, high: number): void {
		if (high !== 0 || low >>> 0 > 15) throw badValue();
		this.core.state.i64[State.cr8 >> 3] = BigInt(low);
		if (this.localApic) this.localApic.taskPriorityClass = low;
	}

	/** INVPCID (SDM Vol. 2A). */
	private invalidateContext(record: number): void {
		const { state, operands, paging } = this.core;
		const size = state.mode64 ? 8 : 4;
		const type = operands.readRegister(operands.register(record, 0), size);
		const typeHigh = size === 8 ? operands.high : 0;
		const low = operands.readMemory(record, 8);
		const reserved = (low & ~PCID) | operands.high;
		const linearLow = operands.readMemory(record, 8, 8) | 0;
		const linearHigh = state.mode64 ? operands.high : 0;
		if (typeHigh !== 0 || type >>> 0 > Invalidation.allContexts || reserved !== 0) throw badValue();
		const identified = (state.cr4 & Cr4.PCIDE) !== 0;
		if (type === Invalidation.everything || type === Invalidation.allContexts) {
			paging.flush();
			return;
		}
		const identifier = low & PCID;
		if (!identified && identifier !== 0) throw badValue();
		if (type === Invalidation.address) {
			if (!isCanonical(linearHigh)) throw badValue();
			paging.flushPage(linearLow, linearHigh);
		} else paging.flushContext(identifier, identified ? state.i32[State.cr3 >> 2]! & PCID : 0);
	}

	private instructions(): Record<string, Helper> {
		const { core } = this;
		const { state, operands } = core;
		const requireCpl0 = (): void => {
			if (state.cpl !== 0) throw badValue();
		};
		const nothing: Helper = () => {
			requireCpl0();
			return Outcome.next;
		};
		return {
			moveToControl: (record) => {
				const register = operands.register(record, 0);
				if (![0, 2, 3, 4, 8].includes(register)) throw new Fault(Vector.invalidOpcode);
				requireCpl0();
				const size = state.mode64 ? 8 : 4;
				const low = operands.readRegister(operands.register(record, 1), size) | 0;
				const high = size === 8 ? operands.high : 0;
				if (register === 0) this.writeCr0(low, high);
				else if (register === 3) this.writeCr3(low, high);
				else if (register === 4) this.writeCr4(low, high);
				else if (register === 8) this.writeCr8(low, high);
				else {
					state.i32[State.cr2 >> 2] = low;
					state.i32[(State.cr2 >> 2) + 1] = high;
				}
				return operands.advance(record, core.leave());
			},
			moveFromControl: (record) => {
				const register = operands.register(record, 1);
				if (![0, 2, 3, 4, 8].includes(register)) throw new Fault(Vector.invalidOpcode);
				requireCpl0();
				if (register === 8 && this.localApic) state.i64[State.cr8 >> 3] = BigInt(this.localApic.taskPriorityClass);
				const at = [State.cr0, 0, State.cr2, State.cr3, State.cr4, 0, 0, 0, State.cr8][register]! >> 2;
				const size = state.mode64 ? 8 : 4;
				operands.writeRegister(operands.register(record, 0), size, state.i32[at]!, state.i32[at + 1]!);
				return Outcome.next;
			},
			clts: () => {
				requireCpl0();
				state.cr0 &= ~Cr0.TS;
				state.updateMode();
				return Outcome.next;
			},
			/** LMSW loads PE, MP, EM and TS and cannot clear PE (SDM Vol. 2A, LMSW). */
			lmsw: (record) => {
				requireCpl0();
				const word = operands.readRm(record, 0, 2) & 0xf;
				this.writeCr0((state.cr0 & ~0xe) | word);
				return operands.advance(record, core.leave());
			},
			smsw: (record, size) => {
				core.requireSupervisorUnderUmip();
				if (operands.isMemory(record)) operands.writeMemory(record, 2, state.cr0);
				else operands.writeRegister(operands.register(record, 0), size, state.cr0, 0);
				return Outcome.next;
			},
			invlpg: (record) => {
				requireCpl0();
				operands.locate(record);
				const segment = operands.segmentOf(record);
				const { offsetLow, offsetHigh } = operands;
				const base = BigInt.asUintN(64, state.i64[(State.segments + segment * 48) >> 3]!);
				const linear = base + (BigInt(offsetHigh) << 32n) + BigInt(offsetLow >>> 0);
				const low = Number(BigInt.asIntN(32, linear));
				const high = state.mode64 ? Number(BigInt.asIntN(32, linear >> 32n)) : 0;
				// In 64-bit mode a non-canonical address makes it a no-op (SDM Vol. 2A, INVLPG).
				if (isCanonical(high)) core.paging.flushPage(low, high);
				return operands.advance(record, core.leave());
			},
			invpcid: (record) => {
				if (!this.features.pcid) throw new Fault(Vector.invalidOpcode);
				// It is not recognized in virtual-8086 mode, where CPL is 3.
				requireCpl0();
				this.invalidateContext(record);
				return operands.advance(record, core.leave());
			},
			invd: nothing,
			wbinvd: nothing,
			hlt: (record) => {
				requireCpl0();
				state.i32[Internal.activity >> 2] = Activity.halted;
				return operands.advance(record, Outcome.exit);
			},
		};
	}
}

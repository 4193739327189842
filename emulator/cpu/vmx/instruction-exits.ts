// Instructions that cause VM exits, and what they do otherwise in the guest (SDM Vol. 3C §26.1, §26.3).
//
// Each entry wraps the helper of an instruction and is asked only in VMX non-root operation. Faults that come before the exit
// (§26.1.1: #UD, privilege, I/O permission) are checked first.

import { Fault, Vector } from "../../engine/fault.ts";
import { type Helper, Outcome } from "../../engine/helper.ts";
import { Cr0, Cr4 } from "../../isa/register-bits.ts";
import { Record as Field, RecordFlags, Segment } from "../../isa/state.ts";
import type { ControlRegisters } from "../control-registers.ts";
import type { ProcessorCore } from "../core.ts";
import { requireOsxsave } from "../extended-state.ts";
import type { PortIo } from "../port-io.ts";
import { Internal } from "../processor-state.ts";
import { Pin, Primary, Secondary } from "./controls.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import {
	addressSizeBits,
	displacement,
	linearAddress,
	operandInformation,
	registerNumber,
} from "./instruction-information.ts";
import { VmExit, type VmExitInformation } from "./vm-exit.ts";
import { VmcsMemory } from "./vmcs.ts";
import { Vmcs } from "./vmcs-fields.ts";
import type { VmxInstructions } from "./vmx-instructions.ts";
import { VmxWord } from "./vmx-state.ts";
import type { VmxUnit } from "./vmx-unit.ts";

/** What the guest's instruction does: throws a VmExit, or goes on with `next`. */
export type Intercept = (record: number, parameter: number, next: Helper) => Outcome;

/** Access types of control-register exits (Table 28-3). */
const CrAccess = { moveTo: 0, moveFrom: 1 << 4, clts: 2 << 4, lmsw: 3 << 4 } as const;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;

export class InstructionExits {
	readonly intercepts: Readonly<Record<string, Intercept>>;

	constructor(
		private readonly core: ProcessorCore,
		private readonly unit: VmxUnit,
		private readonly vmx: VmxInstructions,
		private readonly control: ControlRegisters,
		private readonly ports: PortIo,
	) {
		this.intercepts = {
			...this.unconditional(),
			...this.simple(),
			...this.controlRegisters(),
			...this.modelSpecific(),
			...this.portInstructions(),
			...this.descriptorTables(),
			iret: (record, parameter, next) => this.iret(record, parameter, next),
		};
	}

	private get controls() {
		return this.unit.controls!;
	}

	private exit(record: number, reason: number, qualification = 0n, information: VmExitInformation = {}): never {
		throw new VmExit(reason, qualification, { instructionLength: this.core.operands.length(record), ...information });
	}

	private requireCpl0(): void {
		if (this.core.state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
	}

	private requireVmxMode(): void {
		const { state } = this.core;
		if (!state.protectedMode || state.virtual8086 || (state.longMode && !state.mode64))
			throw new Fault(Vector.invalidOpcode);
	}

	/** CPUID, INVD, XSETBV and the VMX instructions (§26.1.2). */
	private unconditional(): Record<string, Intercept> {
		const vmx = (reason: number, information: (record: number) => VmExitInformation = () => ({})): Intercept => {
			return (record) => {
				this.requireVmxMode();
				return this.exit(record, reason, displacement(this.core, record), information(record));
			};
		};
		const memory = (record: number): VmExitInformation => ({
			instructionInformation: operandInformation(this.core, record),
		});
		const invalidate = (record: number): VmExitInformation => ({
			instructionInformation: operandInformation(this.core, record) | (registerNumber(this.core, record, 0) << 28),
		});
		return {
			cpuid: (record) => this.exit(record, ExitReasonNumber.cpuid),
			invd: (record) => {
				this.requireCpl0();
				return this.exit(record, ExitReasonNumber.invd);
			},
			vmcall: (record) => this.exit(record, ExitReasonNumber.vmcall),
			vmclear: vmx(ExitReasonNumber.vmclear, memory),
			vmlaunch: vmx(ExitReasonNumber.vmlaunch),
			vmptrld: vmx(ExitReasonNumber.vmptrld, memory),
			vmptrst: vmx(ExitReasonNumber.vmptrst, memory),
			vmresume: vmx(ExitReasonNumber.vmresume),
			vmxoff: vmx(ExitReasonNumber.vmxoff),
			vmxon: vmx(ExitReasonNumber.vmxon, memory),
			invept: vmx(ExitReasonNumber.invept, invalidate),
			invvpid: vmx(ExitReasonNumber.invvpid, invalidate),
			vmread: (record) => this.vmcsAccess(record, false),
			vmwrite: (record) => this.vmcsAccess(record, true),
			vmfunc: (record) => this.vmx.vmfunc(record),
			xsetbv: (record) => {
				requireOsxsave(this.core.state.cr4);
				this.requireCpl0();
				return this.exit(record, ExitReasonNumber.xsetbv);
			},
		};
	}

	/** VMREAD and VMWRITE: an exit, or an access to the shadow VMCS (§25.10, §26.1.3). */
	private vmcsAccess(record: number, write: boolean): Outcome {
		const { core } = this;
		const { state, operands } = core;
		this.requireVmxMode();
		const register = registerNumber(core, record, write ? 0 : 1);
		const other = operands.isMemory(record) ? 0 : registerNumber(core, record, write ? 1 : 0);
		const reason = write ? ExitReasonNumber.vmwrite : ExitReasonNumber.vmread;
		const information = { instructionInformation: operandInformation(core, record, other) | (register << 28) };
		if (!(this.controls.secondary & Secondary.vmcsShadowing))
			return this.exit(record, reason, displacement(core, record), information);
		const size = state.mode64 ? 8 : 4;
		const encoding = operands.readRegister(operands.register(record, write ? 0 : 1), size);
		const high = size === 8 ? operands.high : 0;
		const vmcs = this.unit.vmcs!;
		const bitmap = Number(vmcs.read(write ? Vmcs.vmwriteBitmap : Vmcs.vmreadBitmap));
		const intercepted =
			high !== 0 ||
			encoding >>> 15 !== 0 ||
			(state.physical.read(bitmap + (encoding >>> 3), 1) & (1 << (encoding & 7))) !== 0;
		if (intercepted) return this.exit(record, reason, displacement(core, record), information);
		if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
		const link = vmcs.read(Vmcs.vmcsLinkPointer);
		const shadow = link === 0xffff_ffff_ffff_ffffn ? undefined : new VmcsMemory(state.physical, Number(link));
		if (write) this.vmx.vmwrite(record, shadow);
		else this.vmx.vmread(record, shadow);
		return operands.advance(record, core.leave());
	}

	/** Instructions with one control each (§26.1.3). */
	private simple(): Record<string, Intercept> {
		const { core } = this;
		const { state } = core;
		const when =
			(reason: number, wanted: () => boolean, check: () => void): Intercept =>
			(record, parameter, next) => {
				check();
				return wanted() ? this.exit(record, reason) : next(record, parameter);
			};
		const primary = (bit: number) => () => (this.controls.primary & bit) !== 0;
		const secondary = (bit: number) => () => (this.controls.secondary & bit) !== 0;
		const cpl0 = () => this.requireCpl0();
		const timestamp = () => {
			if (state.cpl !== 0 && state.cr4 & Cr4.TSD) throw new Fault(Vector.generalProtection, 0);
		};
		const counters = () => {
			if (state.cpl !== 0 && !(state.cr4 & Cr4.PCE)) throw new Fault(Vector.generalProtection, 0);
		};
		return {
			hlt: when(ExitReasonNumber.hlt, primary(Primary.hltExiting), cpl0),
			pause: when(ExitReasonNumber.pause, primary(Primary.pauseExiting), () => {}),
			rdtsc: when(ExitReasonNumber.rdtsc, primary(Primary.rdtscExiting), timestamp),
			rdpmc: when(ExitReasonNumber.rdpmc, primary(Primary.rdpmcExiting), counters),
			wbinvd: when(ExitReasonNumber.wbinvd, secondary(Secondary.wbinvdExiting), cpl0),
			rdtscp: (record, parameter, next) => {
				if (!(this.controls.secondary & Secondary.enableRdtscp)) throw new Fault(Vector.invalidOpcode);
				timestamp();
				if (this.controls.primary & Primary.rdtscExiting)
					this.exit(record, ExitReasonNumber.rdtscp, 0n, {
						instructionInformation: 0,
					});
				return next(record, parameter);
			},
			invlpg: (record, parameter, next) => {
				this.requireCpl0();
				if (!(this.controls.primary & Primary.invlpgExiting)) return next(record, parameter);
				const { operands } = core;
				operands.locate(record);
				const offset = (BigInt(operands.offsetHigh >>> 0) << 32n) | BigInt(operands.offsetLow >>> 0);
				const linear = linearAddress(core, operands.segmentOf(record), offset);
				return this.exit(record, ExitReasonNumber.invlpg, linear);
			},
			/** "INVLPG exiting" is its control too, once INVPCID is enabled. */
			invpcid: (record, parameter, next) => {
				if (!(this.controls.secondary & Secondary.enableInvpcid)) throw new Fault(Vector.invalidOpcode);
				this.requireCpl0();
				if (!(this.controls.primary & Primary.invlpgExiting)) return next(record, parameter);
				return this.exit(record, ExitReasonNumber.invpcid, displacement(core, record), {
					instructionInformation: operandInformation(core, record) | (registerNumber(core, record, 0) << 28),
				});
			},
			moveToDebug: (record, parameter, next) => this.debugRegister(record, parameter, next, false),
			moveFromDebug: (record, parameter, next) => this.debugRegister(record, parameter, next, true),
		};
	}

	private debugRegister(record: number, parameter: number, next: Helper, from: boolean): Outcome {
		this.requireCpl0();
		if (!(this.controls.primary & Primary.movDrExiting)) return next(record, parameter);
		const { core } = this;
		const debug = core.operands.register(record, from ? 1 : 0);
		const general = registerNumber(core, record, from ? 0 : 1);
		return this.exit(record, ExitReasonNumber.debugRegister, BigInt(debug | (from ? 1 << 4 : 0) | (general << 8)));
	}

	private controlRegisters(): Record<string, Intercept> {
		const { core } = this;
		const { state, operands } = core;
		const known = (register: number): void => {
			if (![0, 2, 3, 4, 8].includes(register)) throw new Fault(Vector.invalidOpcode);
			this.requireCpl0();
		};
		const seen = (real: number, mask: number, shadow: number): number => (real & ~mask) | (shadow & mask);
		const done = (record: number): Outcome => operands.advance(record, core.leave());
		const leave = (record: number, register: number, access: number, general: number): never =>
			this.exit(record, ExitReasonNumber.controlRegister, BigInt(register | access | (general << 8)));
		return {
			moveToControl: (record, parameter, next) => {
				const register = operands.register(record, 0);
				known(register);
				const { controls } = this;
				const general = registerNumber(core, record, 1);
				const size = state.mode64 ? 8 : 4;
				const low = operands.readRegister(operands.register(record, 1), size) | 0;
				const high = size === 8 ? operands.high : 0;
				const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
				if (register === 0) {
					if ((low ^ controls.cr0Shadow) & controls.cr0Mask) leave(record, 0, CrAccess.moveTo, general);
					this.control.writeCr0((state.cr0 & controls.cr0Mask) | (low & ~controls.cr0Mask), high);
					return done(record);
				}
				if (register === 4) {
					if ((low ^ controls.cr4Shadow) & controls.cr4Mask) leave(record, 4, CrAccess.moveTo, general);
					this.control.writeCr4((state.cr4 & controls.cr4Mask) | (low & ~controls.cr4Mask), high);
					return done(record);
				}
				if (register === 3 && controls.primary & Primary.cr3LoadExiting && !controls.cr3Targets.includes(value))
					leave(record, 3, CrAccess.moveTo, general);
				if (register === 8) {
					if (controls.primary & Primary.cr8LoadExiting) leave(record, 8, CrAccess.moveTo, general);
					if (controls.primary & Primary.useTprShadow) {
						if (value > 15n) throw new Fault(Vector.generalProtection, 0);
						this.unit.virtualApic.writeTaskPriority(low << 4);
						return operands.advance(record, Outcome.exit);
					}
				}
				return next(record, parameter);
			},
			moveFromControl: (record, parameter, next) => {
				const register = operands.register(record, 1);
				known(register);
				const { controls } = this;
				const general = registerNumber(core, record, 0);
				const size = state.mode64 ? 8 : 4;
				const at = operands.register(record, 0);
				if (register === 0) operands.writeRegister(at, size, seen(state.cr0, controls.cr0Mask, controls.cr0Shadow));
				else if (register === 4)
					operands.writeRegister(at, size, seen(state.cr4, controls.cr4Mask, controls.cr4Shadow));
				else {
					if (register === 3 && controls.primary & Primary.cr3StoreExiting)
						leave(record, 3, CrAccess.moveFrom, general);
					if (register === 8 && controls.primary & Primary.cr8StoreExiting)
						leave(record, 8, CrAccess.moveFrom, general);
					if (register !== 8 || !(controls.primary & Primary.useTprShadow)) return next(record, parameter);
					operands.writeRegister(at, size, this.unit.virtualApic.readTaskPriority() >> 4);
				}
				return Outcome.next;
			},
			clts: (record, parameter, next) => {
				this.requireCpl0();
				const { cr0Mask, cr0Shadow } = this.controls;
				if (!(cr0Mask & Cr0.TS)) return next(record, parameter);
				if (cr0Shadow & Cr0.TS) leave(record, 0, CrAccess.clts, 0);
				return Outcome.next;
			},
			lmsw: (record) => {
				this.requireCpl0();
				const { cr0Mask, cr0Shadow } = this.controls;
				const source = operands.readRm(record, 0, 2) & 0xffff;
				const word = source & 0xf;
				const setsPe = cr0Mask & ~cr0Shadow & word & Cr0.PE;
				const changes = (cr0Mask & (cr0Shadow ^ word) & 0xe) !== 0;
				if (setsPe || changes) {
					const memory = operands.isMemory(record);
					const qualification = BigInt(CrAccess.lmsw | (memory ? 1 << 6 : 0)) | (BigInt(source) << 16n);
					const offset = (BigInt(operands.offsetHigh >>> 0) << 32n) | BigInt(operands.offsetLow >>> 0);
					const linear = memory ? { guestLinearAddress: linearAddress(core, operands.segmentOf(record), offset) } : {};
					this.exit(record, ExitReasonNumber.controlRegister, qualification, linear);
				}
				// PE can only be set; masked bits stay.
				const free = 0xf & ~cr0Mask;
				const kept = state.cr0 & ~(free & 0xe);
				this.control.writeCr0(kept | (word & free));
				return done(record);
			},
			smsw: (record, size) => {
				core.requireSupervisorUnderUmip();
				const value = seen(state.cr0, this.controls.cr0Mask, this.controls.cr0Shadow);
				if (operands.isMemory(record)) operands.writeMemory(record, 2, value);
				else operands.writeRegister(operands.register(record, 0), size, value, 0);
				return Outcome.next;
			},
		};
	}

	/** §25.6.9 */
	private modelSpecific(): Record<string, Intercept> {
		const { state } = this.core;
		const exits = (write: boolean): boolean => {
			const { controls } = this;
			if (!(controls.primary & Primary.useMsrBitmaps)) return true;
			const msr = state.gpr32(RCX) >>> 0;
			const index = msr & 0x1fff;
			if (msr >>> 0 > 0x1fff && msr >>> 13 !== 0xc0000000 >>> 13) return true;
			const half = msr > 0x1fff ? 0x400 : 0;
			const at = controls.msrBitmap + (write ? 0x800 : 0) + half + (index >> 3);
			return (state.physical.read(at, 1) & (1 << (index & 7))) !== 0;
		};
		const virtualX2apic = (): boolean =>
			(this.controls.secondary & Secondary.virtualizeX2apicMode) !== 0 && state.gpr32(RCX) >>> 8 === 8;
		return {
			rdmsr: (record, parameter, next) => {
				this.requireCpl0();
				if (exits(false)) this.exit(record, ExitReasonNumber.rdmsr);
				const value = virtualX2apic() ? this.unit.virtualApic.readMsr(state.gpr32(RCX)) : undefined;
				if (value === undefined) return next(record, parameter);
				state.setGpr64(RAX, value & 0xffffffffn);
				state.setGpr64(RDX, value >> 32n);
				return Outcome.next;
			},
			wrmsr: (record, parameter, next) => {
				this.requireCpl0();
				if (exits(true)) this.exit(record, ExitReasonNumber.wrmsr);
				const value = (BigInt(state.gpr32(RDX) >>> 0) << 32n) | BigInt(state.gpr32(RAX) >>> 0);
				if (!virtualX2apic() || !this.unit.virtualApic.writeMsr(state.gpr32(RCX), value))
					return next(record, parameter);
				return this.core.operands.advance(record, Outcome.exit);
			},
		};
	}

	/** §25.6.4; qualification: Table 28-5. */
	private portInstructions(): Record<string, Intercept> {
		const { core } = this;
		const { state, operands } = core;
		const dx = () => state.gpr32(RDX) & 0xffff;
		const immediate = (record: number) => operands.immediate(record) & 0xff;
		const plain =
			(input: boolean, fixed: boolean): Intercept =>
			(record, size, next) => {
				const port = fixed ? immediate(record) : dx();
				this.ports.checkPermission(port, size);
				if (!this.portExits(port, size)) return next(record, size);
				const qualification = this.portBits(port, size, input) | (fixed ? 1 << 6 : 0);
				return this.exit(record, ExitReasonNumber.io, BigInt(qualification >>> 0));
			};
		const string =
			(input: boolean): Intercept =>
			(record, size, next) => {
				const port = dx();
				const repeated = (operands.flags(record) & (RecordFlags.rep | RecordFlags.repne)) !== 0;
				const shift = state.u8[record + Field.addressShift]!;
				const bits = 64 - shift;
				if (repeated && BigInt.asUintN(bits, state.gpr64(RCX)) === 0n) return next(record, size);
				this.ports.checkPermission(port, size);
				if (!this.portExits(port, size)) return next(record, size);
				const segment = input ? Segment.es : operands.segmentOf(record);
				const offset = BigInt.asUintN(bits, state.gpr64(input ? RDI : RSI));
				const qualification = this.portBits(port, size, input) | (1 << 4) | (repeated ? 1 << 5 : 0);
				return this.exit(record, ExitReasonNumber.io, BigInt(qualification >>> 0), {
					instructionInformation: addressSizeBits(core, record) | (input ? 0 : segment << 15),
					guestLinearAddress: linearAddress(core, segment, offset),
				});
			};
		return {
			in: plain(true, true),
			inDx: plain(true, false),
			out: plain(false, true),
			outDx: plain(false, false),
			ins: string(true),
			outs: string(false),
		};
	}

	private portBits(port: number, size: number, input: boolean): number {
		return ((size - 1) | (input ? 1 << 3 : 0) | (port << 16)) >>> 0;
	}

	private portExits(port: number, size: number): boolean {
		const { controls } = this;
		if (!(controls.primary & Primary.useIoBitmaps)) return (controls.primary & Primary.unconditionalIoExiting) !== 0;
		if (port + size > 0x10000) return true;
		const { physical } = this.core.state;
		for (let one = port; one < port + size; one++) {
			const bitmap = controls.ioBitmaps[one >> 15]!;
			if (physical.read(bitmap + ((one & 0x7fff) >> 3), 1) & (1 << (one & 7))) return true;
		}
		return false;
	}

	/** Descriptor-table exiting; information: Tables 28-10 and 28-11. */
	private descriptorTables(): Record<string, Intercept> {
		const { core } = this;
		const table =
			(reason: number, identity: number, check: () => void): Intercept =>
			(record, size, next) => {
				if (!(this.controls.secondary & Secondary.descriptorTableExiting)) return next(record, size);
				check();
				const memory = core.operands.isMemory(record);
				const register = memory ? 0 : registerNumber(core, record, 0);
				const operandSize = reason === ExitReasonNumber.gdtrOrIdtr && size !== 2 ? 1 << 11 : 0;
				const information = operandInformation(core, record, register) | operandSize | (identity << 28);
				return this.exit(record, reason, displacement(core, record), { instructionInformation: information });
			};
		const store = () => core.requireSupervisorUnderUmip();
		const load = () => this.requireCpl0();
		const protectedOnly = (check: () => void) => () => {
			const { state } = core;
			if (!state.protectedMode || state.virtual8086) throw new Fault(Vector.invalidOpcode);
			check();
		};
		return {
			sgdt: table(ExitReasonNumber.gdtrOrIdtr, 0, store),
			sidt: table(ExitReasonNumber.gdtrOrIdtr, 1, store),
			lgdt: table(ExitReasonNumber.gdtrOrIdtr, 2, load),
			lidt: table(ExitReasonNumber.gdtrOrIdtr, 3, load),
			sldt: table(ExitReasonNumber.ldtrOrTr, 0, protectedOnly(store)),
			str: table(ExitReasonNumber.ldtrOrTr, 1, protectedOnly(store)),
			lldt: table(ExitReasonNumber.ldtrOrTr, 2, protectedOnly(load)),
			ltr: table(ExitReasonNumber.ldtrOrTr, 3, protectedOnly(load)),
		};
	}

	/** IRET and blocking by NMI (§26.3): with NMI exiting but no virtual NMIs it unblocks nothing; a fault remembers that it did. */
	private iret(record: number, parameter: number, next: Helper): Outcome {
		const { i32 } = this.core.state;
		const { pin } = this.controls;
		const blocked = i32[Internal.nmiBlocked >> 2]!;
		const keeps = (pin & Pin.nmiExiting) !== 0 && (pin & Pin.virtualNmis) === 0;
		try {
			const outcome = next(record, parameter);
			if (keeps) i32[Internal.nmiBlocked >> 2] = blocked;
			return outcome;
		} catch (fault) {
			if (keeps) i32[Internal.nmiBlocked >> 2] = blocked;
			else if (blocked) i32[VmxWord.unblockedByIret >> 2] = 1;
			throw fault;
		}
	}
}

// The VMX instructions (SDM Vol. 3C Chapter 31).

import { Fault, Vector } from "../../engine/fault.ts";
import type { Helper, Outcome } from "../../engine/helper.ts";
import { Cr4 } from "../../isa/register-bits.ts";
import type { ProcessorCore } from "../core.ts";
import { isCanonical } from "../memory-access.ts";
import { PHYSICAL_ADDRESS_BITS } from "../paging.ts";
import { Internal } from "../processor-state.ts";
import { isEptPointer } from "./control-checks.ts";
import { CR0_FIXED0, CR4_FIXED0, Secondary, VmFunction } from "./controls.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import { VmExit } from "./vm-exit.ts";
import { LaunchState, VmcsMemory } from "./vmcs.ts";
import { Vmcs, VmcsRegion, vmcsFieldOf } from "./vmcs-fields.ts";
import { NO_POINTER, VmxWord } from "./vmx-state.ts";
import { InstructionError, type VmxUnit } from "./vmx-unit.ts";

const FEATURE_CONTROL = 0x3a;
/** IA32_FEATURE_CONTROL: locked, VMX outside SMX enabled. */
const FEATURE_LOCKED = 1n;
const FEATURE_VMX = 4n;
const RAX = 0;
const RCX = 1;

export class VmxInstructions {
	readonly helpers: Readonly<Record<string, Helper>>;

	constructor(
		private readonly core: ProcessorCore,
		private readonly unit: VmxUnit,
		private readonly readMsr: (address: number) => bigint | undefined,
	) {
		this.helpers = this.instructions();
	}

	/** The mode in which VMX instructions exist: protected mode, not virtual-8086, not compatibility mode. */
	private requireMode(): void {
		const { state } = this.core;
		if (!state.protectedMode || state.virtual8086 || (state.longMode && !state.mode64))
			throw new Fault(Vector.invalidOpcode);
	}

	private requireRoot(): void {
		this.requireMode();
		if (!this.unit.inOperation) throw new Fault(Vector.invalidOpcode);
		if (this.core.state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
	}

	/** The 64-bit pointer in the memory operand. @throws {Fault} */
	private pointer(record: number): bigint {
		const { operands } = this.core;
		const low = operands.readMemory(record, 8);
		return (BigInt(operands.high >>> 0) << 32n) | BigInt(low >>> 0);
	}

	private isRegionAddress(pointer: bigint): boolean {
		return (pointer & 0xfffn) === 0n && pointer >> BigInt(PHYSICAL_ADDRESS_BITS) === 0n;
	}

	private region(pointer: bigint): VmcsMemory {
		return new VmcsMemory(this.core.state.physical, Number(pointer));
	}

	private instructions(): Record<string, Helper> {
		const { core, unit } = this;
		const { state, operands } = core;
		const done = (record: number): Outcome => operands.advance(record, core.leave());
		const root =
			(work: (record: number) => void): Helper =>
			(record) => {
				this.requireRoot();
				work(record);
				return done(record);
			};
		return {
			vmxon: (record) => {
				this.requireMode();
				if (!(state.cr4 & Cr4.VMXE)) throw new Fault(Vector.invalidOpcode);
				if (unit.inOperation) {
					if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
					unit.fail(InstructionError.vmxonInRoot);
				} else this.vmxon(record);
				return done(record);
			},
			vmxoff: root(() => {
				unit.leaveOperation();
				unit.succeed();
				// An INIT signal that was blocked comes before the next instruction (§24.8).
				unit.onModeSwitch();
			}),
			vmclear: root((record) => this.vmclear(this.pointer(record))),
			vmptrld: root((record) => this.vmptrld(this.pointer(record))),
			vmptrst: root((record) => {
				const pointer = state.i64[VmxWord.currentVmcs >> 3]!;
				operands.writeMemory(record, 8, Number(BigInt.asIntN(32, pointer)), Number(BigInt.asIntN(32, pointer >> 32n)));
				unit.succeed();
			}),
			vmread: root((record) => this.vmread(record, unit.vmcs)),
			vmwrite: root((record) => this.vmwrite(record, unit.vmcs)),
			vmlaunch: (record) => this.enter(record, true),
			vmresume: (record) => this.enter(record, false),
			// Outside VMX operation and, here, without a dual monitor, there is nothing to call.
			vmcall: root(() => unit.fail(InstructionError.vmcallInRoot)),
			vmfunc: () => {
				throw new Fault(Vector.invalidOpcode);
			},
			invept: root((record) => this.invept(record)),
			invvpid: root((record) => this.invvpid(record)),
		};
	}

	private vmxon(record: number): void {
		const { core, unit } = this;
		const { state } = core;
		const control = this.readMsr(FEATURE_CONTROL) ?? 0n;
		const enabled = (control & FEATURE_LOCKED) !== 0n && (control & FEATURE_VMX) !== 0n;
		const fixed = (state.cr0 & CR0_FIXED0) === CR0_FIXED0 && (state.cr4 & CR4_FIXED0) === CR4_FIXED0;
		if (state.cpl !== 0 || !enabled || !fixed) throw new Fault(Vector.generalProtection, 0);
		const pointer = this.pointer(record);
		if (!this.isRegionAddress(pointer)) {
			unit.failInvalid();
			return;
		}
		if (this.region(pointer).word(VmcsRegion.revision) !== unit.revision) {
			unit.failInvalid();
			return;
		}
		unit.enterOperation(pointer);
		unit.succeed();
	}

	private vmclear(pointer: bigint): void {
		const { unit } = this;
		if (!this.isRegionAddress(pointer)) unit.fail(InstructionError.vmclearAddress);
		else if (pointer === unit.vmxonPointer) unit.fail(InstructionError.vmclearVmxonPointer);
		else {
			this.region(pointer).setWord(VmcsRegion.launchState, LaunchState.clear);
			if (unit.vmcs?.address === Number(pointer)) unit.setCurrentVmcs(NO_POINTER);
			for (const observer of unit.observers) observer.cleared?.(pointer);
			unit.succeed();
		}
	}

	private vmptrld(pointer: bigint): void {
		const { unit } = this;
		if (!this.isRegionAddress(pointer)) unit.fail(InstructionError.vmptrldAddress);
		else if (pointer === unit.vmxonPointer) unit.fail(InstructionError.vmptrldVmxonPointer);
		// A shadow VMCS (bit 31 of the revision) may be current, though not entered.
		else if ((this.region(pointer).word(VmcsRegion.revision) & 0x7fffffff) !== unit.revision)
			unit.fail(InstructionError.vmptrldRevision);
		else {
			unit.setCurrentVmcs(pointer);
			for (const observer of unit.observers) observer.activated?.(pointer);
			unit.succeed();
		}
	}

	/** VMREAD in root operation, and in the guest with VMCS shadowing, from a given VMCS. */
	vmread(record: number, vmcs: VmcsMemory | undefined): void {
		const { core, unit } = this;
		const { state, operands } = core;
		const size = state.mode64 ? 8 : 4;
		const encoding = this.encoding(record, 1, size);
		if (!vmcs) {
			unit.failInvalid();
			return;
		}
		const found = encoding === undefined ? undefined : vmcsFieldOf(encoding);
		if (!found) {
			unit.fail(InstructionError.unsupportedField);
			return;
		}
		const value = found.high ? vmcs.read(found.field.offset) >> 32n : vmcs.read(found.field.offset);
		const low = Number(BigInt.asIntN(32, value));
		operands.writeRm(record, 0, size, low, size === 8 ? Number(BigInt.asIntN(32, value >> 32n)) : 0);
		unit.succeed();
	}

	vmwrite(record: number, vmcs: VmcsMemory | undefined): void {
		const { core, unit } = this;
		const { state, operands } = core;
		const size = state.mode64 ? 8 : 4;
		const encoding = this.encoding(record, 0, size);
		const low = operands.readRm(record, 1, size);
		const value = (BigInt(size === 8 ? operands.high >>> 0 : 0) << 32n) | BigInt(low >>> 0);
		if (!vmcs) {
			unit.failInvalid();
			return;
		}
		const found = encoding === undefined ? undefined : vmcsFieldOf(encoding);
		if (!found) unit.fail(InstructionError.unsupportedField);
		else {
			const { field, high } = found;
			const old = vmcs.read(field.offset);
			if (high) vmcs.write(field.offset, (BigInt.asUintN(32, value) << 32n) | BigInt.asUintN(32, old));
			// A 32-bit VMWRITE of a wider field clears bits 63:32 (§31.3, VMWRITE).
			else vmcs.writeField(field, value);
			unit.succeed();
		}
	}

	/** The field encoding in a register operand; undefined when bits 63:32 are not clear. */
	private encoding(record: number, operand: 0 | 1, size: number): number | undefined {
		const { operands } = this.core;
		const low = operands.readRegister(operands.register(record, operand), size);
		return size === 8 && operands.high !== 0 ? undefined : low;
	}

	private enter(record: number, launch: boolean): Outcome {
		const { core, unit } = this;
		this.requireRoot();
		const { vmcs } = unit;
		const fail = (error: number): Outcome => {
			unit.fail(error);
			return core.operands.advance(record, core.leave());
		};
		if (!vmcs || vmcs.word(VmcsRegion.revision) >>> 31 !== 0) {
			unit.failInvalid();
			return core.operands.advance(record, core.leave());
		}
		if (core.retired() < core.state.internal(Internal.debugShadowBoundary)) return fail(InstructionError.movSsBlocking);
		const state = vmcs.word(VmcsRegion.launchState);
		if (launch && state !== LaunchState.clear) return fail(InstructionError.vmlaunchNotClear);
		if (!launch && state !== LaunchState.launched) return fail(InstructionError.vmresumeNotLaunched);
		const result = unit.enter(launch);
		return typeof result === "object" ? fail(result.error) : result;
	}

	/** The type in the register operand and the 128-bit descriptor in memory. */
	private invalidation(record: number): { type: bigint; low: bigint; high: bigint } {
		const { operands, state } = this.core;
		const size = state.mode64 ? 8 : 4;
		const typeLow = operands.readRegister(operands.register(record, 0), size);
		const type = (BigInt(size === 8 ? operands.high >>> 0 : 0) << 32n) | BigInt(typeLow >>> 0);
		const first = operands.readMemory(record, 8);
		const low = (BigInt(operands.high >>> 0) << 32n) | BigInt(first >>> 0);
		const second = operands.readMemory(record, 8, 8);
		return { type, low, high: (BigInt(operands.high >>> 0) << 32n) | BigInt(second >>> 0) };
	}

	private invept(record: number): void {
		const { core, unit } = this;
		const { type, low } = this.invalidation(record);
		const valid = type === 2n || (type === 1n && isEptPointer(low, PHYSICAL_ADDRESS_BITS));
		if (!valid) {
			unit.fail(InstructionError.inveptOperand);
			return;
		}
		core.paging.flush();
		unit.succeed();
	}

	/** Types: 0 individual address, 1 single context, 2 all contexts, 3 single context but for globals. */
	private invvpid(record: number): void {
		const { core, unit } = this;
		const { type, low, high } = this.invalidation(record);
		const vpid = low & 0xffffn;
		const canonical = isCanonical(Number(BigInt.asIntN(32, high >> 32n)));
		const valid = type <= 3n && low >> 16n === 0n && (type === 2n || vpid !== 0n) && (type !== 0n || canonical);
		if (!valid) {
			unit.fail(InstructionError.inveptOperand);
			return;
		}
		core.paging.flush();
		unit.succeed();
	}

	/** VMFUNC in the guest (§26.5.6). */
	vmfunc(record: number): Outcome {
		const { core, unit } = this;
		const { state } = core;
		const controls = unit.controls!;
		const vmcs = unit.vmcs!;
		const leave = (): never => {
			throw new VmExit(ExitReasonNumber.vmfunc, 0n, { instructionLength: core.operands.length(record) });
		};
		if (!(controls.secondary & Secondary.enableVmFunctions)) throw new Fault(Vector.invalidOpcode);
		const wanted = state.gpr32(RAX) >>> 0;
		if (wanted > 63) throw new Fault(Vector.invalidOpcode);
		if (wanted !== 0 || !(vmcs.read(Vmcs.vmFunctionControls) & BigInt(VmFunction.eptpSwitching))) leave();
		const index = state.gpr32(RCX) >>> 0;
		if (index >= 512) leave();
		const at = Number(vmcs.read(Vmcs.eptpListAddress)) + index * 8;
		const { physical } = state;
		const pointer = (BigInt(physical.read(at + 4, 4) >>> 0) << 32n) | BigInt(physical.read(at, 4) >>> 0);
		if (!isEptPointer(pointer, PHYSICAL_ADDRESS_BITS)) leave();
		unit.switchEptPointer(pointer, index);
		return core.operands.advance(record, core.leave());
	}
}

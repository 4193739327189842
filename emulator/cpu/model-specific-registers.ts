// Model-specific registers as RDMSR and WRMSR reach them (SDM Vol. 4, Table 2-2 "IA-32 Architectural MSRs"), and the time stamp.

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr0, Cr4, Efer } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { type LocalApicPort, TSC_DEADLINE_MSR, X2apicMsr } from "./local-apic-port.ts";
import { Internal, MSR_SLOTS } from "./processor-state.ts";
import { canonical, STORED_MSRS, storedMsrAfter } from "./stored-msrs.ts";

const isX2apic = (address: number): boolean => address >= X2apicMsr.first && address <= X2apicMsr.last;

/** Byte offset in the state of a stored MSR. @throws {RangeError} for a name that has no row. */
export function msrSlot(name: string): number {
	const index = STORED_MSRS.findIndex((row) => row.name === name);
	if (index < 0 || index >= MSR_SLOTS) throw new RangeError(`${name} has no slot in the processor's state.`);
	return State.msr + index * 8;
}

export const kernelGsBaseSlot = msrSlot("IA32_KERNEL_GS_BASE");
export const apicBaseSlot = msrSlot("IA32_APIC_BASE");
/** Byte offsets of the MSRs that SYSENTER and SYSCALL read. */
export const SystemCallMsr = {
	sysenterCs: msrSlot("IA32_SYSENTER_CS"),
	sysenterEsp: msrSlot("IA32_SYSENTER_ESP"),
	sysenterEip: msrSlot("IA32_SYSENTER_EIP"),
	star: msrSlot("IA32_STAR"),
	lstar: msrSlot("IA32_LSTAR"),
	fmask: msrSlot("IA32_FMASK"),
} as const;
const tscAuxSlot = msrSlot("IA32_TSC_AUX");

interface Row {
	readonly name: string;
	readonly read: () => bigint;
	/** @throws {Fault} #GP(0) */
	readonly write: (value: bigint) => void;
}

export class ModelSpecificRegisters {
	private readonly rows = new Map<number, Row>();
	/** Absent on a processor without a local APIC: IA32_APIC_BASE only keeps its value. */
	localApic: LocalApicPort | undefined;
	readonly helpers: Record<string, Helper>;

	/** @param timestamp ticks of the time-stamp counter since power-on, an integer below 2^53. */
	constructor(
		private readonly core: ProcessorCore,
		private readonly timestamp: () => number,
	) {
		const { state } = core;
		STORED_MSRS.forEach((row, index) => {
			const slot = (State.msr >> 3) + index;
			this.rows.set(row.address, {
				name: row.name,
				read: () => BigInt.asUintN(64, state.i64[slot]!),
				write: (value) => {
					const after = storedMsrAfter(row, state.i64[slot]!, value);
					if (after === undefined) throw new Fault(Vector.generalProtection, 0);
					if (row.address === 0x1b && this.localApic && !this.localApic.writeBaseMsr(value))
						throw new Fault(Vector.generalProtection, 0);
					state.i64[slot] = after;
				},
			});
		});
		this.rows.set(0x10, {
			name: "IA32_TIME_STAMP_COUNTER",
			read: () => BigInt.asUintN(64, BigInt(timestamp()) + state.i64[Internal.timestampOffset >> 3]!),
			write: (value) => {
				state.i64[Internal.timestampOffset >> 3] = value - BigInt(timestamp());
			},
		});
		this.rows.set(0xc0000080, {
			name: "IA32_EFER",
			read: () => BigInt(state.efer >>> 0),
			write: (value) => this.writeEfer(value),
		});
		for (const [address, segment, name] of [
			[0xc0000100, Segment.fs, "IA32_FS_BASE"],
			[0xc0000101, Segment.gs, "IA32_GS_BASE"],
		] as const) {
			this.rows.set(address, {
				name,
				read: () => state.base(segment),
				write: (value) => {
					if (!canonical(value)) throw new Fault(Vector.generalProtection, 0);
					state.setSegmentBase(segment, value);
				},
			});
		}
		this.helpers = this.instructions();
	}

	/** Adds read-only MSRs: what the processor tells of a feature. */
	addConstants(rows: readonly { readonly name: string; readonly address: number; readonly value: bigint }[]): void {
		for (const { name, address, value } of rows) {
			const write = (): never => {
				throw new Fault(Vector.generalProtection, 0);
			};
			this.rows.set(address, { name, read: () => value, write });
		}
	}

	/** Power-on values. */
	reset(): void {
		STORED_MSRS.forEach((row, index) => {
			this.core.state.i64[(State.msr >> 3) + index] = row.reset;
		});
	}

	/** The value of an MSR; undefined when there is none at the address. */
	read(address: number): bigint | undefined {
		const row = this.rows.get(address);
		if (row) return row.read();
		if (address === TSC_DEADLINE_MSR) return this.localApic?.tscDeadline;
		if (isX2apic(address)) return this.localApic?.readX2apic(address - X2apicMsr.first);
		return undefined;
	}

	/** Writes as WRMSR does. @throws {Fault} #GP(0) for an unknown MSR or a value that it does not take. */
	write(address: number, value: bigint): void {
		const row = this.rows.get(address);
		if (row) row.write(value);
		else if (this.localApic && address === TSC_DEADLINE_MSR) this.localApic.writeTscDeadline(value);
		else if (!isX2apic(address) || !this.localApic?.writeX2apic(address - X2apicMsr.first, value))
			throw new Fault(Vector.generalProtection, 0);
	}

	/** Every MSR with its value, by address. */
	list(): { readonly name: string; readonly address: number; readonly value: bigint }[] {
		return [...this.rows]
			.map(([address, row]) => ({ name: row.name, address, value: row.read() }))
			.sort((a, b) => a.address - b.address);
	}

	/** SDM Vol. 3A §2.2.1: LMA is read-only, LME cannot change while paging is on, reserved bits fault. */
	private writeEfer(value: bigint): void {
		const { state, paging } = this.core;
		const known = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
		if (value & ~BigInt(known)) throw new Fault(Vector.generalProtection, 0);
		const efer = (Number(value) & ~Efer.LMA) | (state.efer & Efer.LMA);
		if ((efer ^ state.efer) & Efer.LME && state.cr0 & Cr0.PG) throw new Fault(Vector.generalProtection, 0);
		state.efer = efer;
		paging.flush();
	}

	private instructions(): Record<string, Helper> {
		const { state, operands } = this.core;
		const requireCpl0 = (): void => {
			if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
		};
		const readTime = (): void => {
			if (state.cpl !== 0 && state.cr4 & Cr4.TSD) throw new Fault(Vector.generalProtection, 0);
			const offset = state.i64[Internal.timestampOffset >> 3]!;
			if (offset === 0n) {
				const ticks = this.timestamp();
				state.setGpr32(RAX, ticks | 0);
				state.setGpr32(RDX, Math.floor(ticks / 0x100000000));
			} else {
				const ticks = BigInt(this.timestamp()) + offset;
				state.setGpr64(RAX, ticks & 0xffffffffn);
				state.setGpr64(RDX, (ticks >> 32n) & 0xffffffffn);
			}
		};
		return {
			rdmsr: () => {
				requireCpl0();
				const value = this.read(state.gpr32(RCX) >>> 0);
				if (value === undefined) throw new Fault(Vector.generalProtection, 0);
				state.setGpr64(RAX, value & 0xffffffffn);
				state.setGpr64(RDX, value >> 32n);
				return Outcome.next;
			},
			wrmsr: (record) => {
				requireCpl0();
				const value = (BigInt(state.gpr32(RDX) >>> 0) << 32n) | BigInt(state.gpr32(RAX) >>> 0);
				this.write(state.gpr32(RCX) >>> 0, value);
				return operands.advance(record, this.core.leave());
			},
			rdtsc: () => {
				readTime();
				return Outcome.next;
			},
			rdtscp: () => {
				readTime();
				state.setGpr32(RCX, state.i32[tscAuxSlot >> 2]!);
				return Outcome.next;
			},
			/** There are no performance counters: every index is out of range (SDM Vol. 2B, RDPMC). */
			rdpmc: () => {
				throw new Fault(Vector.generalProtection, 0);
			},
		};
	}
}

const RAX = 0;
const RCX = 1;
const RDX = 2;

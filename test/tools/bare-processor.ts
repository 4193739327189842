// An architectural processor over a few MiB of memory, without an engine: tests write descriptor tables and decoded records by
// hand and call the helpers as generated code would.

import type { ProcessorFeatures } from "../../emulator/cpu/cpuid.ts";
import { ArchitecturalProcessor } from "../../emulator/cpu/processor.ts";
import { Fault } from "../../emulator/engine/fault.ts";
import { PhysicalMemory } from "../../emulator/engine/physical-memory.ts";
import { MEMORY_OPERAND } from "../../emulator/engine/record.ts";
import { TranslationLookasideBuffer } from "../../emulator/engine/translation-lookaside-buffer.ts";
import { Access } from "../../emulator/isa/register-bits.ts";
import {
	RAM_BASE,
	Record,
	RecordArena,
	Segment,
	type SegmentIndex,
	SegmentSlot,
	State,
	segmentSlot,
} from "../../emulator/isa/state.ts";

/** Where the tables of the set-up lie, in linear and physical memory. */
export const Place = {
	gdt: 0x1000,
	idt: 0x2000,
	tss: 0x3000,
	ldt: 0x4000,
	code: 0x8000,
	stack: 0x9000,
	tables: 0x10000,
} as const;

/** Selectors of the set-up: flat 32-bit code and data for rings 0 and 3, 64-bit code, the TSS. */
export const Selector = {
	code0: 0x08,
	data0: 0x10,
	code3: 0x1b,
	data3: 0x23,
	code64: 0x28,
	user64: 0x33,
	tss: 0x38,
} as const;

/** Access rights in the format of SegmentSlot.access. */
export const Rights = {
	code32: 0x9b | Access.DB | Access.G,
	data32: 0x93 | Access.DB | Access.G,
	code64: 0x9b | Access.L | Access.G,
	ring3: 0x60,
} as const;

export interface RecordFields {
	readonly length?: number;
	readonly flags?: number;
	/** Operand registers: for GPRs their number, which becomes a byte offset, unless `raw`. */
	readonly registers?: readonly number[];
	readonly memory?: boolean;
	readonly address?: number;
	readonly base?: number;
	readonly segment?: SegmentIndex;
	readonly addressShift?: number;
	readonly immediate?: bigint;
}

/** Byte offset of a general register. */
export const gpr = (register: number): number => State.gpr + register * 8;

export class BareProcessor {
	readonly physical: PhysicalMemory;
	readonly tlb: TranslationLookasideBuffer;
	readonly processor: ArchitecturalProcessor;
	readonly ports: { kind: "in" | "out"; port: number; size: number; value: number }[] = [];
	/** What IN gives. */
	portValue = 0;
	retired = 0;
	time = 0;

	constructor(features: Partial<ProcessorFeatures> = {}, ram = 0x400000) {
		this.physical = new PhysicalMemory(ram);
		this.tlb = new TranslationLookasideBuffer(this.physical);
		this.processor = new ArchitecturalProcessor({
			physical: this.physical,
			tlb: this.tlb,
			ports: {
				read: (port, size) => {
					this.ports.push({ kind: "in", port, size, value: this.portValue });
					return this.portValue;
				},
				write: (port, size, value) => {
					this.ports.push({ kind: "out", port, size, value });
				},
			},
			timestamp: () => this.time,
			retired: () => this.retired,
			features,
		});
		this.physical.i32[State.fuel >> 2] = 1000;
	}

	get state() {
		return this.processor.core.state;
	}

	read32(address: number): number {
		return this.physical.view.getUint32(RAM_BASE + address, true);
	}

	read16(address: number): number {
		return this.physical.view.getUint16(RAM_BASE + address, true);
	}

	read64(address: number): bigint {
		return this.physical.view.getBigUint64(RAM_BASE + address, true);
	}

	write32(address: number, ...values: number[]): void {
		values.forEach((value, index) => {
			this.physical.view.setUint32(RAM_BASE + address + index * 4, value, true);
		});
	}

	write16(address: number, value: number): void {
		this.physical.view.setUint16(RAM_BASE + address, value, true);
	}

	write64(address: number, value: bigint): void {
		this.physical.view.setBigUint64(RAM_BASE + address, value, true);
	}

	/** Writes an 8-byte segment or system descriptor. The limit is the 20-bit field. */
	descriptor(address: number, base: number, limit: number, access: number): void {
		this.write32(
			address,
			((base & 0xffff) << 16) | (limit & 0xffff),
			(base & 0xff000000) | ((base >>> 16) & 0xff) | (limit & 0xf0000) | ((access & 0xf0ff) << 8),
		);
	}

	/** Writes a gate. `access` holds P, DPL and the type. */
	gate(address: number, selector: number, offset: number, access: number, low5 = 0): void {
		this.write32(address, (selector << 16) | (offset & 0xffff), (offset & 0xffff0000) | ((access & 0xff) << 8) | low5);
	}

	/** GDT, IDT and TSS in memory, and the processor in flat 32-bit protected mode at ring 0 with ESP = Place.stack + 0x1000. */
	protectedMode(): this {
		const { state } = this;
		const entries: [selector: number, access: number][] = [
			[Selector.code0, Rights.code32],
			[Selector.data0, Rights.data32],
			[Selector.code3, Rights.code32 | Rights.ring3],
			[Selector.data3, Rights.data32 | Rights.ring3],
			[Selector.code64, Rights.code64],
			[Selector.user64, Rights.code64 | Rights.ring3],
		];
		for (const [selector, access] of entries) this.descriptor(Place.gdt + (selector & ~7), 0, 0xfffff, access);
		this.descriptor(Place.gdt + Selector.tss, Place.tss, 0x2067, 0x8b);
		state.i32[State.gdtrBase >> 2] = Place.gdt;
		state.i32[State.gdtrLimit >> 2] = 0x1ff;
		state.i32[State.idtrBase >> 2] = Place.idt;
		state.i32[State.idtrLimit >> 2] = 0x7ff;
		state.cr0 |= 1;
		this.ring(0);
		state.setSegment(Segment.tr, Selector.tss, 0x8b, Place.tss, 0, 0x2067);
		state.setSegment(Segment.ldtr, 0, 0x10082, 0, 0, 0);
		state.setGpr32(4, Place.stack + 0x1000);
		state.setRip(Place.code, 0);
		this.write32(Place.tss + 4, Place.stack + 0x800, Selector.data0);
		this.write16(Place.tss + 0x66, 0x68);
		return this;
	}

	/** Flat 32-bit segments for ring 0 or 3. */
	ring(cpl: 0 | 3): this {
		const { state } = this;
		const dpl = cpl === 3 ? Rights.ring3 : 0;
		const code = cpl === 3 ? Selector.code3 : Selector.code0;
		const data = cpl === 3 ? Selector.data3 : Selector.data0;
		state.cpl = cpl;
		state.setSegment(Segment.cs, code, Rights.code32 | dpl, 0, 0, -1);
		for (const segment of [Segment.es, Segment.ss, Segment.ds, Segment.fs, Segment.gs] as const)
			state.setSegment(segment, data, Rights.data32 | dpl, 0, 0, -1);
		state.updateMode();
		return this;
	}

	/** 64-bit mode at ring 0 or 3, on top of protectedMode(), 4-level tables that map the first 2 MiB one to one. */
	longMode(cpl: 0 | 3 = 0): this {
		const { state } = this;
		this.protectedMode().ring(cpl);
		const at = Place.tables;
		this.write64(at, BigInt(at + 0x1000) | 7n);
		this.write64(at + 0x1000, BigInt(at + 0x2000) | 7n);
		this.write64(at + 0x2000, BigInt(at + 0x3000) | 7n);
		for (let page = 0; page < 512; page++) this.write64(at + 0x3000 + page * 8, BigInt(page * 0x1000) | 7n);
		state.i64[State.cr3 >> 3] = BigInt(at);
		state.cr4 |= 0x20;
		state.efer |= 0xd01;
		state.cr0 |= 0x80000000 | 0;
		state.setSegment(Segment.cs, cpl === 3 ? Selector.user64 : Selector.code64, Rights.code64 | (cpl << 5), 0, 0, -1);
		state.updateMode();
		this.tlb.flush();
		return this;
	}

	/** Real-address mode with CS base 0 and SS:SP = 0:7c00h. */
	realMode(): this {
		const { state } = this;
		state.setSegment(Segment.cs, 0, 0x93, 0, 0, 0xffff);
		state.updateMode();
		state.setGpr32(4, 0x7c00);
		state.setRip(0x100, 0);
		return this;
	}

	/** Writes a decoded record and returns it. GPR operands are given with gpr(). */
	record(fields: RecordFields = {}): number {
		const at = RecordArena.base;
		const { u8, i32, i64 } = this.physical;
		u8.fill(0, at, at + Record.size);
		u8[at + Record.length] = fields.length ?? 2;
		u8[at + Record.flags] = (fields.flags ?? 0) | (fields.memory ? MEMORY_OPERAND : 0);
		u8[at + Record.segment] = segmentSlot(fields.segment ?? Segment.ds) / 8;
		const wide = this.state.mode64 ? 0 : this.state.i32[State.codeSize >> 2] === 2 ? 32 : 48;
		u8[at + Record.addressShift] = fields.addressShift ?? wide;
		u8[at + Record.base] = (fields.base === undefined ? State.zero : gpr(fields.base)) / 8;
		u8[at + Record.index] = State.zero / 8;
		(fields.registers ?? []).forEach((register, index) => {
			u8[at + Record.register + index] = register;
		});
		i32[(at + Record.displacement) >> 2] = fields.address ?? 0;
		i64[(at + Record.immediate) >> 3] = fields.immediate ?? 0n;
		return at;
	}

	/** Runs a helper; the instruction retires unless it faults. */
	run(name: string, fields: RecordFields = {}, parameter = 4): number {
		const helper = this.processor.helpers[name];
		if (!helper) throw new RangeError(`No helper ${name}.`);
		const record = this.record(fields);
		const outcome = helper(record, parameter);
		if (outcome === 0) this.processor.core.operands.advance(record, 0);
		this.retired++;
		return outcome;
	}

	/** The fault that running something raises, as [vector, error code]; undefined when there is none. */
	faultOf(action: () => void): readonly [number, number | undefined] | undefined {
		try {
			action();
			return undefined;
		} catch (error) {
			if (error instanceof Fault) {
				// As delivery would leave CR2 and DR6.
				this.processor.delivery.recordCause(error);
				return [error.vector, error.errorCode];
			}
			throw error;
		}
	}

	bounds(segment: SegmentIndex): { base: bigint; read: bigint; write: bigint } {
		const at = segmentSlot(segment) >> 3;
		const { i64 } = this.physical;
		const unsigned = (offset: number): bigint => BigInt.asUintN(64, i64[at + offset / 8]!);
		return {
			base: unsigned(SegmentSlot.effectiveBase),
			read: unsigned(SegmentSlot.readBound),
			write: unsigned(SegmentSlot.writeBound),
		};
	}
}

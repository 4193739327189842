// Writes of a guest's kernel to its level-1 tables, which are mapped read-only to it: "writable page tables". The instruction is
// executed once by the host, with the mapping writable and the trap flag set; then every entry that it changed is put back and
// changed as mmu_update would. An entry that may not be undoes the instruction, and the guest gets its page fault.

import { Eflags } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import type { Domain, GuestFrame } from "./domain.ts";
import type { HostControl } from "./host-control.ts";
import { PageType } from "./memory/frame-table.ts";
import { Entry, findLeaf, type PageTables } from "./memory/page-tables.ts";

const GPR_WORDS = 32;
/**
 * Instructions that write memory once, 8 bytes at most: one that wrote a second time could do so through the entry that it has just
 * written. ALU, XCHG, MOV, MOVS, STOS, NOT and NEG, INC and DEC; CMPXCHG, XADD, BTS and its kin, CMPXCHG8B.
 */
const ONE_BYTE = [
	[0x00, 0x01],
	[0x08, 0x09],
	[0x10, 0x11],
	[0x18, 0x19],
	[0x20, 0x21],
	[0x28, 0x29],
	[0x30, 0x31],
	[0x80, 0x81],
	[0x83, 0x83],
	[0x86, 0x89],
	[0xa4, 0xa5],
	[0xaa, 0xab],
	[0xc6, 0xc7],
	[0xf6, 0xf7],
	[0xfe, 0xfe],
];
const TWO_BYTE: ReadonlySet<number> = new Set([0xab, 0xb0, 0xb1, 0xb3, 0xba, 0xbb, 0xc0, 0xc1, 0xc7]);
const PREFIXES: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** Whether an instruction is one of those. */
export function writesOnce(bytes: Uint8Array, wide: boolean): boolean {
	let at = 0;
	while (at < bytes.length && (PREFIXES.has(bytes[at]!) || (wide && (bytes[at]! & 0xf0) === 0x40))) at++;
	const opcode = bytes[at];
	if (opcode === undefined) return false;
	const reg = (bytes[at + 1]! >> 3) & 7;
	if (opcode === 0x0f) return TWO_BYTE.has(bytes[at + 1]!);
	if (opcode === 0xff) return reg < 2;
	return ONE_BYTE.some(([first, last]) => opcode >= first! && opcode <= last!);
}

interface OpenWrite {
	readonly domain: Domain;
	readonly address: bigint;
	readonly errorCode: number;
	/** The entry that was made writable. */
	readonly table: number;
	readonly index: number;
	/** The level-1 table that is written, and its words before. */
	readonly target: number;
	readonly before: Int32Array;
	/** Registers before the instruction. */
	readonly registers: Int32Array;
	readonly frame: GuestFrame;
}

export class PageTableWrites {
	/** Instructions done this way. */
	count = 0;
	private open: OpenWrite | undefined;

	constructor(
		private readonly control: HostControl,
		private readonly tables: PageTables,
	) {}

	/** A page fault for a write of the guest's kernel: true when the instruction is let through once. */
	begin(domain: Domain, frame: GuestFrame, address: bigint, errorCode: number, instruction: Uint8Array): boolean {
		const { memory, table } = this.tables;
		if ((address & 0xfffn) > 0xff8n || !writesOnce(instruction, domain.wide)) return false;
		const leaf = findLeaf(memory, this.control.state.i32[State.cr3 >> 2]! >>> 12, address);
		if (leaf === undefined) return false;
		const [l1, index] = leaf;
		const low = memory.read(l1, index * 2);
		if ((low & Entry.present) === 0 || low & Entry.writable) return false;
		const target = low >>> 12;
		if (!memory.isRam(target) || table.type[target] !== PageType.l1 || table.typeCount[target] === 0) return false;
		if (table.owner[target] !== domain.id || table.owner[l1] !== domain.id) return false;
		const { state, host } = this.control;
		const before = new Int32Array(1024);
		for (let word = 0; word < 1024; word++) before[word] = memory.read(target, word);
		const registers = state.i32.slice(State.gpr >> 2, (State.gpr >> 2) + GPR_WORDS);
		this.open = {
			...{ domain, address, errorCode, table: l1, index, target, before, registers },
			frame: { ...frame },
		};
		memory.write(l1, index * 2, low | Entry.writable);
		host.processor.core.paging.flushPage(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
		frame.rflags |= Eflags.TF;
		this.count++;
		return true;
	}

	get isOpen(): boolean {
		return this.open !== undefined;
	}

	/** The trap behind the instruction is the guest's too: it steps itself. */
	get guestSteps(): boolean {
		return this.open !== undefined && (this.open.frame.rflags & Eflags.TF) !== 0;
	}

	/**
	 * The host came back from that instruction, or from something before it. @returns the page fault that the guest gets when it
	 * wrote an entry that it may not have; `frame` is then as before the instruction.
	 */
	finish(frame: GuestFrame): { readonly address: bigint; readonly errorCode: number } | undefined {
		const { open } = this;
		if (open === undefined) return undefined;
		this.open = undefined;
		const { memory } = this.tables;
		const { state, host } = this.control;
		const { domain, address, target, before } = open;
		memory.write(open.table, open.index * 2, memory.read(open.table, open.index * 2) & ~Entry.writable);
		host.processor.core.paging.flushPage(Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n)));
		if ((open.frame.rflags & Eflags.TF) === 0) frame.rflags &= ~Eflags.TF;
		const changed: (readonly [number, number, number])[] = [];
		for (let index = 0; index < 512; index++) {
			const low = memory.read(target, index * 2);
			const high = memory.read(target, index * 2 + 1);
			if (low === before[index * 2] && high === before[index * 2 + 1]) continue;
			changed.push([index, low, high]);
			memory.writeEntry(target, index, before[index * 2]!, before[index * 2 + 1]!);
		}
		for (const [index, low, high] of changed) {
			if (this.tables.changeEntry(target, index, low, high, domain, domain.id) === 0) continue;
			state.i32.set(open.registers, State.gpr >> 2);
			Object.assign(frame, open.frame);
			return open;
		}
		return undefined;
	}
}

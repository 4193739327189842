// The registers of a processor as a debugger names, shows and changes them. Reads the state bytes; keeps nothing.

import type { ArchitecturalProcessor } from "../cpu/processor.ts";
import { ExtendedPageTables } from "../cpu/vmx/extended-page-tables.ts";
import { NO_POINTER, VmxWord } from "../cpu/vmx/vmx-state.ts";
import { Cr0, Cr4, Efer, Eflags } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { MachineError, type RegisterGroup, type RegisterValue } from "./virtual-machine.ts";

const GENERAL = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const LOW_BYTES = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
const HIGH_BYTES = ["ah", "ch", "dh", "bh"];
const VMX_NAMES = ["vmx_operation", "vmxon_pointer", "current_vmcs", "eptp"];
const VMX_MODES = ["outside VMX operation", "VMX root operation", "VMX non-root operation"];
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"];

interface Register {
	readonly group: RegisterGroup;
	readonly width: number;
	readonly read: () => bigint;
	readonly write?: (value: bigint) => void;
	readonly meaning?: (value: bigint) => string;
}

/** Names of the set bits, highest first: "PG WP PE". */
export function bitNames(value: number, names: Readonly<Record<string, number>>): string {
	return Object.entries(names)
		.filter(([, bit]) => (bit & (bit - 1)) === 0 && (value & bit) !== 0)
		.map(([name]) => name)
		.reverse()
		.join(" ");
}

/** EFLAGS in words: set flags and IOPL. */
export function flagsMeaning(value: bigint): string {
	const { fixed, arithmetic, rest, IOPL, ...names } = Eflags;
	void [fixed, arithmetic, rest];
	const flags = Number(value & 0xffffffffn);
	return `${bitNames(flags, names)} IOPL=${(flags & IOPL) >> 12}`.trim();
}

const CODE_OR_DATA = ["read", "read, accessed", "read/write", "read/write, accessed"];
const SYSTEM_TYPES: Readonly<Record<number, string>> = {
	1: "16-bit TSS (available)",
	2: "LDT",
	3: "16-bit TSS (busy)",
	9: "TSS (available)",
	11: "TSS (busy)",
};

/** The hidden part of a segment register in words. */
export function segmentMeaning(base: bigint, limit: number, access: number): string {
	if (access & (1 << 16)) return "unusable";
	const type = access & 15;
	let kind: string;
	if ((access & 0x10) === 0) kind = SYSTEM_TYPES[type] ?? `system type ${type}`;
	else if (type & 8)
		kind = `code ${access & (1 << 13) ? 64 : access & (1 << 14) ? 32 : 16}-bit${type & 2 ? ", readable" : ""}${type & 4 ? ", conforming" : ""}`;
	else kind = `data ${CODE_OR_DATA[type & 3]}${type & 4 ? ", expand-down" : ""}`;
	return `base 0x${base.toString(16)}, limit 0x${limit.toString(16)}, ${kind}, DPL ${(access >> 5) & 3}${access & 0x80 ? "" : ", not present"}`;
}

export class RegisterFile {
	private readonly byName = new Map<string, Register>();
	/** Names as the list shows them, by mode. */
	private readonly model: readonly string[];

	constructor(private readonly processor: ArchitecturalProcessor) {
		this.defineGeneral();
		this.defineSegments();
		this.defineControl();
		this.model = this.defineModelSpecific();
		this.defineFloatingPoint();
		this.defineVmx();
	}

	private defineGeneral(): void {
		const { u8, view, i64 } = this.processor.core.state;
		const cut = (bits: number) => (value: bigint) => BigInt.asUintN(bits, value);
		for (let index = 0; index < 16; index++) {
			const at = State.gpr + index * 8;
			const legacy = GENERAL[index];
			const add = (name: string, width: number, write: (value: bigint) => void) =>
				this.byName.set(name, { group: "general", width, read: () => cut(width)(i64[at >> 3]!), write });
			add(legacy ? `r${legacy}` : `r${index}`, 64, (value) => view.setBigUint64(at, value, true));
			add(legacy ? `e${legacy}` : `r${index}d`, 32, (value) => view.setBigUint64(at, value, true));
			add(legacy ?? `r${index}w`, 16, (value) => view.setUint16(at, Number(value), true));
			add(LOW_BYTES[index] ?? `r${index}b`, 8, (value) => view.setUint8(at, Number(value)));
			const high = HIGH_BYTES[index];
			if (high) {
				this.byName.set(high, {
					group: "general",
					width: 8,
					read: () => BigInt(u8[at + 1]!),
					write: (value) => view.setUint8(at + 1, Number(value)),
				});
			}
		}
		const { state, core } = { state: this.processor.core.state, core: this.processor.core };
		for (const [name, width] of [
			["rip", 64],
			["eip", 32],
			["ip", 16],
		] as const) {
			this.byName.set(name, {
				group: "general",
				width,
				read: () => cut(width)(state.rip),
				write: (value) => {
					state.rip = value;
				},
			});
		}
		for (const [name, width] of [
			["rflags", 64],
			["eflags", 32],
			["flags", 16],
		] as const) {
			this.byName.set(name, {
				group: "general",
				width,
				read: () => cut(width)(BigInt(core.readEflags() >>> 0)),
				write: (value) => core.writeEflags(Number(value & 0xffffffffn) | 0, Eflags.arithmetic | Eflags.rest),
				meaning: flagsMeaning,
			});
		}
	}

	private defineSegments(): void {
		const { state } = this.processor.core;
		const { i32, i64 } = state;
		const slotMeaning = (segment: SegmentIndex) => () => {
			const slot = segmentSlot(segment);
			return segmentMeaning(
				BigInt.asUintN(64, i64[(slot + SegmentSlot.base) >> 3]!),
				i32[(slot + SegmentSlot.limit) >> 2]! >>> 0,
				i32[(slot + SegmentSlot.access) >> 2]!,
			);
		};
		for (const [name, segment] of Object.entries(Segment)) {
			const slot = segmentSlot(segment);
			this.byName.set(name, {
				group: "segments",
				width: 16,
				read: () => BigInt(i32[(slot + SegmentSlot.selector) >> 2]! & 0xffff),
				meaning: slotMeaning(segment),
			});
			this.byName.set(`${name}_base`, {
				group: "segments",
				width: 64,
				read: () => BigInt.asUintN(64, i64[(slot + SegmentSlot.base) >> 3]!),
			});
		}
		const table = (name: string, base: number, limit: number) => {
			this.byName.set(name, {
				group: "system",
				width: 64,
				read: () => BigInt.asUintN(64, i64[base >> 3]!),
				meaning: () => `limit 0x${(i32[limit >> 2]! & 0xffff).toString(16)}`,
			});
		};
		table("gdtr", State.gdtrBase, State.gdtrLimit);
		table("idtr", State.idtrBase, State.idtrLimit);
		this.byName.set("cpl", { group: "system", width: 2, read: () => BigInt(i32[State.cpl >> 2]!) });
	}

	private defineControl(): void {
		const { state } = this.processor.core;
		const { i64 } = state;
		const word = (at: number) => BigInt.asUintN(64, i64[at >> 3]!);
		const add = (name: string, group: RegisterGroup, at: number, meaning?: (value: bigint) => string) =>
			this.byName.set(name, { group, width: 64, read: () => word(at), ...(meaning ? { meaning } : {}) });
		add("cr0", "control", State.cr0, (value) => bitNames(Number(value & 0xffffffffn) | 0, Cr0));
		add("cr2", "control", State.cr2);
		add("cr3", "control", State.cr3);
		add("cr4", "control", State.cr4, (value) => bitNames(Number(value & 0xffffffffn) | 0, Cr4));
		add("cr8", "control", State.cr8);
		add("efer", "control", State.efer, (value) => bitNames(Number(value & 0xffffffffn) | 0, Efer));
		for (const number of [0, 1, 2, 3, 6, 7]) add(`dr${number}`, "debug", State.dr + number * 8);
	}

	private defineModelSpecific(): string[] {
		const names: string[] = [];
		for (const { name, address } of this.processor.modelSpecific.list()) {
			const lower = name.toLowerCase();
			names.push(lower);
			this.byName.set(lower, {
				group: "msr",
				width: 64,
				read: () => this.processor.modelSpecific.list().find((row) => row.address === address)?.value ?? 0n,
				meaning: () => `MSR 0x${address.toString(16)}`,
			});
		}
		return names;
	}

	private defineFloatingPoint(): void {
		const { i32, view } = this.processor.core.state;
		const word = (name: string, group: RegisterGroup, at: number, width = 16) =>
			this.byName.set(name, { group, width, read: () => BigInt(i32[at >> 2]! >>> 0) });
		word("fcw", "x87", State.x87Control);
		word("fsw", "x87", State.x87Status);
		word("ftw", "x87", State.x87Tag, 8);
		for (let index = 0; index < 8; index++) {
			this.byName.set(`st${index}`, {
				group: "x87",
				width: 80,
				read: () => {
					const top = (i32[State.x87Status >> 2]! >> 11) & 7;
					const at = State.x87 + ((top + index) & 7) * 16;
					return view.getBigUint64(at, true) | (BigInt(view.getUint16(at + 8, true)) << 64n);
				},
			});
			this.byName.set(`mm${index}`, {
				group: "x87",
				width: 64,
				read: () => view.getBigUint64(State.x87 + index * 16, true),
			});
		}
		for (let index = 0; index < 16; index++) {
			const at = State.xmm + index * 16;
			this.byName.set(`xmm${index}`, {
				group: "sse",
				width: 128,
				read: () => view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n),
				write: (value) => {
					view.setBigUint64(at, value & 0xffffffffffffffffn, true);
					view.setBigUint64(at + 8, value >> 64n, true);
				},
			});
		}
		word("mxcsr", "sse", State.mxcsr, 32);
	}

	/** What VMX operation adds to the processor (SDM Vol. 3C §24.11). Pointers are all ones when there is none. */
	private defineVmx(): void {
		const unit = this.processor.vmx?.unit;
		if (!unit) return;
		const { i64 } = this.processor.core.state;
		const add = (name: string, width: number, read: () => bigint, meaning: (value: bigint) => string) =>
			this.byName.set(name, { group: "vmx", width, read, meaning });
		const pointer = (at: number) => () => BigInt.asUintN(64, i64[at >> 3]!);
		const orNone = (value: bigint) => (value === BigInt.asUintN(64, NO_POINTER) ? "none" : "");
		add(
			"vmx_operation",
			8,
			() => BigInt(unit.mode),
			(value) => VMX_MODES[Number(value)]!,
		);
		add("vmxon_pointer", 64, pointer(VmxWord.vmxonPointer), orNone);
		add("current_vmcs", 64, pointer(VmxWord.currentVmcs), orNone);
		add(
			"eptp",
			64,
			() => {
				const { ept } = this.processor.core.paging;
				return ept instanceof ExtendedPageTables ? ept.pointer : 0n;
			},
			(value) => (value === 0n ? "no EPT translates now" : ""),
		);
	}

	private get longMode(): boolean {
		return this.processor.core.state.longMode;
	}

	/** The names that make sense in the current mode, in the order of the manual. */
	names(): string[] {
		const wide = this.longMode;
		const general = wide
			? [...GENERAL.map((name) => `r${name}`), ...Array.from({ length: 8 }, (_, n) => `r${n + 8}`), "rip", "rflags"]
			: [...GENERAL.map((name) => `e${name}`), "eip", "eflags"];
		return [
			...general,
			...SEGMENTS,
			"ldtr",
			"tr",
			"gdtr",
			"idtr",
			"cr0",
			"cr2",
			"cr3",
			"cr4",
			...(wide ? ["cr8"] : []),
			"efer",
			"dr0",
			"dr1",
			"dr2",
			"dr3",
			"dr6",
			"dr7",
			"fcw",
			"fsw",
			"ftw",
			...Array.from({ length: 8 }, (_, n) => `st${n}`),
			...Array.from({ length: wide ? 16 : 8 }, (_, n) => `xmm${n}`),
			"mxcsr",
			...this.model,
			...(this.processor.vmx?.unit.inOperation ? VMX_NAMES : []),
		];
	}

	list(): RegisterValue[] {
		return this.names().map((name) => {
			const register = this.byName.get(name)!;
			const value = register.read();
			const wide = register.group === "msr" || register.group === "vmx";
			const width = !this.longMode && register.width === 64 && !wide ? 32 : register.width;
			return {
				name,
				group: register.group,
				width,
				value,
				meaning: register.meaning?.(value) ?? "",
				writable: register.write !== undefined,
			};
		});
	}

	/** undefined when there is no register of that name. */
	read(name: string): bigint | undefined {
		return this.byName.get(name.toLowerCase())?.read();
	}

	/** @throws {MachineError} */
	write(name: string, value: bigint): void {
		const register = this.byName.get(name.toLowerCase());
		if (!register) throw new MachineError(`There is no register ${name}.`);
		if (!register.write)
			throw new MachineError(
				`The register ${name} cannot be changed here: let the guest load it, so that what follows from it happens too.`,
			);
		const unsigned = BigInt.asUintN(register.width, value);
		if (unsigned !== value && BigInt.asIntN(register.width, value) !== value) {
			throw new MachineError(`0x${value.toString(16)} does not fit ${name}, which has ${register.width} bits.`);
		}
		register.write(unsigned);
	}
}

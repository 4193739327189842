// A host machine with a hypervisor of a few bytes: tests fill in a VMCS, write the guest's code as bytes and enter it. The hypervisor's
// instruction is real code; where a VM exit, a fault of the host or the end of its instruction lead is told, not executed.

import { VmcsMemory } from "../../emulator/cpu/vmx/vmcs.ts";
import { Vmcs, type VmcsFieldName } from "../../emulator/cpu/vmx/vmcs-fields.ts";
import { RAM_BASE, Segment, State } from "../../emulator/isa/state.ts";
import { HostMachine } from "../../emulator/machine/host-machine.ts";

/** Linear and physical addresses, which are the same for the host, and for the guest until a test gives it other tables. */
export const At = {
	gdt: 0x1000,
	guestIdt: 0x2000,
	hostIdt: 0x3000,
	tss: 0x4000,
	/** The hypervisor's instruction ends here. */
	hostEnd: 0x6003,
	hostExit: 0x6100,
	/** Handlers of host and guest faults, 16 bytes each. */
	hostHandlers: 0x6200,
	guest: 0x8000,
	guestStack: 0xa000,
	guestHandlers: 0xb000,
	hostStack: 0xd000,
	data: 0xe000,
	vmxon: 0x10000,
	vmcs: 0x11000,
	msrBitmap: 0x12000,
	ioBitmaps: 0x13000,
	virtualApic: 0x15000,
	apicAccess: 0x16000,
	lists: 0x17000,
	shadowVmcs: 0x18000,
	vmreadBitmap: 0x19000,
	vmwriteBitmap: 0x1a000,
	posted: 0x1b000,
	modificationLog: 0x1c000,
	ept: 0x20000,
	tables: 0x30000,
} as const;

export const Code = { code64: 0x08, data: 0x10, code32: 0x18, tss: 0x28 } as const;
const REVISION_MSR = 0x480;
const MEMORY = 0x200000;

/** What became of the hypervisor's instruction. */
export type Outcome =
	| { readonly kind: "done"; readonly carry: boolean; readonly zero: boolean; readonly error: number }
	| { readonly kind: "exit"; readonly reason: number; readonly qualification: bigint }
	| { readonly kind: "fault"; readonly vector: number }
	| { readonly kind: "running" }
	| { readonly kind: "stopped"; readonly why: string };

export class VmxMachine {
	readonly host: HostMachine;

	constructor() {
		const nothing = () => {};
		this.host = new HostMachine({ memoryBytes: MEMORY, onSerial: nothing, onDebugConsole: nothing, onReset: nothing });
		this.longMode();
		this.host.engine.setHostEntry(BigInt(At.hostEnd), BigInt(At.hostHandlers + 0x1000));
	}

	/** As after the constructor, whatever happened: memory keeps the bytes that are none of the set-up. */
	restart(): this {
		this.host.reset();
		this.longMode();
		return this;
	}

	get state() {
		return this.host.processor.core.state;
	}

	get unit() {
		return this.host.processor.vmx!.unit;
	}

	write32(address: number, ...values: number[]): void {
		values.forEach((value, index) => {
			this.host.physical.write(address + index * 4, 4, value >>> 0);
		});
	}

	write64(address: number, value: bigint): void {
		this.write32(address, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
	}

	read32(address: number): number {
		return this.host.physical.read(address, 4);
	}

	read64(address: number): bigint {
		return (BigInt(this.read32(address + 4)) << 32n) | BigInt(this.read32(address));
	}

	bytes(address: number, ...bytes: number[]): void {
		this.host.physical.poke(address, Uint8Array.from(bytes));
	}

	private gates(idt: number, handlers: number): void {
		for (let vector = 0; vector < 256; vector++)
			this.write32(idt + vector * 16, (Code.code64 << 16) | (handlers + vector * 16), 0x8e00, 0, 0);
	}

	/** The host in 64-bit mode at ring 0, its tables, and a guest's handlers: each is a VMCALL. */
	private longMode(): void {
		const { state } = this;
		this.write64(At.gdt + Code.code64, 0x00af9b000000ffffn);
		this.write64(At.gdt + Code.data, 0x00cf93000000ffffn);
		this.write64(At.gdt + Code.code32, 0x00cf9b000000ffffn);
		this.write64(At.gdt + Code.tss, 0x0000890040000067n);
		this.write64(At.gdt + Code.tss + 8, 0n);
		// No I/O permission bitmap.
		this.write32(At.tss + 0x64, 0x68 << 16);
		this.gates(At.hostIdt, At.hostHandlers);
		this.gates(At.guestIdt, At.guestHandlers);
		for (let vector = 0; vector < 256; vector++) this.bytes(At.guestHandlers + vector * 16, 0x0f, 0x01, 0xc1);
		// One page table for the first 2 MBytes, and 2-MByte pages of the first GByte behind it.
		this.write64(At.tables, BigInt(At.tables + 0x1000) | 7n);
		this.write64(At.tables + 0x1000, BigInt(At.tables + 0x2000) | 7n);
		for (let page = 0; page < 512; page++) {
			this.write64(At.tables + 0x2000 + page * 8, BigInt(page * 0x200000) | 0x87n);
			this.write64(At.tables + 0x3000 + page * 8, BigInt(page * 0x1000) | 7n);
		}
		this.write64(At.tables + 0x2000, BigInt(At.tables + 0x3000) | 7n);
		state.i64[State.gdtrBase >> 3] = BigInt(At.gdt);
		state.i32[State.gdtrLimit >> 2] = 0xff;
		state.i64[State.idtrBase >> 3] = BigInt(At.hostIdt);
		state.i32[State.idtrLimit >> 2] = 0xfff;
		state.i64[State.cr3 >> 3] = BigInt(At.tables);
		state.cr0 = 0x80000031 | 0;
		state.cr4 = 0x20;
		state.efer = 0xd01;
		state.cpl = 0;
		state.setSegment(Segment.cs, Code.code64, 0xa09b, 0, 0, -1);
		for (const segment of [Segment.ss, Segment.ds, Segment.es, Segment.fs, Segment.gs] as const)
			state.setSegment(segment, Code.data, 0xc093, 0, 0, -1);
		state.setSegment(Segment.tr, Code.tss, 0x8b, At.tss, 0, 0x67);
		state.setSegment(Segment.ldtr, 0, 0x10082, 0, 0, 0);
		state.setGpr64(4, BigInt(At.hostStack));
		state.updateMode();
		this.host.processor.modelSpecific.write(0x3a, 5n);
	}

	/** Into VMX operation, with a new current VMCS that describes a 64-bit guest. */
	operate(): this {
		this.state.cr4 |= 0x2000;
		this.host.physical.poke(At.vmcs, new Uint8Array(4096));
		const revision = Number(this.host.processor.modelSpecific.read(REVISION_MSR)! & 0x7fffffffn);
		for (const region of [At.vmxon, At.vmcs]) this.write32(region, revision);
		this.unit.enterOperation(BigInt(At.vmxon));
		this.unit.setCurrentVmcs(BigInt(At.vmcs));
		this.set(defaults());
		return this;
	}

	get vmcs(): VmcsMemory {
		return new VmcsMemory(this.host.physical, At.vmcs);
	}

	set(fields: Partial<Record<VmcsFieldName, number | bigint>>): this {
		for (const [name, value] of Object.entries(fields)) {
			const wide = typeof value === "bigint" ? value : BigInt(value >>> 0);
			this.vmcs.write(Vmcs[name as VmcsFieldName], wide);
		}
		return this;
	}

	/** Sets bits of a 32-bit field. */
	add(name: VmcsFieldName, bits: number): this {
		return this.set({ [name]: this.get32(name) | bits });
	}

	/** Sets secondary controls, and activates them. */
	secondary(bits: number): this {
		return this.add("primaryControls", 1 << 31).add("secondaryControls", bits);
	}

	get(name: VmcsFieldName): bigint {
		return this.vmcs.read(Vmcs[name]);
	}

	get32(name: VmcsFieldName): number {
		return this.vmcs.read32(Vmcs[name]) >>> 0;
	}

	/** Extended page tables that map the first 2 MBytes one to one, page by page. */
	ept(pointerBits = 0): this {
		this.write64(At.ept, BigInt(At.ept + 0x1000) | 7n);
		this.write64(At.ept + 0x1000, BigInt(At.ept + 0x2000) | 7n);
		this.write64(At.ept + 0x2000, BigInt(At.ept + 0x3000) | 7n);
		for (let page = 0; page < 512; page++) this.write64(this.eptEntry(page * 0x1000), BigInt(page * 0x1000) | 0x37n);
		return this.secondary(1 << 1).set({ eptPointer: At.ept | 0x1e | pointerBits });
	}

	/** Where the entry of a 4-KByte page lies. */
	eptEntry(address: number): number {
		return At.ept + 0x3000 + (address >> 12) * 8;
	}

	/** The guest's code, at its first instruction. */
	code(...bytes: number[]): this {
		this.bytes(At.guest, ...bytes);
		return this;
	}

	/** Executes one instruction of the hypervisor, and what follows, until it is the hypervisor's turn again. */
	execute(instruction: readonly number[], budget = 10_000): Outcome {
		const start = At.hostEnd - instruction.length;
		this.bytes(start, ...instruction);
		this.state.setRip(start, 0);
		return this.go(budget);
	}

	/** Goes on after "running". */
	go(budget = 10_000): Outcome {
		const stop = this.host.run(budget);
		if (stop === undefined) return { kind: "running" };
		if (stop.kind !== "host-entry") return { kind: "stopped", why: stop.kind };
		const { eip } = this.state;
		if (eip === At.hostEnd) {
			const flags = this.host.processor.core.readEflags();
			const error = this.unit.vmcs ? this.unit.vmcs.read32(Vmcs.instructionError) : 0;
			return { kind: "done", carry: (flags & 1) !== 0, zero: (flags & 0x40) !== 0, error };
		}
		if (eip === At.hostExit)
			return { kind: "exit", reason: this.get32("exitReason"), qualification: this.get("exitQualification") };
		return { kind: "fault", vector: (eip - At.hostHandlers) >> 4 };
	}

	launch(budget?: number): Outcome {
		return this.execute([0x0f, 0x01, 0xc2], budget);
	}

	resume(budget?: number): Outcome {
		return this.execute([0x0f, 0x01, 0xc3], budget);
	}

	/** Reason of the exit that an entry leads to. @throws {Error} when there is none */
	enter(budget?: number): number {
		const launched = this.read32(At.vmcs + 8) !== 0;
		const outcome = launched ? this.resume(budget) : this.launch(budget);
		if (outcome.kind !== "exit") throw new Error(`No VM exit: ${JSON.stringify(outcome)}`);
		return outcome.reason;
	}

	/** The bytes of the processor and of memory. */
	save(): { readonly state: Uint8Array; readonly retired: number } {
		return { state: this.host.physical.u8.slice(0, State.end), retired: this.host.engine.retired };
	}

	/** Another machine with the same state. */
	twin(): VmxMachine {
		const other = new VmxMachine();
		const { u8 } = this.host.physical;
		other.host.physical.u8.set(u8.subarray(RAM_BASE, RAM_BASE + MEMORY), RAM_BASE);
		const { state, retired } = this.save();
		other.host.physical.u8.set(state, 0);
		other.host.engine.setRetired(retired);
		other.host.processor.restored();
		return other;
	}
}

/** A guest like its host: 64-bit, flat, ring 0, with the host's page tables and its own IDT. */
function defaults(): Partial<Record<VmcsFieldName, number | bigint>> {
	const data = { selector: Code.data, base: 0, limit: 0xffffffff, access: 0xc093 };
	const segments: Record<string, number | bigint> = {};
	const parts: Record<string, { selector: number; base: number; limit: number; access: number }> = {
		Es: data,
		Cs: { selector: Code.code64, base: 0, limit: 0xffffffff, access: 0xa09b },
		Ss: data,
		Ds: data,
		Fs: data,
		Gs: data,
		Ldtr: { selector: 0, base: 0, limit: 0, access: 0x10000 },
		Tr: { selector: Code.tss, base: At.tss, limit: 0x67, access: 0x8b },
	};
	for (const [name, { selector, base, limit, access }] of Object.entries(parts)) {
		segments[`guest${name}`] = selector;
		segments[`guest${name}Base`] = base;
		segments[`guest${name}Limit`] = limit;
		segments[`guest${name}Access`] = access;
	}
	return {
		pinControls: 0x16,
		primaryControls: 0x04006172,
		exitControls: 0x00036dfb | (1 << 9),
		entryControls: 0x000011fb | (1 << 9),
		vmcsLinkPointer: 0xffff_ffff_ffff_ffffn,
		guestCr0: 0x80000031,
		guestCr3: At.tables,
		guestCr4: 0x2020,
		...segments,
		guestGdtrBase: At.gdt,
		guestGdtrLimit: 0xff,
		guestIdtrBase: At.guestIdt,
		guestIdtrLimit: 0xfff,
		guestDr7: 0x400,
		guestRsp: At.guestStack,
		guestRip: At.guest,
		guestRflags: 2,
		hostCr0: 0x80000031,
		hostCr3: At.tables,
		hostCr4: 0x2020,
		hostEs: Code.data,
		hostCs: Code.code64,
		hostSs: Code.data,
		hostDs: Code.data,
		hostTr: Code.tss,
		hostTrBase: At.tss,
		hostGdtrBase: At.gdt,
		hostIdtrBase: At.hostIdt,
		hostRsp: At.hostStack,
		hostRip: At.hostExit,
		msrBitmap: At.msrBitmap,
		ioBitmapA: At.ioBitmaps,
		ioBitmapB: At.ioBitmaps + 0x1000,
		virtualApicAddress: At.virtualApic,
		apicAccessAddress: At.apicAccess,
		vmreadBitmap: At.vmreadBitmap,
		vmwriteBitmap: At.vmwriteBitmap,
		postedInterruptDescriptor: At.posted,
		pmlAddress: At.modificationLog,
	};
}

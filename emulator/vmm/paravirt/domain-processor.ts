// The vCPU of a domain as a debugger's thread. The hardware walks the guest's own tables, so that their entries hold machine frames;
// gpa: is the pseudo-physical address that the guest's kernel counts in.

import { inspectMappings, inspectWalk, physicalTables, type Tables } from "../../cpu/page-walk-view.ts";
import { ArchitecturalProcessor } from "../../cpu/processor.ts";
import { PhysicalMemory } from "../../engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../../engine/translation-lookaside-buffer.ts";
import { Segment, State } from "../../isa/state.ts";
import { RegisterFile } from "../../machine/register-file.ts";
import {
	type Address,
	type AddressSpace,
	MachineError,
	type Mapping,
	type Processor,
	type RegisterValue,
	type Walk,
} from "../../machine/virtual-machine.ts";
import type { Domain, GuestFrame } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";

type Inspected = { write?: boolean; user?: boolean; execute?: boolean };
const RSP = 4;
const FLAT_CODE = 0xa0fb;
const FLAT_CODE_32 = 0xc0fb;
const FLAT_DATA = 0xc0f3;
const GENERAL = /^([re]?[abcd]x|[abcd][lh]|[re]?(si|di|bp|sp)|(si|di|bp|sp)l|r([89]|1[0-5])[dwb]?|xmm\d+)$/;

export class DomainProcessor implements Processor {
	readonly kind = "vcpu";
	readonly domainId: number;
	private readonly shown: ArchitecturalProcessor;
	private readonly file: RegisterFile;

	constructor(
		readonly id: number,
		private readonly hypervisor: Hypervisor,
		readonly domain: Domain,
	) {
		this.domainId = domain.id;
		const physical = new PhysicalMemory(4096);
		this.shown = new ArchitecturalProcessor({
			physical,
			tlb: new TranslationLookasideBuffer(physical),
			ports: { read: () => 0, write: () => {} },
			timestamp: () => hypervisor.host.now(),
			retired: () => hypervisor.host.engine.retired,
			features: { vmx: false },
		});
		this.file = new RegisterFile(this.shown);
	}

	/** Its registers are in the host's. */
	private get runs(): boolean {
		return this.hypervisor.current === this.domain;
	}

	/** The host executes its code now. */
	private get executes(): boolean {
		return this.runs && !this.hypervisor.inside;
	}

	/** The registers that an entry into the VMM pushes. */
	private get frame(): GuestFrame {
		return this.runs ? this.hypervisor.frame : this.domain.vcpu.frame;
	}

	private get kernel(): boolean {
		const { state } = this.hypervisor.control;
		return this.domain.kernelMode(this.executes ? state.selector(Segment.cs) : this.frame.cs);
	}

	describe(): string {
		const { domain } = this;
		const mode = this.kernel ? "kernel" : "user";
		const root = this.rootFrame * 4096;
		return `vCPU 0 of ${domain.name} (${mode}, ring ${domain.wide || !this.kernel ? 3 : 1}, CR3 0x${root.toString(16)}, ${domain.state})`;
	}

	codeSize(): 32 | 64 {
		if (this.executes) return this.hypervisor.control.state.mode64 ? 64 : 32;
		return this.domain.wide && this.frame.cs !== 0xe023 ? 64 : 32;
	}

	instructionPointer(): bigint {
		return this.executes ? this.hypervisor.control.state.rip : BigInt.asUintN(64, this.frame.rip);
	}

	linearInstructionPointer(): bigint {
		const base = this.executes && this.codeSize() === 32 ? this.hypervisor.control.state.base(Segment.cs) : 0n;
		return BigInt.asUintN(this.codeSize() === 64 ? 64 : 32, base + this.instructionPointer());
	}

	/** Builds the guest's state in a processor of its own. */
	private build(): void {
		const { hypervisor, domain } = this;
		const host = hypervisor.control.state;
		const { state } = this.shown.core;
		const { vcpu } = domain;
		state.u8.set(host.u8.subarray(0, State.end), 0);
		if (!this.runs) hypervisor.scheduler.restoreInto(domain, state);
		if (this.executes) {
			const flags = hypervisor.entry.guestFlags(domain, hypervisor.host.processor.core.readEflags());
			this.shown.core.flags.writeEflags(flags, -1);
		} else {
			const { frame } = this;
			const long = this.codeSize() === 64;
			state.setSegment(Segment.cs, frame.cs, long ? FLAT_CODE : FLAT_CODE_32, 0, 0, -1);
			state.setSegment(Segment.ss, frame.ss, FLAT_DATA, 0, 0, -1);
			state.cpl = frame.cs & 3;
			state.rip = BigInt.asIntN(64, frame.rip);
			state.setGpr64(RSP, BigInt.asIntN(64, frame.rsp));
			this.shown.core.flags.writeEflags(hypervisor.entry.guestFlags(domain, frame.rflags), -1);
		}
		state.i64[State.cr3 >> 3] = BigInt(this.rootFrame) * 4096n;
		state.i64[State.cr2 >> 3] = BigInt.asIntN(64, hypervisor.entry.faultAddress(domain));
		for (let register = 0; register < 8; register++)
			state.i64[(State.dr >> 3) + register] = BigInt.asIntN(64, vcpu.debugRegisters[register]!);
		state.updateMode();
	}

	registers(): RegisterValue[] {
		this.build();
		return this.file.list();
	}

	register(name: string): bigint | undefined {
		this.build();
		return this.file.read(name);
	}

	/** @throws {MachineError} when the register does not exist or cannot be changed from here. */
	setRegister(name: string, value: bigint): void {
		const { hypervisor, domain } = this;
		const lower = name.toLowerCase();
		if (!this.runs)
			throw new MachineError(`${domain.name} does not run now: its registers can be changed when its turn has come.`);
		this.build();
		this.file.write(lower, value);
		const { state } = this.shown.core;
		const host = hypervisor.control.state;
		if (/^[re]?ip$/.test(lower)) {
			if (this.executes) host.rip = state.rip;
			else this.frame.rip = state.rip;
		} else if (/^[re]?sp$/.test(lower) && !this.executes) this.frame.rsp = BigInt.asUintN(64, state.gpr64(RSP));
		else if (GENERAL.test(lower)) host.u8.set(state.u8.subarray(State.gpr, State.zero), State.gpr);
		else throw new MachineError(`Register ${name} cannot be changed while the guest runs under "pv".`);
		if (lower.startsWith("xmm")) host.u8.set(state.u8.subarray(State.xmm, State.x87), State.xmm);
	}

	/** Frame of the table that the hardware begins at for this domain. */
	private get rootFrame(): number {
		const { domain } = this;
		const { vcpu } = domain;
		if (!domain.wide) return domain.monitorRoot;
		return vcpu.inKernel ? vcpu.root : vcpu.userRoot;
	}

	private tables(): Tables {
		return {
			paging: "4-level",
			root: this.rootFrame * 4096,
			pageSizeExtension: true,
			executeDisable: true,
			writeProtect: true,
		};
	}

	private linearToMachine(linear: bigint): number | undefined {
		if (BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear) || this.rootFrame < 0) return undefined;
		return inspectWalk(physicalTables(this.hypervisor.host.physical), this.tables(), linear).result?.address;
	}

	private physicalToMachine(address: bigint): number | undefined {
		if (address < 0n || address >= 1n << 44n) return undefined;
		const frame = this.domain.physicalToMachine[Number(address >> 12n)];
		return frame === undefined || frame < 0 ? undefined : frame * 4096 + Number(address & 0xfffn);
	}

	private machineAddress({ space, value }: Address): number | undefined {
		switch (space) {
			case "lin":
				return this.linearToMachine(BigInt.asUintN(64, value));
			case "gpa":
				return this.physicalToMachine(value);
			case "hpa":
				return value >= 0n && value < 1n << 32n ? Number(value) : undefined;
			default:
				throw new MachineError("There are no device addresses (iova:) of a domain: ask for hpa:.");
		}
	}

	/** Calls `part` for the pieces of a range that lie in one page each, with their machine address, while it gives true. */
	private pieces(address: Address, length: number, part: (at: number, done: number, size: number) => boolean): void {
		for (let done = 0; done < length; ) {
			const at = this.machineAddress({ space: address.space, value: address.value + BigInt(done) });
			if (at === undefined) return;
			const size = Math.min(length - done, 4096 - (at % 4096));
			if (!part(at, done, size)) return;
			done += size;
		}
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		const bytes = new Uint8Array(length);
		let available = 0;
		this.pieces(address, length, (at, done, size) => {
			const found = this.hypervisor.host.physical.peek(at, size);
			if (found === undefined) return false;
			bytes.set(found, done);
			available = done + size;
			return true;
		});
		return available === 0 ? undefined : bytes.subarray(0, available);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		let written = 0;
		this.pieces(address, bytes.length, (at, done, size) => {
			if (!this.hypervisor.host.physical.poke(at, bytes.subarray(done, done + size))) return false;
			written = done + size;
			return true;
		});
		return written;
	}

	/** One table: the guest's, which is the hardware's. */
	walk(linear: bigint, access: Inspected = {}): Walk[] {
		const user = access.user ?? (this.domain.wide || !this.kernel);
		if (this.rootFrame < 0) return [{ table: "guest", linear, steps: [] }];
		const walk = inspectWalk(physicalTables(this.hypervisor.host.physical), this.tables(), linear, { ...access, user });
		const at = (value: number) => ({ space: "hpa" as const, value: BigInt(value) });
		const steps = walk.steps.map((step) => ({ ...step, entryAddress: at(step.entryAddress) }));
		const result = walk.result && { ...walk.result, address: at(walk.result.address) };
		return [{ table: "guest", linear, steps, ...(result ? { result } : {}) }];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		if (table !== "guest")
			throw new MachineError(`There is no table "${table}" under "pv": the guest's own ("guest") are the hardware's.`);
		if (this.rootFrame < 0) return [];
		const found = inspectMappings(physicalTables(this.hypervisor.host.physical), this.tables(), from, limit);
		return found.mappings.map((mapping) => ({
			...mapping,
			target: { space: "hpa" as const, value: BigInt(mapping.target) },
		}));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space === "iova") return undefined;
		const machine = this.linearToMachine(linear);
		if (machine === undefined) return undefined;
		if (space === "hpa") return BigInt(machine);
		const frame = Math.floor(machine / 4096);
		if (frame >= this.hypervisor.memory.frames || this.hypervisor.frames.owner[frame] !== this.domain.id)
			return undefined;
		const page = this.hypervisor.control.machineToPhysical(frame);
		return page < 0 ? undefined : BigInt(page) * 4096n + BigInt(machine % 4096);
	}
}

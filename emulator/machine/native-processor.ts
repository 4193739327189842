// The processor under `--vmm none` as a debugger sees it: whatever it runs now. While a guest of the guest runs, it shows that
// one: lin: is its linear space, gpa: is guest-physical, translated by the EPT, and hpa: is the host's memory. At other times
// gpa: and hpa: are the same.

import {
	inspectMappings,
	inspectWalk,
	physicalTables,
	type Tables,
	translateFirst,
	translateInspected,
} from "../cpu/page-walk-view.ts";
import { VmxMode } from "../cpu/vmx/vmx-state.ts";
import { Segment, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { readDeviceAddresses, writeDeviceAddresses } from "./device-addresses.ts";
import { eptMappings } from "./ept-mappings.ts";
import type { HostMachine } from "./host-machine.ts";
import type { NestedWalk } from "./hypervisor-views.ts";
import { NativeTables, type NestedSpaces } from "./native-tables.ts";
import { eptWalk, nestedWalk } from "./nested-walk.ts";
import { RegisterFile } from "./register-file.ts";
import type { RemappingView } from "./remapping-view.ts";
import {
	type Address,
	type AddressSpace,
	MachineError,
	type Mapping,
	type Processor,
	type RegisterValue,
	type Walk,
} from "./virtual-machine.ts";

interface Access {
	readonly write?: boolean;
	readonly user?: boolean;
	readonly execute?: boolean;
}

export class NativeProcessor implements Processor {
	readonly id: number;
	readonly kind = "vcpu";
	private readonly file: RegisterFile;
	private readonly tables: NativeTables;

	constructor(
		private readonly host: HostMachine,
		/** Of the host's processors, from 0. */
		private readonly number: number,
		private readonly remapping: RemappingView | undefined,
	) {
		this.id = number + 1;
		this.file = new RegisterFile(host.processors[number]!);
		this.tables = new NativeTables(host);
	}

	/** What is asked of a processor is looked up with its state in place. */
	private with<T>(action: () => T): T {
		return this.host.turns.within(this.number, action);
	}

	describe(): string {
		return this.with(() => this.description());
	}

	private description(): string {
		const { state } = this.host.processor.core;
		const mode = this.host.processor.vmx?.unit.mode;
		const side = mode === VmxMode.nonRoot ? ", in its guest" : mode === VmxMode.root ? ", hypervisor" : "";
		return `vCPU ${this.number}${side} (${state.modeName}, CPL ${state.i32[State.cpl >> 2]}, CR3 0x${this.register("cr3")!.toString(16)})`;
	}

	codeSize(): 16 | 32 | 64 {
		return this.with(() => (8 << this.host.physical.i32[State.codeSize >> 2]!) as 16 | 32 | 64);
	}

	instructionPointer(): bigint {
		return this.with(() => this.host.processor.core.state.rip);
	}

	linearInstructionPointer(): bigint {
		return this.with(() => {
			const base = this.host.physical.i64[(segmentSlot(Segment.cs) + SegmentSlot.effectiveBase) >> 3]!;
			const linear = base + this.instructionPointer();
			return BigInt.asUintN(this.codeSize() === 64 ? 64 : 32, linear);
		});
	}

	registers(): RegisterValue[] {
		return this.with(() => this.file.list());
	}

	register(name: string): bigint | undefined {
		return this.with(() => this.file.read(name));
	}

	setRegister(name: string, value: bigint): void {
		this.with(() => this.file.write(name, value));
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		return this.with(() => this.read(address, length));
	}

	private read(address: Address, length: number): Uint8Array | undefined {
		if (address.space === "lin") return this.host.processor.core.memory.peekLinear(address.value, length);
		if (address.space === "iova") return readDeviceAddresses(this.remapping, this.host.physical, address, length);
		const bytes = new Uint8Array(length);
		const done = this.eachPage(address, length, (at, from, size) => {
			bytes.set(this.host.physical.peek(at, size)!, from);
			return true;
		});
		return done === 0 ? undefined : bytes.subarray(0, done);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		return this.with(() => this.write(address, bytes));
	}

	private write(address: Address, bytes: Uint8Array): number {
		if (address.space === "lin") return this.host.processor.core.memory.pokeLinear(address.value, bytes);
		if (address.space === "iova") return writeDeviceAddresses(this.remapping, this.host.physical, address, bytes);
		return this.eachPage(address, bytes.length, (at, from, size) =>
			this.host.physical.poke(at, bytes.subarray(from, from + size)),
		);
	}

	/** The parts of a physical range that lie in RAM or ROM, page by page up to the first that does not. @returns bytes done. */
	private eachPage(
		{ space, value }: Address,
		length: number,
		action: (address: number, from: number, size: number) => boolean,
	): number {
		if (value < 0n || value >= 1n << 52n) return 0;
		let done = 0;
		while (done < length) {
			const at = this.hostPhysical(Number(value) + done, space);
			if (at === undefined || !this.host.physical.isBacked(at)) break;
			const size = Math.min(length - done, 4096 - (at % 4096));
			if (!action(at, done, size)) break;
			done += size;
		}
		return done;
	}

	private hostPhysical(address: number, space: AddressSpace): number | undefined {
		const ept = space === "gpa" ? this.tables.runningEpt : undefined;
		if (!ept) return address;
		const { frame } = ept.inspect(Math.floor(address / 4096));
		return frame === undefined ? undefined : frame * 4096 + (address % 4096);
	}

	/** Whether the access is that of user code. */
	private withUser(access: Access): Access {
		return { ...access, user: access.user ?? this.host.processor.core.state.i32[State.cpl >> 2] === 3 };
	}

	/** The tables of the running side first. */
	walk(linear: bigint, access: Access = {}): Walk[] {
		return this.with(() => this.walkHere(linear, access));
	}

	private walkHere(linear: bigint, access: Access): Walk[] {
		const asked = this.withUser(access);
		const nested = this.tables.nested();
		if (!nested) return [this.walkOf("guest", this.tables.running, linear, asked)];
		const own = this.walkOf("host", nested.host, linear, asked);
		const guests = this.walksOfGuest(nested, linear, asked);
		return this.tables.runningEpt ? [...guests, own] : [own, ...guests];
	}

	private walksOfGuest({ guest, ept }: NestedSpaces, linear: bigint, access: Access): Walk[] {
		const walk = this.walkOf("guest", guest, linear, access, ept);
		if (!walk.result) return [walk, { table: "ept", linear, steps: [] }];
		return [walk, eptWalk(ept, linear, walk.result.address.value, access, walk.result.user)];
	}

	/** One table: "guest" leads to guest-physical addresses, "host" to host-physical ones. */
	private walkOf(
		table: "guest" | "host",
		tables: Tables,
		linear: bigint,
		access: Access,
		ept?: NestedSpaces["ept"],
	): Walk {
		const space = table === "guest" ? "gpa" : "hpa";
		const { steps, result } = inspectWalk(physicalTables(this.host.physical, ept), tables, linear, access);
		return {
			table,
			linear,
			steps: steps.map((step) => ({ ...step, entryAddress: { space, value: BigInt(step.entryAddress) } })),
			...(result ? { result: { ...result, address: { space, value: BigInt(result.address) } } } : {}),
		};
	}

	nestedWalk(linear: bigint, access: Access = {}): NestedWalk | undefined {
		return this.with(() => this.nestedWalkHere(linear, access));
	}

	private nestedWalkHere(linear: bigint, access: Access): NestedWalk | undefined {
		const nested = this.tables.nested();
		if (!nested) return undefined;
		const walk = nestedWalk({ physical: this.host.physical, ...nested }, linear, this.withUser(access));
		if (this.tables.runningEpt) return walk;
		return { ...walk, note: "As the guest of the current VMCS would translate it (the hypervisor runs now)" };
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		return this.with(() => this.mappingsHere(table, from, limit));
	}

	private mappingsHere(table: string, from: bigint, limit: number): Mapping[] {
		const { physical } = this.host;
		const nested = this.tables.nested();
		if (table === "ept" && nested) return eptMappings(physical, nested.ept.pointer, from, limit);
		const tables = table === "guest" ? (nested?.guest ?? this.tables.running) : table === "host" && nested?.host;
		if (!tables)
			throw new MachineError(
				`There is no table "${table}" under "none": the guest's own ("guest") are the hardware's, and "host" and "ept" come with a VMCS that enables EPT.`,
			);
		const ept = table === "guest" ? nested?.ept : undefined;
		const space = table === "guest" ? "gpa" : "hpa";
		return inspectMappings(physicalTables(physical, ept), tables, from, limit).mappings.map((mapping) => ({
			...mapping,
			target: { space, value: BigInt(mapping.target) },
		}));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		return this.with(() => this.translateHere(linear, space));
	}

	private translateHere(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space === "iova") return undefined;
		const { running, runningEpt } = this.tables;
		const translate = space === "gpa" ? translateFirst : translateInspected;
		const physical = translate(this.host.physical, running, linear, runningEpt);
		return physical === undefined ? undefined : BigInt(physical);
	}
}

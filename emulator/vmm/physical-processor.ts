// The physical CPU as a debugger's thread under every technique: what the hardware runs. What differs is how it names that.

import {
	inspectedTables,
	inspectMappings,
	inspectWalk,
	physicalTables,
	translateInspected,
} from "../cpu/page-walk-view.ts";
import { State } from "../isa/state.ts";
import { memoryBehindDevices, readDeviceAddresses, writeDeviceAddresses } from "../machine/device-addresses.ts";
import type { HostMachine } from "../machine/host-machine.ts";
import { RegisterFile } from "../machine/register-file.ts";
import type { RemappingView } from "../machine/remapping-view.ts";
import {
	type Address,
	type AddressSpace,
	MachineError,
	type Mapping,
	type Processor,
	type RegisterValue,
	type Walk,
} from "../machine/virtual-machine.ts";
import { type Inspected, walkInSpace } from "./guest/guest-memory-view.ts";
import { PCPU } from "./hosted-machine.ts";

export abstract class PhysicalProcessor implements Processor {
	readonly id = PCPU;
	readonly kind = "pcpu";
	protected host!: HostMachine;
	private file!: RegisterFile;
	private remapping: RemappingView | undefined;
	/** Name of the table in CR3. */
	protected abstract readonly table: string;

	/** Shows another host from now on: the machine was reset. @param remapping of the host, when it has a unit. */
	protected show(host: HostMachine, remapping: RemappingView | undefined): void {
		this.host = host;
		this.remapping = remapping;
		this.file = new RegisterFile(host.processor);
	}

	abstract describe(): string;

	/** Which table it has, for a sentence that refuses another. */
	protected abstract readonly hint: string;

	codeSize(): 16 | 32 | 64 {
		return (8 << this.host.physical.i32[State.codeSize >> 2]!) as 16 | 32 | 64;
	}

	instructionPointer(): bigint {
		return this.host.processor.core.state.rip;
	}

	linearInstructionPointer(): bigint {
		const { state } = this.host.processor.core;
		return BigInt.asUintN(state.mode64 ? 64 : 32, (state.mode64 ? 0n : state.base(1)) + state.rip);
	}

	registers(): RegisterValue[] {
		return this.file.list();
	}

	register(name: string): bigint | undefined {
		return this.file.read(name);
	}

	setRegister(name: string, value: bigint): void {
		this.file.write(name, value);
	}

	/** How many of `length` bytes from a host-physical address on lie in RAM or ROM. */
	private range({ space, value }: Address, length: number): { start: number; available: number } {
		if (space === "gpa")
			throw new MachineError("The physical CPU knows no guest-physical addresses: ask the vCPU, or use hpa:.");
		const start = value < 0n || value >= 1n << 32n ? 0 : Number(value);
		let available = 0;
		while (value === BigInt(start) && available < length && this.host.physical.isBacked(start + available))
			available = Math.min(length, available + 4096 - ((start + available) & 0xfff));
		return { start, available };
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		if (address.space === "iova")
			return readDeviceAddresses(this.remapping, memoryBehindDevices(this.host), address, length);
		if (address.space === "lin") return this.host.processor.core.memory.peekLinear(address.value, length);
		const { start, available } = this.range(address, length);
		return available > 0 ? this.host.physical.peek(start, available) : undefined;
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		if (address.space === "iova")
			return writeDeviceAddresses(this.remapping, memoryBehindDevices(this.host), address, bytes);
		if (address.space === "lin") return this.host.processor.core.memory.pokeLinear(address.value, bytes);
		const { start, available } = this.range(address, bytes.length);
		return available > 0 && this.host.physical.poke(start, bytes.subarray(0, available)) ? available : 0;
	}

	walk(linear: bigint, access: Inspected = {}): Walk[] {
		const { core } = this.host.processor;
		const user = access.user ?? core.state.cpl === 3;
		const walk = inspectWalk(physicalTables(this.host.physical), inspectedTables(core.state), linear, {
			...access,
			user,
		});
		return [walkInSpace(this.table, "hpa", linear, walk)];
	}

	/** "host" is the table in CR3 under every technique. */
	mappings(table: string, from: bigint, limit: number): Mapping[] {
		if (table !== this.table && table !== "host")
			throw new MachineError(`The physical CPU has no table "${table}": ${this.hint}.`);
		const tables = inspectedTables(this.host.processor.core.state);
		const found = inspectMappings(physicalTables(this.host.physical), tables, from, limit);
		return found.mappings.map((mapping) => ({ ...mapping, target: { space: "hpa", value: BigInt(mapping.target) } }));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space !== "hpa") return undefined;
		const physical = translateInspected(this.host.physical, inspectedTables(this.host.processor.core.state), linear);
		return physical === undefined ? undefined : BigInt(physical);
	}
}

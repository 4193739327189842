// The physical CPU as a debugger's thread: what the hardware runs, the guest in VMX non-root operation or the VMM's few instructions.

import { inspectedTables, inspectMappings, inspectWalk, physicalTables } from "../../cpu/page-walk-view.ts";
import { State } from "../../isa/state.ts";
import { memoryBehindDevices, readDeviceAddresses, writeDeviceAddresses } from "../../machine/device-addresses.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import { RegisterFile } from "../../machine/register-file.ts";
import type { RemappingView } from "../../machine/remapping-view.ts";
import {
	type Address,
	type AddressSpace,
	MachineError,
	type Mapping,
	type Processor,
	type RegisterValue,
	type Walk,
} from "../../machine/virtual-machine.ts";
import { type Inspected, walkInSpace } from "../guest/guest-memory-view.ts";
import { PCPU } from "../hosted-machine.ts";
import type { GuestProcessor } from "./guest-processor.ts";

export class HostProcessor implements Processor {
	readonly id = PCPU;
	readonly kind = "pcpu";
	private file!: RegisterFile;
	private host!: HostMachine;
	private remapping: RemappingView | undefined;

	/** @param guest says where the guest's addresses lead while it runs. */
	constructor(private readonly guest: GuestProcessor) {}

	/** Shows another host from now on: the machine was reset. */
	attach(host: HostMachine, remapping?: RemappingView): void {
		this.host = host;
		this.remapping = remapping;
		this.file = new RegisterFile(host.processor);
	}

	describe(): string {
		const { state } = this.host.processor.core;
		const what = this.host.processor.runsGuest ? "VMX non-root operation" : "VMX root operation";
		return `pCPU 0 (${what}, ${state.modeName}, CPL ${state.cpl}, CR3 0x${this.register("cr3")!.toString(16)})`;
	}

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

	/** In the guest: the guest's tables and what translates them further; else the VMM's own tables. */
	walk(linear: bigint, access: Inspected = {}): Walk[] {
		const { core, runsGuest } = this.host.processor;
		if (runsGuest) return this.guest.walk(linear, access);
		const user = access.user ?? core.state.cpl === 3;
		const tables = inspectedTables(core.state);
		const walk = inspectWalk(physicalTables(this.host.physical), tables, linear, { ...access, user });
		return [walkInSpace("host", "hpa", linear, walk)];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		const { core, runsGuest } = this.host.processor;
		if (runsGuest) return this.guest.mappings(table, from, limit);
		if (table !== "host")
			throw new MachineError(`In VMX root operation the physical CPU has no table "${table}": choose "host".`);
		const found = inspectMappings(physicalTables(this.host.physical), inspectedTables(core.state), from, limit);
		return found.mappings.map((mapping) => ({ ...mapping, target: { space: "hpa", value: BigInt(mapping.target) } }));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (this.host.processor.runsGuest) return this.guest.translate(linear, space);
		if (space !== "hpa") return undefined;
		const tables = inspectedTables(this.host.processor.core.state);
		const address = inspectWalk(physicalTables(this.host.physical), tables, linear).result?.address;
		return address === undefined ? undefined : BigInt(address);
	}
}

// The physical CPU as a debugger's thread: what the hardware runs, translated fragments and user code.

import {
	inspectedTables,
	inspectMappings,
	inspectWalk,
	physicalTables,
	translateInspected,
} from "../cpu/page-walk-view.ts";
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

export class HostProcessor implements Processor {
	readonly id = 2;
	readonly kind = "pcpu";
	private file!: RegisterFile;
	private host!: HostMachine;
	private remapping: RemappingView | undefined;

	/** What the host runs in ring 1. */
	private kernel = "translation cache";

	/** Shows another host from now on: the machine was reset. @param remapping of the host, when it has a unit. */
	attach(host: HostMachine, kernel = this.kernel, remapping?: RemappingView): void {
		this.host = host;
		this.kernel = kernel;
		this.remapping = remapping;
		this.file = new RegisterFile(host.processor);
	}

	describe(): string {
		const { cpl } = this.host.processor.core.state;
		const what = cpl === 0 ? "VMM" : cpl === 1 ? this.kernel : "user code, directly";
		return `pCPU 0 (CPL ${cpl}, CR3 0x${this.register("cr3")!.toString(16)}, ${what})`;
	}

	codeSize(): 32 {
		return 32;
	}

	instructionPointer(): bigint {
		return this.host.processor.core.state.rip;
	}

	linearInstructionPointer(): bigint {
		return BigInt.asUintN(32, this.host.processor.core.state.base(1) + this.instructionPointer());
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

	walk(linear: bigint, access: { write?: boolean; user?: boolean; execute?: boolean } = {}): Walk[] {
		const { core } = this.host.processor;
		const user = access.user ?? core.state.cpl === 3;
		const tables = inspectedTables(core.state);
		const walk = inspectWalk(physicalTables(this.host.physical), tables, linear, { ...access, user });
		const at = (address: number) => ({ space: "hpa" as const, value: BigInt(address) });
		const steps = walk.steps.map((step) => ({ ...step, entryAddress: at(step.entryAddress) }));
		const result = walk.result && { ...walk.result, address: at(walk.result.address) };
		return [{ table: "shadow", linear, steps, ...(result ? { result } : {}) }];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		if (table !== "shadow" && table !== "host")
			throw new MachineError(`The physical CPU has no table "${table}": it walks the shadow table ("shadow").`);
		const tables = inspectedTables(this.host.processor.core.state);
		const found = inspectMappings(physicalTables(this.host.physical), tables, from, limit);
		return found.mappings.map((mapping) => ({
			...mapping,
			target: { space: "hpa" as const, value: BigInt(mapping.target) },
		}));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space !== "hpa") return undefined;
		const physical = translateInspected(this.host.physical, inspectedTables(this.host.processor.core.state), linear);
		return physical === undefined ? undefined : BigInt(physical);
	}
}

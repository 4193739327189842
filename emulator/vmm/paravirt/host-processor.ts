// The physical CPU as a debugger's thread: what the hardware runs, whichever domain it is for.

import {
	inspectedTables,
	inspectMappings,
	inspectWalk,
	physicalTables,
	translateInspected,
} from "../../cpu/page-walk-view.ts";
import { State } from "../../isa/state.ts";
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
import { PCPU } from "../hosted-machine.ts";
import type { Hypervisor } from "./hypervisor.ts";

export class HostProcessor implements Processor {
	readonly id = PCPU;
	readonly kind = "pcpu";
	private readonly file: RegisterFile;

	constructor(private readonly hypervisor: Hypervisor) {
		this.file = new RegisterFile(hypervisor.host.processor);
	}

	private get state() {
		return this.hypervisor.host.processor.core.state;
	}

	describe(): string {
		const { current, inside } = this.hypervisor;
		const what = current === undefined ? "idle" : inside ? "hypervisor" : current.name;
		return `pCPU 0 (CPL ${this.state.cpl}, CR3 0x${this.register("cr3")!.toString(16)}, ${what})`;
	}

	codeSize(): 16 | 32 | 64 {
		return (8 << this.state.i32[State.codeSize >> 2]!) as 16 | 32 | 64;
	}

	instructionPointer(): bigint {
		return this.state.rip;
	}

	linearInstructionPointer(): bigint {
		const { state } = this;
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

	private range({ space, value }: Address, length: number): { start: number; available: number } {
		if (space !== "hpa")
			throw new MachineError(`The physical CPU knows no ${space}: addresses here: ask the vCPU, or use hpa:.`);
		const { physical } = this.hypervisor.host;
		const start = value < 0n || value >= 1n << 32n ? 0 : Number(value);
		let available = 0;
		while (value === BigInt(start) && available < length && physical.isBacked(start + available))
			available = Math.min(length, available + 4096 - ((start + available) & 0xfff));
		return { start, available };
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		const { host } = this.hypervisor;
		if (address.space === "lin") return host.processor.core.memory.peekLinear(address.value, length);
		const { start, available } = this.range(address, length);
		return available > 0 ? host.physical.peek(start, available) : undefined;
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		const { host } = this.hypervisor;
		if (address.space === "lin") return host.processor.core.memory.pokeLinear(address.value, bytes);
		const { start, available } = this.range(address, bytes.length);
		return available > 0 && host.physical.poke(start, bytes.subarray(0, available)) ? available : 0;
	}

	walk(linear: bigint, access: { write?: boolean; user?: boolean; execute?: boolean } = {}): Walk[] {
		const { host } = this.hypervisor;
		const user = access.user ?? this.state.cpl === 3;
		const walk = inspectWalk(physicalTables(host.physical), inspectedTables(this.state), linear, { ...access, user });
		const at = (value: number) => ({ space: "hpa" as const, value: BigInt(value) });
		const steps = walk.steps.map((step) => ({ ...step, entryAddress: at(step.entryAddress) }));
		const result = walk.result && { ...walk.result, address: at(walk.result.address) };
		return [{ table: "host", linear, steps, ...(result ? { result } : {}) }];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		if (table !== "host")
			throw new MachineError(`The physical CPU has no table "${table}": it walks the table in its CR3 ("host").`);
		const { physical } = this.hypervisor.host;
		const found = inspectMappings(physicalTables(physical), inspectedTables(this.state), from, limit);
		return found.mappings.map((mapping) => ({
			...mapping,
			target: { space: "hpa" as const, value: BigInt(mapping.target) },
		}));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space !== "hpa") return undefined;
		const physical = translateInspected(this.hypervisor.host.physical, inspectedTables(this.state), linear);
		return physical === undefined ? undefined : BigInt(physical);
	}
}

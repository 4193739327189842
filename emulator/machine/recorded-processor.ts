// A processor whose changes by a debugger are noted, so that a run can be repeated with them.

import type { NestedWalk } from "./hypervisor-views.ts";
import type { Address, AddressSpace, Mapping, Processor, RegisterValue, Walk } from "./virtual-machine.ts";

type Access = Parameters<Processor["walk"]>[1];

/** Told after a change was made. */
export interface ChangeListener {
	registerSet(processor: number, name: string, value: bigint): void;
	memoryWritten(processor: number, address: Address, bytes: Uint8Array): void;
}

export class RecordedProcessor implements Processor {
	readonly id: number;
	readonly kind: "vcpu" | "pcpu";
	readonly domainId?: number;
	readonly nestedWalk?: (linear: bigint, access?: Access) => NestedWalk | undefined;

	constructor(
		private readonly processor: Processor,
		private readonly listener: ChangeListener,
	) {
		this.id = processor.id;
		this.kind = processor.kind;
		if (processor.domainId !== undefined) this.domainId = processor.domainId;
		if (processor.nestedWalk) this.nestedWalk = (linear, access) => processor.nestedWalk!(linear, access);
	}

	describe(): string {
		return this.processor.describe();
	}

	codeSize(): 16 | 32 | 64 {
		return this.processor.codeSize();
	}

	instructionPointer(): bigint {
		return this.processor.instructionPointer();
	}

	linearInstructionPointer(): bigint {
		return this.processor.linearInstructionPointer();
	}

	registers(): RegisterValue[] {
		return this.processor.registers();
	}

	register(name: string): bigint | undefined {
		return this.processor.register(name);
	}

	setRegister(name: string, value: bigint): void {
		this.processor.setRegister(name, value);
		this.listener.registerSet(this.id, name, value);
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		return this.processor.readMemory(address, length);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		const written = this.processor.writeMemory(address, bytes);
		if (written > 0) this.listener.memoryWritten(this.id, address, bytes.slice(0, written));
		return written;
	}

	walk(linear: bigint, access?: Access): Walk[] {
		return this.processor.walk(linear, access);
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		return this.processor.mappings(table, from, limit);
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		return this.processor.translate(linear, space);
	}
}

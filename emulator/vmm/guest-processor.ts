// The vCPU as a debugger's thread.

import { inspectMappings, inspectWalk, physicalTables, type TableMemory, type Tables } from "../cpu/page-walk-view.ts";
import { RAM_BASE } from "../isa/state.ts";
import { memoryBehindDevices, readDeviceAddresses, writeDeviceAddresses } from "../machine/device-addresses.ts";
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
import { Cr0, Cr4, Efer, PagingMode, pagingMode } from "./guest/guest-page-walk.ts";
import { GuestView } from "./guest-view.ts";
import type { Monitor } from "./monitor.ts";

const PAGING_NAMES = ["none", "32-bit", "PAE", "4-level"] as const;

type Inspected = { write?: boolean; user?: boolean; execute?: boolean };

export class GuestProcessor implements Processor {
	readonly id = 1;
	readonly kind = "vcpu";
	readonly view = new GuestView();
	private monitor!: Monitor;
	private remapping: RemappingView | undefined;

	/** Shows another VMM from now on: the machine was reset. @param remapping of the host, when it has a unit. */
	attach(monitor: Monitor, remapping?: RemappingView): void {
		this.monitor = monitor;
		this.remapping = remapping;
		this.view.monitor = monitor;
	}

	describe(): string {
		const { vcpu } = this.monitor;
		const kernel = this.monitor.guest.kernelRunsDirectly ? "direct execution in ring 1" : "binary translation";
		const mode = vcpu.cpl === 3 ? "direct execution" : kernel;
		return `vCPU 0 (CPL ${vcpu.cpl}, CR3 0x${(vcpu.cr3 >>> 0).toString(16)}, ${mode})`;
	}

	codeSize(): 16 | 32 {
		return this.monitor.vcpu.cs.access & 0x4000 ? 32 : 16;
	}

	instructionPointer(): bigint {
		return BigInt(this.view.eip >>> 0);
	}

	linearInstructionPointer(): bigint {
		return BigInt((this.view.eip + this.monitor.vcpu.cs.base) >>> 0);
	}

	registers(): RegisterValue[] {
		return this.view.list();
	}

	register(name: string): bigint | undefined {
		return this.view.read(name);
	}

	setRegister(name: string, value: bigint): void {
		this.view.write(name, value);
	}

	/** The guest's tables lie in guest-physical memory. */
	private readonly tableMemory: TableMemory = {
		page: (address) => {
			const { physical } = this.monitor;
			if (!physical.isRam(Math.floor(address / 4096))) return undefined;
			const frame = physical.pmap[Math.floor(address / 4096)]!;
			if (frame < 0) return new Int32Array(1024);
			const first = (RAM_BASE + frame * 4096) / 4;
			return physical.host.i32.subarray(first, first + 1024);
		},
	};

	private guestTables(): Tables {
		const { vcpu } = this.monitor;
		const mode = pagingMode(vcpu);
		return {
			paging: PAGING_NAMES[mode],
			root: (vcpu.cr3 & (mode === PagingMode.pae ? ~0x1f : 0xfffff000)) >>> 0,
			pageSizeExtension: (vcpu.cr4 & Cr4.pse) !== 0,
			executeDisable: (vcpu.efer & Efer.nxe) !== 0,
			writeProtect: (vcpu.cr0 & Cr0.wp) !== 0,
			...(mode === PagingMode.pae ? { pdptes: vcpu.pdptes } : {}),
		};
	}

	private hostAddress(guestPhysical: number): number | undefined {
		const frame = this.monitor.physical.pmap[Math.floor(guestPhysical / 4096)];
		return frame === undefined || frame < 0 ? undefined : frame * 4096 + (guestPhysical % 4096);
	}

	/** Calls `part` for the pieces of a range that lie in one page each, with their guest-physical address, while it gives true. */
	private pieces(address: Address, length: number, part: (at: number, done: number, size: number) => boolean): void {
		for (let done = 0; done < length; ) {
			const value = address.value + BigInt(done);
			if (value < 0n || value >= 1n << 32n) return;
			const physical =
				address.space === "lin" ? translateInspectedIn(this.tableMemory, this.guestTables(), value) : Number(value);
			if (physical === undefined) return;
			const size = Math.min(length - done, 4096 - (physical % 4096));
			if (!part(physical, done, size)) return;
			done += size;
		}
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		if (address.space === "iova")
			return readDeviceAddresses(this.remapping, memoryBehindDevices(this.monitor.host), address, length);
		const bytes = new Uint8Array(length);
		let available = 0;
		const { physical, host } = this.monitor;
		this.pieces(address, length, (at, done, size) => {
			const found = address.space === "hpa" ? host.physical.peek(at, size) : physical.peek(at, size);
			if (found === undefined) return false;
			bytes.set(found, done);
			available = done + size;
			return true;
		});
		return available === 0 ? undefined : bytes.subarray(0, available);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		if (address.space === "iova")
			return writeDeviceAddresses(this.remapping, memoryBehindDevices(this.monitor.host), address, bytes);
		let written = 0;
		const { physical, host } = this.monitor;
		this.pieces(address, bytes.length, (at, done, size) => {
			const part = bytes.subarray(done, done + size);
			if (!(address.space === "hpa" ? host.physical.poke(at, part) : physical.poke(at, part))) return false;
			written = done + size;
			return true;
		});
		return written;
	}

	walk(linear: bigint, access: Inspected = {}): Walk[] {
		const asked = { ...access, user: access.user ?? this.monitor.vcpu.cpl === 3 };
		const hostMemory = physicalTables(this.monitor.host.physical);
		const guest = inspectWalk(this.tableMemory, this.guestTables(), linear, asked);
		const shadow = inspectWalk(hostMemory, this.monitor.shadow.inspected(), linear, asked);
		return [inSpace("guest", "gpa", linear, guest), inSpace("shadow", "hpa", linear, shadow)];
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		const space = table === "guest" ? "gpa" : table === "shadow" ? "hpa" : undefined;
		if (space === undefined)
			throw new MachineError(`There is no table "${table}" of this vCPU: choose "guest" or "shadow".`);
		const found =
			space === "gpa"
				? inspectMappings(this.tableMemory, this.guestTables(), from, limit)
				: inspectMappings(physicalTables(this.monitor.host.physical), this.monitor.shadow.inspected(), from, limit);
		return found.mappings.map((mapping) => ({ ...mapping, target: { space, value: BigInt(mapping.target) } }));
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space === "iova") return undefined;
		const physical = translateInspectedIn(this.tableMemory, this.guestTables(), linear);
		if (physical === undefined) return undefined;
		if (space === "gpa") return BigInt(physical);
		const host = this.hostAddress(physical);
		return host === undefined ? undefined : BigInt(host);
	}
}

function translateInspectedIn(memory: TableMemory, tables: Tables, linear: bigint): number | undefined {
	return inspectWalk(memory, tables, linear, {}).result?.address;
}

function inSpace(table: string, space: "gpa" | "hpa", linear: bigint, walk: ReturnType<typeof inspectWalk>): Walk {
	const steps = walk.steps.map((step) => ({ ...step, entryAddress: { space, value: BigInt(step.entryAddress) } }));
	const result = walk.result && { ...walk.result, address: { space, value: BigInt(walk.result.address) } };
	return { table, linear, steps, ...(result ? { result } : {}) };
}

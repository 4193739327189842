// A guest's memory as a debugger reads and writes it, in any of its address spaces, and the guest's tables in guest-physical memory.
// Nothing here has a side effect on the guest.

import {
	type InspectedWalk,
	inspectMappings,
	inspectWalk,
	type TableMemory,
	type Tables,
} from "../../cpu/page-walk-view.ts";
import { PageKind } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import type { Address, AddressSpace, Mapping, Walk } from "../../machine/virtual-machine.ts";
import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";

export type Inspected = { write?: boolean; user?: boolean; execute?: boolean };

const ADDRESS_LIMIT = 1n << 52n;

export class GuestMemoryView {
	/** @param tables the guest's tables now. */
	constructor(
		readonly physical: GuestPhysicalMemory,
		private readonly tables: () => Tables,
	) {}

	private readonly tableMemory: TableMemory = {
		page: (address) => {
			const page = Math.floor(address / 4096);
			const kind = this.physical.kindOf(page);
			if (kind !== PageKind.ram && kind !== PageKind.rom) return undefined;
			const frame = this.physical.knownFrame(page);
			if (frame === undefined) return new Int32Array(1024);
			const first = (RAM_BASE + frame * 4096) / 4;
			return this.physical.host.i32.subarray(first, first + 1024);
		},
	};

	/** Guest-physical address of a linear one, whatever the rights. */
	guestPhysical(linear: bigint): number | undefined {
		const tables = this.tables();
		if (tables.paging === "4-level" && BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear)) return undefined;
		return inspectWalk(this.tableMemory, tables, linear).result?.address;
	}

	/** Host-physical address of a guest-physical one; undefined where no host frame is (yet). */
	hostPhysical(guestPhysical: number): number | undefined {
		const frame = this.physical.knownFrame(Math.floor(guestPhysical / 4096));
		return frame === undefined ? undefined : frame * 4096 + (guestPhysical % 4096);
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		if (space === "lin") return linear;
		if (space === "iova") return undefined;
		const physical = this.guestPhysical(linear);
		if (physical === undefined) return undefined;
		const address = space === "gpa" ? physical : this.hostPhysical(physical);
		return address === undefined ? undefined : BigInt(address);
	}

	/** Not for "iova", whose tables are the remapping unit's. Calls `part` for the pieces of a range that lie in one page each, with their physical address, while it gives true. */
	private pieces(address: Address, length: number, part: (at: number, done: number, size: number) => boolean): void {
		for (let done = 0; done < length; ) {
			const value = address.value + BigInt(done);
			if (address.space !== "lin" && (value < 0n || value >= ADDRESS_LIMIT)) return;
			const at = address.space === "lin" ? this.guestPhysical(value) : Number(value);
			if (at === undefined) return;
			const size = Math.min(length - done, 4096 - (at % 4096));
			if (!part(at, done, size)) return;
			done += size;
		}
	}

	read(address: Address, length: number): Uint8Array | undefined {
		const bytes = new Uint8Array(length);
		let available = 0;
		const memory = address.space === "hpa" ? this.physical.host : this.physical;
		this.pieces(address, length, (at, done, size) => {
			const found = memory.peek(at, size);
			if (found === undefined) return false;
			bytes.set(found, done);
			available = done + size;
			return true;
		});
		return available === 0 && length > 0 ? undefined : bytes.subarray(0, available);
	}

	write(address: Address, bytes: Uint8Array): number {
		let written = 0;
		const memory = address.space === "hpa" ? this.physical.host : this.physical;
		this.pieces(address, bytes.length, (at, done, size) => {
			if (!memory.poke(at, bytes.subarray(done, done + size))) return false;
			written = done + size;
			return true;
		});
		return written;
	}

	/** The walk of the guest's own tables. */
	walk(linear: bigint, access: Inspected): Walk {
		return walkInSpace("guest", "gpa", linear, inspectWalk(this.tableMemory, this.tables(), linear, access));
	}

	/** The address space of the guest's own tables. */
	mappings(from: bigint, limit: number): Mapping[] {
		const { mappings } = inspectMappings(this.tableMemory, this.tables(), from, limit);
		return mappings.map((mapping) => ({ ...mapping, target: { space: "gpa", value: BigInt(mapping.target) } }));
	}
}

/** A walk whose tables and result lie in one address space. */
export function walkInSpace(table: string, space: "gpa" | "hpa", linear: bigint, walk: InspectedWalk): Walk {
	const steps = walk.steps.map((step) => ({ ...step, entryAddress: { space, value: BigInt(step.entryAddress) } }));
	const result = walk.result && { ...walk.result, address: { space, value: BigInt(walk.result.address) } };
	return { table, linear, steps, ...(result ? { result } : {}) };
}

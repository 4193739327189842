// Data breakpoints on what devices read and write by DMA.

import type { DmaAccess, DmaPath } from "../devices/dma-port.ts";
import type { Address, Stop, Watchpoint } from "./virtual-machine.ts";

/** Pages of a linear range that are looked at; what lies behind is watched for the processor only. */
const MOST_LINEAR_PAGES = 1024;

export interface DmaWatchSurroundings {
	/** An address of any space but iova, in the space that the path's memory has; undefined when it is not mapped now. */
	physical(address: Address): bigint | undefined;
	/** Linear address of the next instruction. */
	instruction(): bigint;
	hit(stop: Stop): void;
}

export class DmaWatchpoints {
	private watchpoints: readonly Watchpoint[] = [];
	private path: DmaPath | undefined;

	constructor(private readonly surroundings: DmaWatchSurroundings) {}

	/** The path of the machine; absent when it has no bus master. Watchpoints stay. */
	attach(path: DmaPath | undefined): void {
		this.path = path;
		this.set(this.watchpoints);
	}

	set(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints.filter(({ by }) => by !== "cpu");
		if (this.path) this.path.onAccess = this.watchpoints.length > 0 ? (access) => this.accessed(access) : undefined;
	}

	private accessed(access: DmaAccess): void {
		for (const watchpoint of this.watchpoints) {
			if (watchpoint.access !== "readWrite" && (watchpoint.access === "write") !== access.write) continue;
			const offset = this.firstTouched(watchpoint, access);
			if (offset !== undefined) this.report(watchpoint, access, offset);
		}
	}

	/** Offset in the range of its first byte that the access touches. */
	private firstTouched({ address, length }: Watchpoint, access: DmaAccess): number | undefined {
		if (address.space === "iova") {
			const isOther = address.source !== undefined && address.source !== access.source;
			return isOther ? undefined : overlap(access.deviceAddress, access.bytes.length, address.value, length);
		}
		if (address.space !== "lin") {
			const start = this.surroundings.physical(address);
			return start === undefined ? undefined : overlap(BigInt(access.address), access.bytes.length, start, length);
		}
		// Pages that follow each other in the linear space need not do so in memory.
		let offset = 0;
		for (let pages = 0; offset < length && pages < MOST_LINEAR_PAGES; pages++) {
			const at = address.value + BigInt(offset);
			const inPage = Math.min(length - offset, 4096 - Number(at & 0xfffn));
			const start = this.surroundings.physical({ ...address, value: at });
			const touched =
				start === undefined ? undefined : overlap(BigInt(access.address), access.bytes.length, start, inPage);
			if (touched !== undefined) return offset + touched;
			offset += inPage;
		}
		return undefined;
	}

	private report({ id, address, length }: Watchpoint, access: DmaAccess, offset: number): void {
		const first = { ...address, value: address.value + BigInt(offset) };
		const physical = address.space === "iova" ? undefined : this.surroundings.physical(first);
		const from =
			physical === undefined ? Number(first.value - access.deviceAddress) : Number(physical) - access.address;
		const size = Math.min(8, length - offset, access.bytes.length - from);
		const value = (bytes: Uint8Array | undefined) => bytes && littleEndian(bytes.subarray(from, from + size));
		const now = value(access.bytes);
		const before = access.write ? value(access.before) : now;
		this.surroundings.hit({
			reason: "watchpoint",
			processor: 1,
			id,
			access: access.write ? "write" : "read",
			address: first,
			length: size,
			...(before === undefined ? {} : { oldValue: before }),
			...(now === undefined ? {} : { newValue: now }),
			instruction: this.surroundings.instruction(),
			device: access.device,
		});
	}
}

/** Offset in the second range of its first byte that lies in the first range. */
function overlap(start: bigint, bytes: number, watched: bigint, length: number): number | undefined {
	if (start + BigInt(bytes) <= watched || start >= watched + BigInt(length)) return undefined;
	return start <= watched ? 0 : Number(start - watched);
}

function littleEndian(bytes: Uint8Array): bigint {
	return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

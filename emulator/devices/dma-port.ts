// The one way by which devices reach the memory of their machine. What has to see every such access stands on it: the
// remapping unit (VT-d), the debugger's watchpoints, and, behind `DmaMemory`, the code caches of processor and VMM.

/** A requester: bus << 8 | device << 3 | function (PCI Express Base Specification 3.0, §2.2.6.2). */
export type SourceId = number;

/** What a bus master that drives 00:device.function is known by. */
export function sourceId(device: number, functionNumber: number): SourceId {
	return (device << 3) | functionNumber;
}

/** The memory behind the path, by host-physical address. */
export interface DmaMemory {
	/** Bytes of RAM or ROM; undefined when a part of the range is neither. */
	read(address: number, length: number): Uint8Array | undefined;
	/** Stores bytes, drops code decoded from them; false when a part of the range is no memory. Writes to ROM are lost. */
	write(address: number, bytes: Uint8Array): boolean;
}

/** Where a device address leads: at least one byte, up to the end of the page that was looked up. */
export interface DmaTarget {
	readonly address: number;
	/** Bytes from `address` on for which the answer holds. */
	readonly length: number;
}

/** The remapping unit on the path. It records faults itself; undefined says that the request is stopped. */
export interface DmaRemapping {
	translate(source: SourceId, address: bigint, write: boolean): DmaTarget | undefined;
	/** A message-signalled interrupt; false when it is stopped. */
	interrupt(source: SourceId, address: number, data: number): boolean;
}

/** One access within a page, as it reached memory. */
export interface DmaAccess {
	readonly source: SourceId;
	/** Name of the device. */
	readonly device: string;
	/** What the device asked for. */
	readonly deviceAddress: bigint;
	/** Where that is. */
	readonly address: number;
	readonly write: boolean;
	/** The bytes read or written. */
	readonly bytes: Uint8Array;
	/** For a write: what was there before. */
	readonly before?: Uint8Array;
}

/** Writes into this range are interrupt messages, never memory (SDM Vol. 3A §11.11.1; VT-d specification 3.3, §3.14). */
export const INTERRUPT_RANGE = 0xfee0_0000n;
const INTERRUPT_RANGE_END = 0xfef0_0000n;
const ADDRESS_END = 1n << 52n;
const PAGE = 4096;

/** The path of one machine. It holds no state of its own. */
export class DmaPath {
	/** Absent: device addresses are host-physical addresses. */
	remapping: DmaRemapping | undefined;
	/** Sees each access after it was done; set only while someone wants to know. */
	onAccess: ((access: DmaAccess) => void) | undefined;
	private readonly names = new Map<SourceId, string>();

	/** @param interrupt takes a message-signalled interrupt that no unit remaps. */
	constructor(
		private readonly memory: DmaMemory,
		private readonly interrupt: (address: number, data: number) => void,
	) {}

	/** The way of one device. @throws RangeError when the requester is there already. */
	port(source: SourceId, device: string): DmaPort {
		const other = this.names.get(source);
		if (other !== undefined) throw new RangeError(`${device} and ${other} cannot both be requester ${source}.`);
		this.names.set(source, device);
		return new DmaPort(this, source, device);
	}

	/** The bus masters by requester, for a view. */
	masters(): { source: SourceId; name: string }[] {
		return [...this.names].map(([source, name]) => ({ source, name })).sort((a, b) => a.source - b.source);
	}

	/** Bytes at a device address; undefined when the request was aborted. */
	read(source: SourceId, device: string, address: bigint, length: number): Uint8Array | undefined {
		const result = new Uint8Array(length);
		for (let done = 0; done < length; ) {
			const at = address + BigInt(done);
			const target = this.target(source, at, length - done, false);
			const bytes = target && this.memory.read(target.address, target.length);
			if (!bytes) return undefined;
			result.set(bytes, done);
			done += bytes.length;
			this.onAccess?.({ source, device, deviceAddress: at, address: target.address, write: false, bytes });
		}
		return result;
	}

	/** Stores bytes at a device address, page by page; false when one was stopped (those before it are written). */
	write(source: SourceId, device: string, address: bigint, bytes: Uint8Array): boolean {
		if (address >= INTERRUPT_RANGE && address < INTERRUPT_RANGE_END) return this.message(source, address, bytes);
		for (let done = 0; done < bytes.length; ) {
			const at = address + BigInt(done);
			const target = this.target(source, at, bytes.length - done, true);
			if (!target) return false;
			const part = bytes.subarray(done, done + target.length);
			const before = this.onAccess && this.memory.read(target.address, part.length);
			if (!this.memory.write(target.address, part)) return false;
			done += part.length;
			const access = { source, device, deviceAddress: at, address: target.address, write: true, bytes: part };
			this.onAccess?.(before ? { ...access, before } : access);
		}
		return true;
	}

	private target(source: SourceId, address: bigint, wanted: number, write: boolean): DmaTarget | undefined {
		if (address < 0n || address >= 1n << 64n || (address >= INTERRUPT_RANGE && address < INTERRUPT_RANGE_END))
			return undefined;
		const length = Math.min(wanted, PAGE - Number(address & 0xfffn));
		if (!this.remapping) return address < ADDRESS_END ? { address: Number(address), length } : undefined;
		const target = this.remapping.translate(source, address, write);
		return target && { address: target.address, length: Math.min(length, target.length) };
	}

	/** Only aligned dwords are messages; the rest is refused (VT-d specification 3.3, §3.14). */
	private message(source: SourceId, address: bigint, bytes: Uint8Array): boolean {
		if (bytes.length !== 4 || address & 3n) return false;
		const data = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
		if (this.remapping) return this.remapping.interrupt(source, Number(address), data);
		this.interrupt(Number(address), data);
		return true;
	}
}

/** What a device holds: its own way to memory. */
export class DmaPort {
	constructor(
		private readonly path: DmaPath,
		readonly source: SourceId,
		readonly device: string,
	) {}

	/** Bytes at a device address; undefined when the request was aborted (no memory there, or stopped by the remapping unit). */
	read(address: bigint, length: number): Uint8Array | undefined {
		return this.path.read(this.source, this.device, address, length);
	}

	/** False when the request, or a page of it, was aborted. */
	write(address: bigint, bytes: Uint8Array): boolean {
		return this.path.write(this.source, this.device, address, bytes);
	}

	/** Sends a message-signalled interrupt: a write of `data` to `address`. */
	signal(address: bigint, data: number): boolean {
		const bytes = new Uint8Array(4);
		new DataView(bytes.buffer).setUint32(0, data, true);
		return this.write(address, bytes);
	}
}

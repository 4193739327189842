import type { Address, Processor } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import { OpenMemoryViews } from "./open-views.ts";

const PAGE = 4096n;

/** Memory of every address space as the person's focus sees it. */
export class MemoryAccess {
	/** What the client's memory views show. */
	readonly views: OpenMemoryViews;

	constructor(private readonly debuggee: Debuggee) {
		this.views = new OpenMemoryViews(debuggee.emit, (address, length) => this.read(address, length));
	}

	/** Who reads an address: a linear one is seen by one processor, a physical one is the same for all. */
	processorFor(address: Address): Processor {
		return address.space === "lin" ? this.debuggee.processorFor(address.value) : this.debuggee.focusedProcessor();
	}

	/** The bytes from the address on up to the first that cannot be read; reads nothing that has side effects. */
	read(address: Address, length: number, processor = this.processorFor(address)): Uint8Array {
		const bytes = new Uint8Array(length);
		let count = 0;
		while (count < length) {
			const value = address.value + BigInt(count);
			if (value < 0n || value >= 1n << 64n) break;
			// Page by page: a page that is missing does not hide the ones before it.
			const inPage = Number(PAGE - (value % PAGE));
			const wanted = Math.min(length - count, inPage);
			const part = processor.readMemory({ ...address, value }, wanted);
			if (!part || part.length === 0) break;
			bytes.set(part.subarray(0, wanted), count);
			count += Math.min(part.length, wanted);
			if (part.length < wanted) break;
		}
		return bytes.subarray(0, count);
	}

	/** How many of the bytes from the address on cannot be read, `limit` at most. */
	unreadable(address: Address, limit: number, processor = this.processorFor(address)): number {
		let count = 0;
		while (count < limit) {
			const value = address.value + BigInt(count);
			if (value >= 1n << 64n) return limit;
			if (value >= 0n && processor.readMemory({ ...address, value }, 1)) return count;
			// Rights and presence change at pages; before the first page they change at 0.
			count += value < 0n ? Number(value < -BigInt(limit) ? BigInt(limit) : -value) : Number(PAGE - (value % PAGE));
		}
		return Math.min(count, limit);
	}

	/** Writes and tells the client. Returns the number of bytes written. @throws {RequestError} when not one was. */
	write(address: Address, bytes: Uint8Array, processor = this.processorFor(address)): number {
		if (bytes.length === 0) return 0;
		const written = processor.writeMemory(address, bytes);
		if (written === 0) throw new RequestError(`Memory at ${formatAddress(address)} cannot be written.`);
		this.reportChange(address, written);
		return written;
	}

	/** Memory was changed by the person: open memory views and everything computed from memory is out of date. */
	reportChange(address: Address, length: number): void {
		this.debuggee.emit("memory", { memoryReference: formatAddress(address), offset: 0, count: length });
		this.views.announce();
		this.debuggee.emit("invalidated", { areas: ["all"] });
	}
}

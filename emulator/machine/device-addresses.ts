// Memory as a device addresses it (iova:), for the debugger: through the remapping unit's tables, without side effects.

import type { HostMachine } from "./host-machine.ts";
import type { RemappingView } from "./remapping-view.ts";
import { type Address, MachineError } from "./virtual-machine.ts";

const PAGE = 4096;

/** What is read and written behind the tables. */
export interface PeekedMemory {
	peek(address: number, length: number): Uint8Array | undefined;
	poke(address: number, bytes: Uint8Array): boolean;
}

/** A host's memory; a VMM on it hears of what is written, as of a device's write. */
export function memoryBehindDevices(host: HostMachine): PeekedMemory {
	return {
		peek: (address, length) => host.physical.peek(address, length),
		poke: (address, bytes) => {
			if (!host.physical.poke(address, bytes)) return false;
			host.onDmaWrite(address, bytes.length);
			return true;
		},
	};
}

function required(view: RemappingView | undefined): RemappingView {
	if (view) return view;
	throw new MachineError("There are no device addresses (iova:) in this machine: no IOMMU translates them.");
}

/** Host-physical pieces of a range of device addresses, up to the first that leads nowhere. */
function* pieces(
	view: RemappingView,
	address: Address,
	length: number,
): Generator<{ at: number; size: number; done: number }> {
	for (let done = 0; done < length; ) {
		const value = address.value + BigInt(done);
		const at = view.resolve({ ...address, value });
		if (at === undefined) return;
		const size = Math.min(length - done, PAGE - Number(value & 0xfffn));
		yield { at: Number(at), size, done };
		done += size;
	}
}

/** Bytes up to the first that cannot be read; undefined when not even the first can. @throws {MachineError} when the device is not clear. */
export function readDeviceAddresses(
	view: RemappingView | undefined,
	memory: PeekedMemory,
	address: Address,
	length: number,
): Uint8Array | undefined {
	const result = new Uint8Array(length);
	let read = 0;
	for (const { at, size, done } of pieces(required(view), address, length)) {
		const bytes = memory.peek(at, size);
		if (!bytes) break;
		result.set(bytes, done);
		read = done + size;
	}
	return read > 0 ? result.subarray(0, read) : undefined;
}

/** How many bytes could be written. @throws {MachineError} when the device is not clear. */
export function writeDeviceAddresses(
	view: RemappingView | undefined,
	memory: PeekedMemory,
	address: Address,
	bytes: Uint8Array,
): number {
	let written = 0;
	for (const { at, size, done } of pieces(required(view), address, bytes.length)) {
		if (!memory.poke(at, bytes.subarray(done, done + size))) break;
		written = done + size;
	}
	return written;
}

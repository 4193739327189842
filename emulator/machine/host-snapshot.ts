// The whole host as it stands between two instructions, in plain data. Decoded code is not part of it: it is decoded again.

import type { ProcessorExtras } from "../cpu/processor.ts";
import { JumpCache, RAM_BASE } from "../isa/state.ts";
import type { HostMachine } from "./host-machine.ts";
import type { PcDevices } from "./pc-devices.ts";
import type { TurnState } from "./processor-turns.ts";
import type { MachineSnapshot } from "./virtual-machine.ts";

const CHUNK = 0x10000;
const EMPTY = new Uint8Array(CHUNK);

export interface HostSnapshot extends MachineSnapshot {
	readonly retired: number;
	readonly idle: number;
	/** The processor's state and the TLB, then RAM and ROM, in chunks; equal ones are one object. */
	readonly chunks: readonly Uint8Array[];
	/** By number; their states lie in the chunks. */
	readonly processors: readonly ProcessorExtras[];
	readonly turns: TurnState;
	readonly devices: readonly unknown[];
}

/** Places in WebAssembly memory that are kept: what lies between the TLB and RAM can be made again. */
function places(host: HostMachine): number[] {
	const found: number[] = [];
	for (let at = 0; at < JumpCache.base; at += CHUNK) found.push(at);
	for (let at = RAM_BASE; at < host.physical.u8.length; at += CHUNK) found.push(at);
	return found;
}

function equal(bytes: Uint8Array, words: Int32Array, at: number): boolean {
	const other = new Int32Array(bytes.buffer, bytes.byteOffset, CHUNK / 4);
	for (let n = 0, word = at >> 2; n < CHUNK / 4; n++, word++) if (other[n] !== words[word]) return false;
	return true;
}

export function takeHostSnapshot(host: HostMachine, previous: HostSnapshot | undefined): HostSnapshot {
	const { u8, i32 } = host.physical;
	let bytes = 0;
	const chunks = places(host).map((at, index) => {
		const before = previous?.chunks[index] ?? EMPTY;
		if (equal(before, i32, at)) return before;
		bytes += CHUNK;
		return u8.slice(at, at + CHUNK);
	});
	return {
		bytes,
		chunks,
		retired: host.engine.retired,
		idle: host.idleTime,
		processors: host.processors.map((processor) => processor.save()),
		turns: host.turns.save(),
		devices: saveDevices(host.devices),
	};
}

export function saveDevices(devices: PcDevices): unknown[] {
	return devices.all.map((device) => structuredClone(device.save()));
}

/** Each device drives its lines again and asks for its alarms; the interrupt controllers have the last word. */
export function restoreDevices({ all, interruptControllers }: PcDevices, saved: readonly unknown[]): void {
	const isController = (index: number) => interruptControllers.includes(all[index]!);
	const order = [...all.keys()].sort((a, b) => Number(isController(a)) - Number(isController(b)));
	for (const index of order) all[index]!.restore(structuredClone(saved[index]));
}

/** Puts the host back to a snapshot that was taken of it. */
export function restoreHostSnapshot(host: HostMachine, snapshot: HostSnapshot): void {
	const { u8 } = host.physical;
	host.beginRestore(snapshot.retired, snapshot.idle);
	restoreDevices(host.devices, snapshot.devices);
	// The state last: what the devices' lines did to it is in it already.
	const all = places(host);
	const copy = (index: number) => u8.set(snapshot.chunks[index]!, all[index]!);
	const low = JumpCache.base / CHUNK;
	for (let index = low; index < all.length; index++) copy(index);
	u8.fill(0, JumpCache.base, JumpCache.base + JumpCache.entries * JumpCache.entrySize);
	host.restoreProcessors(snapshot.processors, snapshot.turns, () => {
		for (let index = 0; index < low; index++) copy(index);
	});
}

// A host whose devices are assigned to a guest, without a processor that runs it: for tests.

import { PageKind } from "../../engine/physical-memory.ts";
import type { FaultRecord } from "../../machine/dma-faults.ts";
import { HostMachine } from "../../machine/host-machine.ts";
import type { OptionalDeviceName } from "../../machine/optional-devices.ts";
import { PcDevices } from "../../machine/pc-devices.ts";
import { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import { HostFrames } from "../host-frames.ts";
import { MessageInterrupts } from "./message-interrupts.ts";
import { AssignedLines, Passthrough } from "./passthrough.ts";

export const HOST_BYTES = 8 << 20;
export const GUEST_BYTES = 2 << 20;

/** Two guests whose frames lie between each other; the device is assigned to the first. */
export function startPassthrough(iommu = true, device: OptionalDeviceName = "dma-engine") {
	const lines = new AssignedLines();
	const host = new HostMachine({
		memoryBytes: HOST_BYTES,
		optional: { devices: [device], disks: [], iommu, line: lines.line },
		onSerial: () => {},
		onDebugConsole: () => {},
		onReset: () => {},
	});
	const guest = new PcDevices({
		clock: host.clock,
		memoryBytes: GUEST_BYTES,
		interruptRequest: () => {},
		nonMaskableInterrupt: () => {},
		initSignal: () => {},
		startUp: () => {},
		reset: () => {},
		powerOff: () => {},
		debugExit: () => {},
		debugConsole: () => {},
		serial: () => {},
		timeOfTsc: Number,
	});
	const frames = new HostFrames(0x100, HOST_BYTES / 4096);
	const memory = new GuestPhysicalMemory(host.physical, frames, GUEST_BYTES);
	memory.kind.fill(PageKind.mmio, 0xa0, 0xc0);
	const neighbour = new GuestPhysicalMemory(host.physical, frames, GUEST_BYTES);
	for (let page = 0; page < GUEST_BYTES / 4096; page++) {
		if (memory.isRam(page)) memory.frameOf(page);
		neighbour.poke(page * 4096, new Uint8Array(4096).fill(page));
	}
	const messages = new MessageInterrupts(host.devices.memory);
	const faults: FaultRecord[] = [];
	const passthrough = new Passthrough(host, guest, memory, frames, messages, (fault) => faults.push(fault));
	lines.connect(guest);
	/** What the VMM does when the host's processor takes an interrupt; the vector. */
	const interrupt = () => {
		const vector = host.devices.acknowledge();
		if (!messages.take(vector)) throw new Error(`Vector ${vector} is nobody's.`);
		return vector;
	};
	return { host, guest, memory, neighbour, passthrough, faults, interrupt };
}

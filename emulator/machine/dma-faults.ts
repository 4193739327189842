// DMA and interrupt requests that a remapping unit stopped: into the timeline, the view's list and the debugger's filters.

import type { StoppedRequest } from "../devices/iommu/remapping-unit.ts";
import type { OptionalDevices } from "./optional-devices.ts";
import { describeStopped, RemappingView, stoppedFields } from "./remapping-view.ts";
import type { EventFilter, Stop } from "./virtual-machine.ts";
import type { VmEventLog } from "./vm-events.ts";

/** A fault as the unit's registers have it (VT-d specification 3.3, §10.4.14). */
export interface FaultRecord {
	readonly source: number;
	readonly reason: number;
	/** Page of the device address, or the index of an interrupt request at bit 48 (FI). */
	readonly information: bigint;
	readonly read: boolean;
}

export interface DmaFaultSurroundings {
	readonly events: VmEventLog;
	/** Retired host instructions. */
	now(): number;
	filters(): readonly EventFilter[];
	/** The machine is to stop. */
	stop(stop: Stop): void;
	/** A VMM takes the unit's fault interrupts: it tells of the records that it finds by `reportRecord`. */
	readonly byInterrupt?: boolean;
}

/** The view of the machine's remapping unit, fed with what it stops; undefined when there is none. */
export function watchRemapping(
	devices: OptionalDevices | undefined,
	surroundings: DmaFaultSurroundings,
): RemappingView | undefined {
	const unit = devices?.iommu;
	if (!devices || !unit) return undefined;
	const view = new RemappingView(unit, devices.path);
	unit.onStopped = (request) => {
		view.add(request, surroundings.now());
		if (!surroundings.byInterrupt) report(request, view, surroundings);
	};
	return view;
}

/** A VMM has found a fault record. */
export function reportRecord(record: FaultRecord, view: RemappingView, surroundings: DmaFaultSurroundings): void {
	report(view.requestOf(record), view, surroundings);
}

function report(request: StoppedRequest, view: RemappingView, surroundings: DmaFaultSurroundings): void {
	surroundings.events.record("dma-fault", request.meaning, 0, undefined, stoppedFields(request));
	const matching = surroundings.filters().filter(({ event }) => event === "dma-fault");
	if (matching.length === 0) return;
	surroundings.stop({
		reason: "event",
		processor: 1,
		ids: matching.map(({ id }) => id),
		event: "dma-fault",
		description: describeStopped(request, view.deviceName(request.source)),
		faultAddress: request.address,
		source: request.source,
	});
}

/** The part of `--stats` that speaks of the remapping unit (DESIGN section 6). */
export function iommuStatistics(view: RemappingView | undefined): {
	readonly iommu?: { readonly translated: number; readonly blocked: number };
} {
	return view ? { iommu: { translated: view.translated, blocked: view.blocked } } : {};
}

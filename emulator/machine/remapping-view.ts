// What a debugger sees of a remapping unit: requesters, faults, walks and device addresses; nothing of it has side effects.

import { type DmaPath, INTERRUPT_RANGE } from "../devices/dma-port.ts";
import { describeReason, FaultReason } from "../devices/iommu/fault-reason.ts";
import type { RemappingUnit, StoppedRequest } from "../devices/iommu/remapping-unit.ts";
import { type TableStep, TranslationType, WalkFault } from "../devices/iommu/table-walk.ts";
import type { FaultRecord } from "./dma-faults.ts";
import type { IommuDevice, IommuFault, IommuView, SourceId } from "./hypervisor-views.ts";
import { type Address, MachineError, type Walk, type WalkStep } from "./virtual-machine.ts";
import type { VmEventField } from "./vm-events.ts";

const MOST_FAULTS = 256;
const PAGE = 4096n;

/** "00:04.0" */
export function sourceName(source: SourceId): string {
	const two = (value: number) => value.toString(16).padStart(2, "0");
	return `${two(source >> 8)}:${two((source >> 3) & 31)}.${source & 7}`;
}

/** One sentence about a stopped request. */
export function describeStopped(request: StoppedRequest, device: string | undefined): string {
	const who = `${device ?? "requester"} (${sourceName(request.source)})`;
	const what = request.access === "interrupt" ? "interrupt request" : `DMA ${request.access}`;
	return `${who}: ${what} at 0x${request.address.toString(16)} was stopped: ${request.meaning} (fault reason ${request.reason}; ${request.detail})`;
}

/** The parts of a stopped request for the timeline. */
export function stoppedFields(request: StoppedRequest): VmEventField[] {
	return [
		{ name: "requester", value: sourceName(request.source) },
		{ name: "address", value: request.address },
		{ name: "access", value: request.access },
		{ name: "fault reason", value: request.reason },
		{ name: "detail", value: request.detail },
	];
}

export class RemappingView implements IommuView {
	/** The newest first. */
	private recent: { readonly request: StoppedRequest; readonly instructionCount: number }[] = [];

	/** @param path tells which requesters there are. */
	constructor(
		private readonly unit: RemappingUnit,
		private readonly path: DmaPath,
	) {}

	get name(): string {
		return this.unit.name;
	}

	get enabled(): boolean {
		return this.unit.translationEnabled;
	}

	get rootTable(): bigint {
		return this.unit.rootTableAddress;
	}

	get translated(): number {
		return this.unit.translated;
	}

	get blocked(): number {
		return this.unit.blocked;
	}

	/** Remembers a stopped request. */
	add(request: StoppedRequest, instructionCount: number): void {
		this.recent.unshift({ request, instructionCount });
		if (this.recent.length > MOST_FAULTS) this.recent.length = MOST_FAULTS;
	}

	clear(): void {
		this.recent = [];
	}

	faults(): IommuFault[] {
		return this.recent.map(({ request: { source, address, access, reason, detail }, instructionCount }) => {
			return { instructionCount, source, address, access, reason, meaning: `${describeReason(reason)} (${detail})` };
		});
	}

	/** The stopped request that a fault record tells of; what the record itself says when it is no longer remembered. */
	requestOf(record: FaultRecord): StoppedRequest {
		const { source, reason, information } = record;
		const found = this.recent.find(
			({ request }) => request.source === source && request.reason === reason && request.information === information,
		);
		if (found) return found.request;
		const isInterrupt = reason >= FaultReason.interruptRequestReserved;
		const access = isInterrupt ? "interrupt" : record.read ? "read" : "write";
		const address = isInterrupt ? INTERRUPT_RANGE : information;
		const meaning = describeReason(reason);
		return { source, reason, information, access, address, meaning, silent: false, detail: "as recorded", number: 0 };
	}

	/** Name of a requester; undefined when no device has that number. */
	deviceName(source: SourceId): string | undefined {
		return this.path.masters().find((master) => master.source === source)?.name;
	}

	devices(): IommuDevice[] {
		return this.path.masters().map(({ source, name }) => {
			if (!this.enabled) return { source, name, treatment: "pass-through: translation is off" };
			try {
				const { type, domain, levels, table } = this.unit.inspectContext(source);
				if (type === TranslationType.passThrough) return { source, name, treatment: "pass-through", domain };
				return { source, name, treatment: "translated", domain, levels, table };
			} catch (fault) {
				if (!(fault instanceof WalkFault)) throw fault;
				return { source, name, treatment: `blocked: ${describeReason(fault.reason)}` };
			}
		});
	}

	walk(source: SourceId, address: bigint, access: { readonly write?: boolean } = {}): Walk {
		const steps: TableStep[] = [];
		const found = (base: bigint, size: bigint, writable: boolean): Walk => ({
			table: "iommu",
			linear: address,
			steps: steps.map((step) => viewOf(step)),
			result: {
				address: { space: "hpa", value: base + (address & (size - 1n)) },
				pageSize: Number(size),
				writable,
				user: false,
				executable: false,
			},
		});
		if (!this.enabled) return found(address & -PAGE, PAGE, true);
		try {
			const context = this.unit.inspectContext(source, steps);
			if (context.type === TranslationType.passThrough) return found(address & -PAGE, PAGE, true);
			const page = this.unit.inspectPage(context, address, access.write ?? false, steps);
			return found(page.base, page.size, page.write);
		} catch (fault) {
			if (!(fault instanceof WalkFault)) throw fault;
			const views = steps.map((step) => viewOf(step));
			const failure = `${describeReason(fault.reason)} (fault reason ${fault.reason}): ${fault.detail}`;
			const last = views.pop();
			return { table: "iommu", linear: address, steps: last ? [...views, { ...last, failure }] : [] };
		}
	}

	translate(source: SourceId, address: bigint): Address | undefined {
		return this.walk(source, address).result?.address;
	}

	/** Host-physical address of a device address of the debugger; undefined when a read there would be stopped. @throws {MachineError} */
	resolve(address: Address): bigint | undefined {
		const masters = this.path.masters();
		const source = address.source ?? (masters.length === 1 ? masters[0]!.source : undefined);
		if (source === undefined)
			throw new MachineError(
				`iova: needs its device: ${masters.map((master) => `${sourceName(master.source)} (${master.name})`).join(", ") || "this machine has no bus master"}.`,
			);
		return this.translate(source, address.value)?.value;
	}
}

function viewOf(step: TableStep): WalkStep {
	return {
		level: step.level,
		index: step.index,
		entryAddress: { space: "hpa", value: step.address },
		entry: step.entry,
		flags: flagsOf(step),
	};
}

function flagsOf({ level, entry, high }: TableStep): string[] {
	const flags = (...names: readonly (readonly [bigint, string])[]) =>
		names.flatMap(([bit, name]) => (entry & bit ? [name] : []));
	if (level === "root entry") return flags([1n, "P"]);
	if (level === "context entry") {
		const type = ["TT=untranslated", "TT=device TLB", "TT=pass-through", "TT=reserved"][Number((entry >> 2n) & 3n)]!;
		const domain = `DID=${((high ?? 0n) >> 8n) & 0xffffn}`;
		return [...flags([1n, "P"], [2n, "FPD"]), type, `AW=${(high ?? 0n) & 7n}`, domain];
	}
	return flags([1n, "R"], [2n, "W"], [0x80n, "PS"]);
}

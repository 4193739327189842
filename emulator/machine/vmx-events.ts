// VM entries and VM exits of a hypervisor that the host runs: into the timeline, the statistics, and to the debugger's filters.

import { ExitReasonNumber } from "../cpu/vmx/exit-reasons.ts";
import type { VmcsMemory } from "../cpu/vmx/vmcs.ts";
import type { EntryFailureReport, VmxObserver } from "../cpu/vmx/vmx-observer.ts";
import type { VmxUnit } from "../cpu/vmx/vmx-unit.ts";
import type { WatchedMachine } from "./native-events.ts";
import type { EventName, Stop } from "./virtual-machine.ts";
import type { VmEventField } from "./vm-events.ts";
import { instructionErrorMeaning, interruptionMeaning } from "./vmcs/event-bits.ts";
import { exitDetail, exitOperands, exitTitle, inOneLine } from "./vmcs/exit-words.ts";
import { fieldTitle } from "./vmcs/field-catalogue.ts";
import { VmcsBytes } from "./vmcs/vmcs-bytes.ts";

/** CS.L in the access rights. */
const LONG_CODE = 1 << 13;
const VALID = 1 << 31;

/** Linear address of the guest's instruction, from the guest-state area. */
function guestInstruction(vmcs: VmcsBytes): bigint {
	const rip = vmcs.read("guestRip");
	if (vmcs.word("guestCsAccess") & LONG_CODE) return rip;
	return BigInt.asUintN(32, vmcs.read("guestCsBase") + rip);
}

const failureFields = ({ field, rule }: EntryFailureReport): VmEventField[] => [
	{ name: "field", value: fieldTitle(field) },
	{ name: "rule", value: rule },
];

export interface VmxEventsState {
	readonly byReason: readonly (readonly [string, number])[];
}

export class VmxEvents implements VmxObserver {
	private readonly byReason = new Map<string, number>();
	/** The check that the entry failed whose exit comes next. */
	private failure: EntryFailureReport | undefined;

	constructor(
		private readonly machine: WatchedMachine,
		/** Of every processor; the state that they read is that of the one that runs. */
		private readonly units: readonly VmxUnit[],
	) {
		for (const unit of units) unit.observers.push(this);
	}

	/** At power-on. */
	clear(): void {
		this.byReason.clear();
		this.failure = undefined;
	}

	save(): VmxEventsState {
		return { byReason: [...this.byReason] };
	}

	restore({ byReason }: VmxEventsState): void {
		this.clear();
		for (const [reason, count] of byReason) this.byReason.set(reason, count);
	}

	/** The part of `--stats` (DESIGN section 6); absent before the first exit. */
	statistics(): { readonly exits?: { readonly total: number; readonly byReason: Readonly<Record<string, number>> } } {
		if (this.byReason.size === 0) return {};
		const total = [...this.byReason.values()].reduce((sum, count) => sum + count, 0);
		return { exits: { total, byReason: Object.fromEntries(this.byReason) } };
	}

	private region(address: number): VmcsBytes | undefined {
		const { physical } = this.machine.host;
		return physical.isBacked(address) ? VmcsBytes.over(physical, address) : undefined;
	}

	left({ address }: VmcsMemory): void {
		const { failure } = this;
		this.failure = undefined;
		const vmcs = this.region(address);
		if (!vmcs) return;
		const title = exitTitle(vmcs);
		this.byReason.set(title, (this.byReason.get(title) ?? 0) + 1);
		const reason = vmcs.word("exitReason") & 0xffff;
		const entryFailed = vmcs.word("exitReason") >>> 31 !== 0;
		const { state } = this.units[0]!.core;
		const detail = [
			...(entryFailed ? [] : exitOperands(reason, (number) => BigInt.asUintN(64, state.gpr64(number)))),
			...exitDetail(vmcs),
			...(failure ? failureFields(failure) : []),
		];
		const instruction = guestInstruction(vmcs);
		this.machine.events.record("exit", title, this.machine.processor(), instruction, detail);
		const violation = reason === ExitReasonNumber.eptViolation && !entryFailed;
		this.stop(
			violation ? ["vm-exit", "ept-violation"] : ["vm-exit"],
			`VM exit ${inOneLine(title, detail)}, at 0x${instruction.toString(16)} in the guest`,
			{
				exitReason: reason,
				qualification: vmcs.read("exitQualification"),
				...(violation || reason === ExitReasonNumber.eptMisconfiguration
					? { guestPhysical: vmcs.read("guestPhysicalAddress") }
					: {}),
			},
		);
	}

	entered({ address }: VmcsMemory, launch: boolean): void {
		const instruction = this.machine.instruction();
		const vmcs = this.region(address);
		const information = vmcs?.word("entryInterruptionInformation") ?? 0;
		const detail: VmEventField[] =
			information & VALID ? [{ name: "injects", value: interruptionMeaning(BigInt(information >>> 0)) }] : [];
		const name = launch ? "VMLAUNCH" : "VMRESUME";
		this.machine.events.record("entry", name, this.machine.processor(), instruction, detail);
		this.stop(["vm-entry"], `VM entry by ${inOneLine(name, detail)}, to 0x${instruction.toString(16)} in the guest`);
	}

	entryFailed(_vmcs: VmcsMemory, report: EntryFailureReport, error: number | undefined): void {
		this.failure = report;
		if (error === undefined) return;
		this.failure = undefined;
		const detail = [{ name: "error", value: instructionErrorMeaning(error) }, ...failureFields(report)];
		const processor = this.machine.processor();
		this.machine.events.record("entry", `failed with error ${error}`, processor, this.machine.instruction(), detail);
		this.stop(
			["vm-entry"],
			`The VM entry failed with error ${error}, ${instructionErrorMeaning(error)}: the field ${fieldTitle(report.field)} ${report.rule}`,
		);
	}

	/** Stops the machine when a filter asks for one of the events. */
	private stop(
		events: readonly EventName[],
		description: string,
		more: Partial<Extract<Stop, { reason: "event" }>> = {},
	): void {
		const matching = this.machine
			.filters()
			.filter(
				({ event, exitReason }) =>
					events.includes(event) && (exitReason === undefined || exitReason === more.exitReason),
			);
		if (matching.length === 0) return;
		this.machine.stop({
			reason: "event",
			processor: this.machine.processor(),
			ids: matching.map(({ id }) => id),
			event: matching[0]!.event,
			description,
			...more,
		});
	}
}

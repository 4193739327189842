// Exceptions, interrupts and mode switches under `--vmm none`: into the timeline, and to the debugger's filters.

import type { EventSource } from "../cpu/interrupt-delivery.ts";
import { Vector } from "../engine/fault.ts";
import { State } from "../isa/state.ts";
import { describeException, exceptionMnemonic } from "./exception-names.ts";
import type { HostMachine } from "./host-machine.ts";
import type { EventFilter, Stop } from "./virtual-machine.ts";
import type { VmEventField, VmEventLog } from "./vm-events.ts";

/** What those who watch a machine need of it. */
export interface WatchedMachine {
	readonly host: HostMachine;
	readonly events: VmEventLog;
	filters(): readonly EventFilter[];
	/** The processor that runs, as stops and events name it. */
	processor(): number;
	/** Linear address of the instruction at which it stands. */
	instruction(): bigint;
	/** The machine is to stop; false when it is going to stop for something else. */
	stop(stop: Stop): boolean;
}

export class NativeEvents {
	/** The exception at which the machine stands. */
	private shown: { readonly processor: number; readonly linear: bigint; readonly vector: number } | undefined;

	constructor(private readonly machine: WatchedMachine) {
		for (const processor of machine.host.processors) {
			processor.delivery.onEvent = (vector, errorCode, source, restartable) =>
				this.seeEvent(vector, errorCode, source, restartable);
			processor.core.state.onModeChange = (mode, previous) => this.seeMode(mode, previous);
		}
	}

	/** At power-on, and when the machine was put elsewhere. */
	clear(): void {
		this.shown = undefined;
	}

	/**
	 * An exception stops the machine before it is delivered, at the instruction that caused it; going on executes that instruction
	 * again, and its exception is then passed over once. What would not come again, an interrupt, an INT n or an injected event, stops
	 * it at the handler's first instruction.
	 */
	private seeEvent(vector: number, errorCode: number | undefined, source: EventSource, restartable: boolean): boolean {
		const linear = this.machine.instruction();
		const { shown } = this;
		const processor = this.machine.processor();
		if (shown?.processor === processor) this.shown = undefined;
		const again = shown?.processor === processor && shown.linear === linear && shown.vector === vector;
		if (again) return false;
		this.record(vector, errorCode, source, linear);
		const name = source === "external" || source === "nmi" ? "interrupt" : "exception";
		const matching = this.machine
			.filters()
			.filter(
				(filter) =>
					(filter.event === name && (filter.vector === undefined || filter.vector === vector)) ||
					(filter.event === "true-page-fault" && source === "exception" && vector === Vector.pageFault),
			);
		if (matching.length === 0) return false;
		const stops = this.machine.stop({
			reason: "event",
			processor,
			ids: matching.map(({ id }) => id),
			event: matching[0]!.event,
			description: `${describeException(vector, errorCode, source)} at 0x${linear.toString(16)}`,
			vector,
			...(errorCode === undefined ? {} : { errorCode }),
			...(vector === Vector.pageFault ? { faultAddress: this.faultAddress } : {}),
		});
		if (!stops || !restartable || source !== "exception") return false;
		this.shown = { processor, linear, vector };
		return true;
	}

	/** CR2 */
	private get faultAddress(): bigint {
		return BigInt.asUintN(64, this.machine.host.physical.i64[State.cr2 >> 3]!);
	}

	private record(vector: number, errorCode: number | undefined, source: EventSource, linear: bigint): void {
		const { events, host } = this.machine;
		const processor = this.machine.processor();
		if (source === "external" || source === "nmi") {
			events.record("interrupt", source === "nmi" ? "NMI" : `vector ${vector}`, processor, linear);
			return;
		}
		if (source !== "exception") return;
		const detail: VmEventField[] = errorCode === undefined ? [] : [{ name: "error code", value: errorCode }];
		if (vector !== Vector.pageFault) {
			events.record("exception", exceptionMnemonic(vector), processor, linear, detail);
			return;
		}
		const user = host.physical.i32[State.cpl >> 2] === 3;
		const address = { name: "address", value: this.faultAddress };
		events.record("true-fault", user ? "user" : "kernel", processor, linear, [address, ...detail]);
	}

	private seeMode(mode: string, previous: string): void {
		this.machine.events.record(
			"mode-switch",
			`${previous} → ${mode}`,
			this.machine.processor(),
			this.machine.instruction(),
		);
		const matching = this.machine.filters().filter((filter) => filter.event === "mode-switch");
		if (matching.length === 0) return;
		this.machine.stop({
			reason: "event",
			processor: this.machine.processor(),
			ids: matching.map(({ id }) => id),
			event: "mode-switch",
			description: `The processor went from ${previous} to ${mode} mode`,
		});
	}
}

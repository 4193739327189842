import { RecordedMachine } from "../emulator/machine/recorded-machine.ts";
import type { Processor, VirtualMachine } from "../emulator/machine/virtual-machine.ts";
import type { HostServices } from "./host-services.ts";
import type { MachineState } from "./protocol.ts";
import { RequestError } from "./request-error.ts";
import type { Emit } from "./session.ts";

/** What the concerns of a session share: the machine under the debugger and its state. */
export class Debuggee {
	private current: VirtualMachine | undefined;
	/** The machine as the one whose run is recorded; undefined before a launch succeeded. */
	private recorded: RecordedMachine | undefined;
	/** What the session's user sees of the machine. */
	state: MachineState = "stopped";
	/** The thread that the person looks at: the one that stopped last, or whose frame was opened last. */
	focusedThread = 1;
	/** Counts stops; what a view was told before the last one is out of date. */
	stopCount = 0;

	constructor(
		readonly host: HostServices,
		readonly emit: Emit,
	) {}

	set machine(machine: VirtualMachine | undefined) {
		this.current = machine;
		this.recorded = machine instanceof RecordedMachine ? machine : undefined;
	}

	/** The stopped machine, to go back with. @throws {RequestError} when its run is not recorded. */
	get history(): RecordedMachine {
		void this.stopped;
		if (!this.recorded) throw new RequestError("The run of this machine is not recorded: there is no way back.");
		return this.recorded;
	}

	/** @throws {RequestError} before a launch succeeded. */
	get machine(): VirtualMachine {
		if (!this.current) throw new RequestError("No machine is there yet: send launch first.");
		return this.current;
	}

	get hasMachine(): boolean {
		return this.current !== undefined;
	}

	/** The machine while it stands still. @throws {RequestError} while it runs or after its end. */
	get stopped(): VirtualMachine {
		const { machine } = this;
		if (this.state === "running") throw new RequestError("The machine is running: pause it first.");
		if (this.state === "ended") throw new RequestError("The machine has been switched off: restart the session.");
		return machine;
	}

	/** @throws {RequestError} when there is no such thread. */
	processor(threadId: number): Processor {
		const processors = this.machine.processors();
		const processor = processors.find((one) => threadIdOf(one) === threadId);
		if (!processor) {
			const known = processors.map(threadIdOf).join(", ");
			throw new RequestError(`There is no thread ${threadId}: the threads are ${known}.`);
		}
		return processor;
	}

	/** The processor of the focused thread; the first one when that thread is gone. */
	focusedProcessor(): Processor {
		const processors = this.machine.processors();
		return processors.find((one) => threadIdOf(one) === this.focusedThread) ?? processors[0]!;
	}

	/** The vCPU of the focused thread where several guests run (each is a domain with addresses of its own), else undefined. */
	get focusedDomain(): number | undefined {
		if (!this.hasMachine) return undefined;
		return domainProcessor(this.focusedProcessor());
	}

	/**
	 * Who can read an address for a request that names no thread: the translation cache is there only for the
	 * physical processor, all else is seen from the focused thread.
	 */
	processorFor(linear: bigint): Processor {
		if (this.isTranslatedCode(linear)) {
			const physical = this.machine.processors().find((one) => one.kind === "pcpu");
			if (physical) return physical;
		}
		return this.focusedProcessor();
	}

	/** Whether the linear address lies in the binary translator's cache. */
	isTranslatedCode(linear: bigint): boolean {
		const cache = this.machine.translationCache;
		return cache !== undefined && linear >= cache.start && linear < cache.end;
	}
}

/** The number of a processor that is a domain's vCPU; see Address.processor. */
export function domainProcessor({ id, domainId }: Processor): number | undefined {
	return domainId === undefined ? undefined : id;
}

/** The DAP thread of a processor: the machine numbers its processors from 1, as DAP does its threads. */
export function threadIdOf(processor: Processor): number {
	return processor.id;
}

import type { Processor } from "../../emulator/machine/virtual-machine.ts";
import type { Debuggee } from "../debuggee.ts";

type Values = ReadonlyMap<string, bigint>;

/** Register values of the last two stops, for marking what changed. */
export class RegisterHistory {
	private now = new Map<number, Values>();
	private before = new Map<number, Values>();

	constructor(private readonly debuggee: Debuggee) {}

	/** Called at each stop. */
	remember(): void {
		this.before = this.now;
		this.now = new Map(
			this.debuggee.machine
				.processors()
				.map((one) => [one.id, new Map(one.registers().map(({ name, value }) => [name, value]))]),
		);
	}

	/** The machine was switched on anew: nothing to compare with. */
	clear(): void {
		this.now = new Map();
		this.before = new Map();
	}

	/** Whether the value is another than at the stop before the last. */
	hasChanged(processor: Processor, name: string, value: bigint): boolean {
		const old = this.before.get(processor.id)?.get(name);
		return old !== undefined && old !== value;
	}
}

import type { DebugProtocol } from "@vscode/debugprotocol";
import type { MemoryRange } from "../breakpoints/data-breakpoints.ts";
import { RequestError } from "../request-error.ts";
import type { LocationStore } from "./location-store.ts";

/** Something that opens into variables: a scope, a register with fields, a C value. */
export interface VariableContainer {
	/** The children; `start` and `count` choose elements where the children are numbered. */
	children(start: number | undefined, count: number | undefined): DebugProtocol.Variable[];
	/** Sets a child from what the person typed and returns it as it is now. @throws with one sentence. */
	set?(name: string, text: string): DebugProtocol.Variable;
	/** The memory of a child. @throws {RequestError} with the reason why it has none. */
	range?(name: string): MemoryRange;
}

/** The containers that the client holds references to; all are forgotten when the machine moves. */
export class VariableStore {
	private readonly containers = new Map<number, VariableContainer>();
	/** References are never used twice, so that one from before a step is refused and not taken for another. */
	private next = 1;

	/** @param locations of the variables; they last as long as these */
	constructor(readonly locations: LocationStore) {}

	add(container: VariableContainer): number {
		const reference = this.next++;
		this.containers.set(reference, container);
		return reference;
	}

	/** @throws {RequestError} when the reference is from before the last step, or was never given out. */
	get(reference: number): VariableContainer {
		const container = this.containers.get(reference);
		if (!container)
			throw new RequestError(
				`Variable reference ${reference} is not known any more: the machine has moved since it was given out.`,
			);
		return container;
	}

	forget(): void {
		this.containers.clear();
		this.locations.forget();
	}
}

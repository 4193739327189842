import type { Address, ExecutionBreakpoint, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { type Breakpoint, type BreakpointKind, describeBreakpoint } from "./breakpoint.ts";
import type { Trigger } from "./trigger.ts";

/** What one request asks for; the store makes a Breakpoint of it. */
export interface WantedBreakpoint {
	readonly key: string;
	readonly trigger: Trigger;
	readonly source?: Breakpoint["source"];
	/** The vCPU that the person looks at. */
	readonly owner?: number | undefined;
	readonly place: Breakpoint["place"];
}

/** All execution breakpoints of a session, and those that a step sets for its own use. */
export class BreakpointStore {
	private readonly breakpoints = new Map<number, Breakpoint>();
	private temporary: readonly Address[] = [];
	private nextId = 1;
	/** Machine id → the breakpoint that it belongs to; undefined for a step's own. */
	private installed = new Map<number, Breakpoint | undefined>();
	/** "Run without debugging": nothing of the user's is set. */
	isDisabled = false;

	constructor(private readonly machine: () => VirtualMachine | undefined) {}

	/**
	 * Replaces the breakpoints of a kind (of source breakpoints: those whose key begins with `scope`). One that is asked
	 * for again with the same texts keeps its id and hit count.
	 */
	replace(kind: BreakpointKind, scope: string, wanted: readonly WantedBreakpoint[]): Breakpoint[] {
		const before = [...this.breakpoints.values()].filter(
			(breakpoint) => breakpoint.kind === kind && breakpoint.key.startsWith(scope),
		);
		for (const breakpoint of before) this.breakpoints.delete(breakpoint.id);
		const result = wanted.map((one) => {
			const index = before.findIndex((old) => old.key === one.key && old.trigger.equals(one.trigger));
			// A list is sent whole: what was asked for in another thread stays that thread's.
			const same = before.find((old) => old.key === one.key);
			const owner = same ? same.owner : one.owner;
			const old = index >= 0 ? before.splice(index, 1)[0] : undefined;
			const breakpoint: Breakpoint = {
				id: old?.id ?? this.nextId++,
				kind,
				key: one.key,
				trigger: old?.trigger ?? one.trigger,
				owner,
				place: one.place,
				placement: one.place(owner),
				...(one.source ? { source: one.source } : {}),
			};
			this.breakpoints.set(breakpoint.id, breakpoint);
			return breakpoint;
		});
		this.install();
		return result;
	}

	/** Looks every place up again; returns the descriptions of those that moved. */
	placeAgain(): ReturnType<typeof describeBreakpoint>[] {
		const changed: ReturnType<typeof describeBreakpoint>[] = [];
		for (const breakpoint of this.breakpoints.values()) {
			const before = JSON.stringify(describeBreakpoint(breakpoint));
			breakpoint.placement = breakpoint.place(breakpoint.owner);
			const description = describeBreakpoint(breakpoint);
			if (JSON.stringify(description) !== before) changed.push(description);
		}
		this.install();
		return changed;
	}

	/** Whether a place is to be looked up again at the next stop. */
	get isProvisional(): boolean {
		return [...this.breakpoints.values()].some(
			({ placement }) => "isProvisional" in placement && placement.isProvisional,
		);
	}

	/** The step's own breakpoints, beside the user's. */
	setTemporary(addresses: readonly Address[]): void {
		if (addresses.length === 0 && this.temporary.length === 0) return;
		this.temporary = addresses;
		this.install();
	}

	/** Tells the machine. Does nothing before there is one. */
	install(): void {
		const machine = this.machine();
		if (!machine) return;
		const list: ExecutionBreakpoint[] = [];
		this.installed = new Map();
		const add = (address: Address, owner: Breakpoint | undefined) => {
			const id = list.length + 1;
			list.push({ id, address });
			this.installed.set(id, owner);
		};
		if (!this.isDisabled)
			for (const breakpoint of this.breakpoints.values())
				for (const address of breakpoint.placement.addresses) add(address, breakpoint);
		for (const address of this.temporary) add(address, undefined);
		machine.setExecutionBreakpoints(list);
	}

	/** The user's breakpoints among the machine's ids, each once. */
	owners(ids: readonly number[]): Breakpoint[] {
		const owners = new Set<Breakpoint>();
		for (const id of ids) {
			const owner = this.installed.get(id);
			if (owner) owners.add(owner);
		}
		return [...owners];
	}

	/** The machine's ids of breakpoints that are set. */
	machineIds(breakpoints: readonly Breakpoint[]): number[] {
		return [...this.installed].filter(([, owner]) => owner && breakpoints.includes(owner)).map(([id]) => id);
	}

	/** Whether one of the ids is a step's own. */
	hasTemporary(ids: readonly number[]): boolean {
		return ids.some((id) => this.installed.has(id) && this.installed.get(id) === undefined);
	}

	/** The user's breakpoints at a linear address of a processor. */
	at(linear: bigint, processor: number): Breakpoint[] {
		if (this.isDisabled) return [];
		return [...this.breakpoints.values()].filter((breakpoint) =>
			breakpoint.placement.addresses.some(
				(address) =>
					address.space === "lin" &&
					address.value === linear &&
					(address.processor === undefined || address.processor === processor),
			),
		);
	}

	/** Hit counts begin anew. */
	resetHits(): void {
		for (const breakpoint of this.breakpoints.values()) breakpoint.trigger.reset();
	}
}

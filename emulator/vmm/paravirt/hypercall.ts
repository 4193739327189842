// What a hypercall is to the code that answers it, and the table of those that are answered.

import type { VmEventField } from "../../machine/vm-events.ts";
import type { Domain } from "./domain.ts";
import type { GuestMemory } from "./memory/guest-memory.ts";
import { Hypercall, type HypercallName } from "./xen-abi.ts";

/** One hypercall under way, or one entry of a multicall. */
export class HypercallContext {
	/** Decoded arguments, for the log. */
	readonly detail: VmEventField[] = [];
	/** Set when the call is not done: it goes on with these arguments after what is due has had its turn. */
	continuation: readonly bigint[] | undefined;

	/** @param args up to six words, zero-extended */
	constructor(
		readonly domain: Domain,
		readonly memory: GuestMemory,
		readonly args: readonly bigint[],
	) {}

	/** An argument as an unsigned int. */
	int(index: number): number {
		return Number(BigInt.asUintN(32, this.args[index] ?? 0n));
	}

	/** An argument as an unsigned long of the guest. */
	long(index: number): bigint {
		return this.args[index] ?? 0n;
	}

	/** Notes a decoded argument. */
	note(name: string, value: VmEventField["value"]): void {
		this.detail.push({ name, value });
	}
}

/** Result of a hypercall: what goes into the result register; negative errno on failure. */
export type HypercallResult = number | bigint;
export type HypercallHandler = (call: HypercallContext) => HypercallResult;

const NAMES: ReadonlyMap<number, HypercallName> = new Map(
	(Object.keys(Hypercall) as HypercallName[]).map((name) => [Hypercall[name], name]),
);

export function hypercallName(number: number): string {
	return NAMES.get(number) ?? `hypercall ${number < 64 ? number : "beyond 63"}`;
}

export class HypercallTable {
	private readonly handlers = new Map<number, HypercallHandler>();
	/** Calls by name since power-on. */
	readonly counts = new Map<string, number>();

	register(name: HypercallName, handler: HypercallHandler): void {
		this.handlers.set(Hypercall[name], handler);
	}

	registerAll(handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>>): void {
		for (const [name, handler] of Object.entries(handlers)) this.register(name as HypercallName, handler);
	}

	/** undefined: this VMM has no such hypercall. */
	find(number: number): HypercallHandler | undefined {
		return this.handlers.get(number);
	}

	count(name: string): void {
		this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
	}
}

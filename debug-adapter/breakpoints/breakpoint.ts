import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import type { Trigger } from "./trigger.ts";

export type BreakpointKind = "source" | "function" | "instruction";

/** Where a breakpoint lies now, or why it lies nowhere yet. */
export type Placement =
	| {
			readonly addresses: readonly Address[];
			readonly line?: number;
			/** Said although the breakpoint is placed. */
			readonly message?: string;
			/** To be looked up again at the next stop. */
			readonly isProvisional?: boolean;
	  }
	| { readonly addresses: readonly []; readonly message: string };

/** A breakpoint as the client asked for it and where it was placed. */
export interface Breakpoint {
	readonly id: number;
	readonly kind: BreakpointKind;
	/** What tells it from its neighbours of the same kind: "path:line:column", a function's name, a reference. */
	readonly key: string;
	readonly trigger: Trigger;
	/** The vCPU that its address belongs to when it was asked for by a bare address; see Address.processor. */
	readonly owner: number | undefined;
	/** Looks the place up; called again when symbols were added. */
	readonly place: (owner: number | undefined) => Placement;
	/** The client's path of a source breakpoint. */
	readonly source?: DebugProtocol.Source;
	placement: Placement;
}

/** The breakpoint as the client is told of it. */
export function describeBreakpoint(breakpoint: Breakpoint): DebugProtocol.Breakpoint {
	const { placement } = breakpoint;
	const first = placement.addresses[0];
	return {
		id: breakpoint.id,
		verified: first !== undefined,
		...(placement.message === undefined ? {} : { message: placement.message }),
		...(breakpoint.source ? { source: breakpoint.source } : {}),
		...("line" in placement && placement.line !== undefined ? { line: placement.line } : {}),
		...(first ? {} : { reason: "pending" as const }),
		...(first?.space === "lin" ? { instructionReference: `0x${first.value.toString(16)}` } : {}),
	};
}

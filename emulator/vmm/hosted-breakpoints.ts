// Execution breakpoints where the hardware runs guest code at its own addresses: under "hvm" and "pv".

import type { ExecutionEngine } from "../engine/execution-engine.ts";
import type { Address, ExecutionBreakpoint, Processor, Stop } from "../machine/virtual-machine.ts";
import { PCPU } from "./hosted-machine.ts";

/** Whether an address of a breakpoint holds for a vCPU: guests beside each other have the same addresses. */
export function belongsTo({ processor }: Address, vcpu: Processor): boolean {
	return processor === undefined || processor === vcpu.id;
}

export class HostedBreakpoints {
	private breakpoints: readonly ExecutionBreakpoint[] = [];

	get isEmpty(): boolean {
		return this.breakpoints.length === 0;
	}

	set(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints = breakpoints;
	}

	/** The host stops at the offsets within a page of all of them. */
	install(engine: ExecutionEngine): void {
		engine.code.setBreakpointOffsets(new Set(this.breakpoints.map(({ address }) => Number(address.value & 0xfffn))));
	}

	/** The breakpoints at which the host stands; those of host memory first. @param vcpu whose code it is; undefined for the VMM's. */
	hits(pcpu: Processor, vcpu: Processor | undefined): Stop | undefined {
		const linear = pcpu.linearInstructionPointer();
		const machine = pcpu.translate(linear, "hpa");
		const ids = (matches: (address: Address) => boolean) =>
			this.breakpoints.filter(({ address }) => matches(address)).map(({ id }) => id);
		const ofHost = ids(({ space, value }) => space === "hpa" && value === machine);
		if (ofHost.length > 0) return { reason: "breakpoint", processor: PCPU, ids: ofHost };
		if (!vcpu) return undefined;
		const ofGuest = ids((address) => {
			const { space, value } = address;
			if (!belongsTo(address, vcpu)) return false;
			return space === "lin" ? value === linear : space === "gpa" && value === vcpu.translate(linear, "gpa");
		});
		return ofGuest.length > 0 ? { reason: "breakpoint", processor: vcpu.id, ids: ofGuest } : undefined;
	}
}

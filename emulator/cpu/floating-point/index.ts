// The helpers of the x87, MMX and SSE rows.

import { Fault, Vector } from "../../engine/fault.ts";
import { type Helper, Outcome } from "../../engine/helper.ts";
import { State } from "../../isa/state.ts";
import { stateImageHelpers } from "./state-image.ts";
import { arithmeticHelpers } from "./x87-arithmetic.ts";
import { scalingHelpers } from "./x87-scaling.ts";
import { transcendentalHelpers } from "./x87-transcendental.ts";
import { transferHelpers } from "./x87-transfer.ts";
import { type FloatingPointHost, X87Unit } from "./x87-unit.ts";

export type { FloatingPointHost } from "./x87-unit.ts";

const CR0_EM = 4;
const CR0_TS = 8;
const CR4_OSFXSR = 0x200;

/** Every helper that the rows of isa/x87, isa/mmx and isa/sse name; "deviceNotAvailable" included. */
export function floatingPointHelpers(host: FloatingPointHost): Record<string, Helper> {
	const unit = new X87Unit(host);
	const { i32 } = host.physical;
	return {
		...arithmeticHelpers(unit),
		...transferHelpers(unit),
		...scalingHelpers(unit),
		...transcendentalHelpers(unit),
		...stateImageHelpers(unit),
		"x87:pending": () => {
			unit.checkPending();
			return Outcome.next;
		},
		// Before an MMX instruction (SDM Vol. 3A Table 12-1).
		"x87:mmxTrap": () => {
			const cr0 = i32[State.cr0 >> 2]!;
			if (cr0 & CR0_EM) throw new Fault(Vector.invalidOpcode);
			if (cr0 & CR0_TS) throw new Fault(Vector.deviceNotAvailable);
			unit.checkPending();
			return Outcome.next;
		},
		// `unit` of a row: 0 = x87, 1 = SSE (SDM Vol. 3A Tables 2-2, 13-1).
		deviceNotAvailable: (_record, kind) => {
			const sse = kind === 1;
			if (sse && (i32[State.cr0 >> 2]! & CR0_EM || (i32[State.cr4 >> 2]! & CR4_OSFXSR) === 0))
				throw new Fault(Vector.invalidOpcode);
			throw new Fault(Vector.deviceNotAvailable);
		},
	};
}

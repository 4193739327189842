// The helpers of the x87, MMX and SSE rows.

import { type Helper, Outcome } from "../../engine/helper.ts";
import { sseHelpers } from "./sse-helpers.ts";
import { stateImageHelpers } from "./state-image.ts";
import { arithmeticHelpers } from "./x87-arithmetic.ts";
import { scalingHelpers } from "./x87-scaling.ts";
import { transcendentalHelpers } from "./x87-transcendental.ts";
import { transferHelpers } from "./x87-transfer.ts";
import { type FloatingPointHost, X87Unit } from "./x87-unit.ts";
import { xsaveHelpers } from "./xsave-area.ts";

export type { FloatingPointHost } from "./x87-unit.ts";

/** Every helper that the rows of isa/x87, isa/mmx and isa/sse name. */
export function floatingPointHelpers(host: FloatingPointHost): Record<string, Helper> {
	const unit = new X87Unit(host);
	return {
		...arithmeticHelpers(unit),
		...transferHelpers(unit),
		...scalingHelpers(unit),
		...transcendentalHelpers(unit),
		...stateImageHelpers(unit),
		...xsaveHelpers(unit),
		...sseHelpers(host.physical),
		"x87:pending": () => {
			unit.checkPending();
			return Outcome.next;
		},
	};
}

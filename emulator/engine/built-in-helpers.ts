// Helpers that need nothing of the processor but its registers.

import { State } from "../isa/state.ts";
import { Fault, Vector } from "./fault.ts";
import { type Helper, Outcome } from "./helper.ts";
import type { PhysicalMemory } from "./physical-memory.ts";

/** Vectors that push an error code (SDM Vol. 3A, Table 6-1). */
const WITH_ERROR_CODE = new Set<number>([
	Vector.doubleFault,
	Vector.invalidTss,
	Vector.segmentNotPresent,
	Vector.stackFault,
	Vector.generalProtection,
	Vector.pageFault,
	Vector.alignmentCheck,
]);

const RAX = State.gpr >> 3;
const RDX = (State.gpr >> 3) + 2;

export function builtInHelpers(physical: PhysicalMemory): Record<string, Helper> {
	const { i64 } = physical;
	return {
		/** Raises the exception `vector`, with error code 0 where it has one. */
		raise: (_record, vector) => {
			throw new Fault(vector, WITH_ERROR_CODE.has(vector) ? 0 : undefined);
		},
		/** RDX:RAX divided by State.helperResult (SDM Vol. 2, DIV and IDIV, 64-bit operand). */
		divide128: (_record, signed) => {
			const wide = signed ? BigInt.asIntN : BigInt.asUintN;
			const divisor = wide(64, i64[State.helperResult >> 3]!);
			if (divisor === 0n) throw new Fault(Vector.divideError);
			const dividend = wide(128, (i64[RDX]! << 64n) | BigInt.asUintN(64, i64[RAX]!));
			const quotient = dividend / divisor;
			if (wide(64, quotient) !== quotient) throw new Fault(Vector.divideError);
			i64[RAX] = quotient;
			i64[RDX] = dividend % divisor;
			return Outcome.next;
		},
	};
}

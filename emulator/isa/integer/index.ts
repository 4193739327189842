import type { InstructionTable } from "../row.ts";
import { defineArithmetic } from "./arithmetic.ts";
import { defineBit } from "./bit.ts";
import { defineControlTransfer } from "./control-transfer.ts";
import { defineDataTransfer } from "./data-transfer.ts";
import { defineDecimal } from "./decimal.ts";
import { defineFlag } from "./flag.ts";
import { defineLogic } from "./logic.ts";
import { defineMultiplyDivide } from "./multiply-divide.ts";
import { defineShift } from "./shift.ts";
import { defineStack } from "./stack.ts";
import { defineString } from "./string.ts";
import { defineSystem } from "./system.ts";
import { defineVmx } from "./vmx.ts";

/** The integer and system instructions. */
export function defineInteger(table: InstructionTable): void {
	defineArithmetic(table);
	defineLogic(table);
	defineShift(table);
	defineBit(table);
	defineMultiplyDivide(table);
	defineDataTransfer(table);
	defineStack(table);
	defineControlTransfer(table);
	defineString(table);
	defineFlag(table);
	defineDecimal(table);
	defineSystem(table);
	defineVmx(table);
}

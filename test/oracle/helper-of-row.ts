// Which helper does the whole of an instruction that generated code does otherwise: found by writing the row out with an
// Operation that only listens.

import { FunctionBuilder } from "../../emulator/isa/emit/function-builder.ts";
import type { Routine } from "../../emulator/isa/emit/routine.ts";
import { type Value, ValueType } from "../../emulator/isa/emit/value.ts";
import { Operation, type Place } from "../../emulator/isa/operation.ts";
import type { Row } from "../../emulator/isa/row.ts";

const { i32, i64 } = ValueType;

export interface RowHelper {
	readonly name: string;
	readonly parameter: number;
}

class Listener extends Operation {
	readonly found: RowHelper[] = [];
	/** Bytes of the memory operand, when it is a source. */
	sourceSize = 0;

	constructor(row: Row) {
		super(new FunctionBuilder([], []), row.operands, false);
	}

	private anything(type: ValueType = i32): Value {
		return this.f.variable(type).get;
	}

	private get place(): Place {
		return { address: this.anything(), commit: () => {} };
	}

	override helperInstead(name: string, parameter: number): void {
		this.found.push({ name, parameter });
	}

	override call(routine: Routine, _args: readonly Value[], otherwise: () => void): readonly Value[] {
		otherwise();
		return routine.results.map((type) => this.anything(type));
	}

	override readPlace(size: number): Place {
		this.sourceSize = size;
		return this.place;
	}

	override writePlace(): Place {
		return this.place;
	}

	override modifyPlace(): Place {
		return this.place;
	}

	override placeAt(): Place {
		return this.place;
	}

	override directPlace(): Value {
		return this.anything();
	}

	override registerAddress(): Value {
		return this.anything();
	}

	override registerNumber(): Value {
		return this.anything();
	}

	override immediate64(): Value {
		return this.anything(i64);
	}

	override secondImmediate(): Value {
		return this.anything();
	}

	override effectiveAddress(): Value {
		return this.anything(i64);
	}

	override segment(): Value {
		return this.anything();
	}

	override prefixes(): Value {
		return this.anything();
	}

	override addressShift(): Value {
		return this.anything();
	}

	override thisInstruction(): Value {
		return this.anything(i64);
	}

	override nextInstruction(): Value {
		return this.anything(i64);
	}

	override jumpTo(): void {}
	override jumpRelative(): void {}
	override checkRelativeTarget(): void {}
	override fallThrough(): void {}
	override helper(): void {}
	override raise(): void {}
	override interruptedIteration(): void {}
}

/** What does the whole of the row's instruction: one helper, or two of FCMOV, for a condition that holds and one that does not. */
export function helpersOfRow(row: Row): { helpers: readonly RowHelper[]; sourceSize: number } {
	const listener = new Listener(row);
	row.emit(listener);
	return { helpers: listener.found, sourceSize: listener.sourceSize };
}

// AND, OR, XOR, NOT, TEST (SDM Vol. 2).

import type { Value } from "../emit/value.ts";
import { flagsOfLogic } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

function logic(o: Operation, operation: (a: Value, b: Value) => Value): void {
	const size = o.size(0);
	o.modify(0, (old) => {
		const result = o.f.let(operation(old, o.readAs(1, size)));
		flagsOfLogic(o, size, result);
		return result;
	});
}

export function defineLogic(table: InstructionTable): void {
	table.define(/^And_/, (o) => logic(o, (a, b) => a.and(b)));
	table.define(/^Or_/, (o) => logic(o, (a, b) => a.or(b)));
	table.define(/^Xor_/, (o) => logic(o, (a, b) => a.xor(b)));
	table.define(/^Not_/, (o) => o.modify(0, (old) => old.not()));
	table.define(/^Test_/, (o) => {
		const size = o.size(0);
		const a = o.f.let(o.read(0));
		flagsOfLogic(o, size, o.f.let(a.and(o.readAs(1, size))));
	});
}

// The generated interpreter in a memory. Memory that goes from a machine to its successor keeps its instance, so that what the
// JavaScript engine has made of the calls between the two languages is not made again at every reset.

import { instructionSet } from "./instruction-set.ts";

/** What generated code calls. */
export interface InterpreterCalls {
	slowRead(record: number, low: number, high: number, kind: number): number;
	slowWrite(record: number, low: number, high: number, kind: number): number;
	callHelper(record: number, number: number, parameter: number): number;
	lookup(): number;
	link(record: number): number;
}

export interface InterpreterInstance {
	readonly run: (record: number) => number;
	/** The table of compiled regions. */
	readonly regions: WebAssembly.Table;
	/** Its exports: the routines of isa/ by their names. */
	readonly routines: WebAssembly.Exports;
	/** InterpreterCalls.callHelper of the owner. */
	readonly helper: (record: number, number: number, parameter: number) => number;
}

interface Instance extends InterpreterInstance {
	calls: InterpreterCalls;
}

const instances = new WeakMap<WebAssembly.Memory, Instance>();

/** The interpreter in a memory. It calls the last owner that asked. */
export function interpreterIn(memory: WebAssembly.Memory, calls: InterpreterCalls): InterpreterInstance {
	const known = instances.get(memory);
	if (known) {
		known.calls = calls;
		return known;
	}
	const helper = (record: number, number: number, parameter: number) =>
		made.calls.callHelper(record, number, parameter);
	const { exports } = new WebAssembly.Instance(instructionSet().module, {
		env: {
			memory,
			slowRead: (record: number, low: number, high: number, kind: number) =>
				made.calls.slowRead(record, low, high, kind),
			slowWrite: (record: number, low: number, high: number, kind: number) =>
				made.calls.slowWrite(record, low, high, kind),
			helper,
			lookup: () => made.calls.lookup(),
			link: (record: number) => made.calls.link(record),
		},
	});
	const made: Instance = {
		calls,
		run: exports.run as (record: number) => number,
		regions: exports.regions as WebAssembly.Table,
		routines: exports,
		helper,
	};
	instances.set(memory, made);
	return made;
}

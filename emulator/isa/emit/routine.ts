// Functions of generated code that rows share. Each is made once, in the interpreter's module, which exports it by its name;
// compiled regions import it from there.

import type { FunctionBuilder, FunctionReference } from "./function-builder.ts";
import type { ValueType } from "./value.ts";

/** The last result, an i32, is negative when the routine has changed nothing and something else has to do the work. */
export interface Routine {
	readonly name: string;
	readonly parameters: readonly ValueType[];
	readonly results: readonly ValueType[];
	/** False: it reads state and changes none. */
	readonly changesState: boolean;
	/** Writes the body; `link` finds the routines that it calls. */
	readonly emit: (f: FunctionBuilder, link: (routine: Routine) => FunctionReference) => void;
}

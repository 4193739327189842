// Symbols: what a program's ELF and DWARF say about its code and data, and C expressions over it.
//
// This folder knows neither the emulator nor DAP: bytes come in as Uint8Array, the machine through small interfaces
// (FrameContext, EvaluationEnvironment). Addresses are bigint and, here at the facade, as loaded.
//
//   const table = new SymbolTable();
//   table.add(bytes, { name: "kernel.elf", bias: 0n, inflate });        // throws SymbolError, one sentence
//   table.locationsOfLine("kernel/main.c", 40);                         // where a breakpoint on the line belongs
//   table.locationsOfFunction("main");                                  // after the prologue, and inlined copies
//   const [frame] = table.framesAt(pc);                                 // inlined functions first; pc - 1 for callers
//   const caller = table.unwind(registers, registerModel("i386"), readMemory, false);
//   const context = { pc, readRegister, readMemory, cfa: caller?.cfa };
//   const environment = table.environment({ addressSize: 4, sideEffects: false, lookupRegister, readMemory: inSpace,
//       frame: { virtual: frame, context } });
//   const value = evaluate("((struct task *)gpa:0x1000)->name,s", environment);  // throws EvaluationError
//   const shown = formatValue(value.value, environment, value.format);  // text, type, memory reference
//   const parts = childrenOf(value.value, "task", environment, 0, 100); // members, elements in pages, *pointer
//   setValue(value.value, "42", environment);                           // throws EvaluationError, changes nothing then
//
// Opening a file reads its headers only. The first question about a function's name, a type or a global that is not
// near the frame reads the names of the whole file (a few seconds for a Linux kernel); questions about addresses and
// lines read only the units that they concern. A file may be damaged or hostile: every query may throw SymbolError.
//
// elf/ the container, dwarf/ the debug information, cfi/ unwinding, types/ C types, expression/ the C expression
// language, values/ objects: reading, showing, writing.

export { dwarfNumber, type RegisterModel, registerModel } from "./cfi/registers.ts";
export {
	type CallerFrame,
	type FrameRegisters,
	isEndOfStack,
	type ReadMemory,
	unwindByFramePointer,
} from "./cfi/unwinder.ts";
export type { DwarfFunction, SourcePosition } from "./dwarf/function.ts";
export type { TypeKind } from "./dwarf/name-index.ts";
export type { Inflate } from "./elf/elf-file.ts";
export { EvaluationError, SymbolError, type SymbolErrorKind } from "./errors.ts";
export {
	type AddressSpace,
	addressSpaces,
	type EvaluationEnvironment,
	type RegisterValue,
	type ValueMemory,
} from "./expression/environment.ts";
export { type EvaluatedExpression, evaluate, evaluateParsed, isTrueValue } from "./expression/evaluate.ts";
export { parseExpression } from "./expression/parser.ts";
export type { ParsedExpression, ValueFormat } from "./expression/syntax.ts";
export {
	type BreakpointLocation,
	type LoadedSymbol,
	type SourceRange,
	SymbolFile,
	type SymbolFileOptions,
	type VirtualFrame,
} from "./symbol-file.ts";
export { builtinTypes, type EnvironmentOptions, type NamedAddress, SymbolTable } from "./symbol-table.ts";
export { type CType, declaration, sizeOf, strip, typeName } from "./types/c-type.ts";
export { type ChildValue, childrenOf } from "./values/children.ts";
export { type FormattedValue, formatValue } from "./values/format.ts";
export { readScalar, type Scalar } from "./values/number.ts";
export { setValue } from "./values/set-value.ts";
export { bytesValue, type CValue, readValue, type Storage } from "./values/value.ts";
export type { FrameContext, Variable } from "./variables.ts";

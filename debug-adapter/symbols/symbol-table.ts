import type { RegisterModel } from "./cfi/registers.ts";
import {
	type CallerFrame,
	type FrameRegisters,
	isEndOfStack,
	type ReadMemory,
	unwindByFramePointer,
} from "./cfi/unwinder.ts";
import { DW_AT } from "./dwarf/constants.ts";
import type { TypeKind } from "./dwarf/name-index.ts";
import type { EvaluationEnvironment, RegisterValue, ValueMemory } from "./expression/environment.ts";
import {
	type BreakpointLocation,
	type LoadedSymbol,
	type SourceRange,
	SymbolFile,
	type SymbolFileOptions,
	type VirtualFrame,
} from "./symbol-file.ts";
import { BuiltinTypes } from "./types/builtin-types.ts";
import type { CType } from "./types/c-type.ts";
import type { FrameContext } from "./variables.ts";

/** A name for an address: the symbol and the distance into it. */
export interface NamedAddress {
	readonly name: string;
	readonly offset: bigint;
	readonly symbol: LoadedSymbol;
}

/** What an evaluation environment is made of, besides the symbols. */
export interface EnvironmentOptions extends ValueMemory {
	/** Size of addresses and of `long` in the code that is debugged. */
	readonly addressSize: 4 | 8;
	readonly sideEffects: boolean;
	/** By lower-case name without "$". */
	lookupRegister(name: string): RegisterValue | undefined;
	/** The frame whose locals are in scope, if any. */
	readonly frame?: { readonly virtual: VirtualFrame; readonly context: FrameContext } | undefined;
}

/** Several symbol files, asked as one; a file added later is asked later. Addresses are as loaded. */
export class SymbolTable {
	readonly #files: SymbolFile[] = [];

	get files(): readonly SymbolFile[] {
		return this.#files;
	}

	/** Opens a file and adds it. Throws `SymbolError`; nothing is added then. */
	add(bytes: Uint8Array, options: SymbolFileOptions): SymbolFile {
		const file = SymbolFile.open(bytes, options);
		this.#files.push(file);
		return file;
	}

	remove(file: SymbolFile): void {
		const index = this.#files.indexOf(file);
		if (index >= 0) this.#files.splice(index, 1);
	}

	/** The file that has code at the address. */
	fileAt(address: bigint): SymbolFile | undefined {
		return this.#files.find((file) => file.isCode(address));
	}

	isCode(address: bigint): boolean {
		return this.fileAt(address) !== undefined;
	}

	lineAt(address: bigint): SourceRange | undefined {
		return this.#first((file) => (file.isCode(address) ? file.lineAt(address) : undefined));
	}

	/** The functions active at an address, innermost inlined first; see `SymbolFile.framesAt`. */
	framesAt(address: bigint): VirtualFrame[] {
		return (
			this.#first((file) => {
				const frames = file.isCode(address) ? file.framesAt(address) : [];
				return frames.length > 0 ? frames : undefined;
			}) ?? []
		);
	}

	/** The paths of all source files of all files, sorted. */
	sourcePaths(): string[] {
		return [...new Set(this.#files.flatMap((file) => file.sourcePaths()))].sort();
	}

	/** Where a breakpoint on a line belongs, in every file; the path is matched as `SymbolFile.matchSource` has it. */
	locationsOfLine(path: string, line: number): BreakpointLocation[] {
		const found = this.#files.flatMap((file) =>
			file.matchSource(path).flatMap((recorded) => file.locationsOfLine(recorded, line)),
		);
		// Files with the next line that has code must not add to those that have the line itself.
		const nearest = found.reduce((line, location) => Math.min(line, location.position!.line), Number.POSITIVE_INFINITY);
		return found.filter((location) => location.position!.line === nearest);
	}

	/** The lines of a source from `from` to `to` that have code, in order. */
	linesWithCode(path: string, from = 1, to = Number.POSITIVE_INFINITY): number[] {
		const lines = new Set<number>();
		for (const file of this.#files) {
			for (const recorded of file.matchSource(path)) {
				for (const line of file.linesWithCode(recorded)) if (line >= from && line <= to) lines.add(line);
			}
		}
		return [...lines].sort((a, b) => a - b);
	}

	/** Where a breakpoint on a function belongs, in every file. */
	locationsOfFunction(name: string): BreakpointLocation[] {
		return this.#files.flatMap((file) => file.locationsOfFunction(name));
	}

	/** The symbol that holds an address, and how far into it the address is. */
	symbolAt(address: bigint): NamedAddress | undefined {
		const symbol = this.#first((file) => file.symbolAt(address));
		return symbol && { name: symbol.name, offset: address - symbol.address, symbol };
	}

	/** "name" or "name+0x10", or undefined for an address that no symbol holds. */
	nameAt(address: bigint): string | undefined {
		const found = this.symbolAt(address);
		return found && (found.offset === 0n ? found.name : `${found.name}+0x${found.offset.toString(16)}`);
	}

	symbolsNamed(name: string): LoadedSymbol[] {
		return this.#files.flatMap((file) => file.symbolsNamed(name));
	}

	/** Names of functions and variables that begin with `prefix`, for completion. */
	namesWithPrefix(prefix: string, limit = 100): string[] {
		const names = new Set(this.#files.flatMap((file) => file.symbols.namesWithPrefix(prefix, limit)));
		return [...names].sort().slice(0, limit);
	}

	typeNamed(kind: TypeKind, name: string): CType | undefined {
		return this.#first((file) => file.typeNamed(kind, name));
	}

	/**
	 * The caller of a frame: by call frame information, else by the frame pointer. `model` numbers the registers;
	 * `isCaller` says that the frame made a call, so that its pc is a return address. Undefined where the stack ends.
	 */
	unwind(
		registers: FrameRegisters,
		model: RegisterModel,
		readMemory: ReadMemory,
		isCaller: boolean,
	): CallerFrame | undefined {
		const pc = registers.get(model.returnAddress);
		if (pc === undefined) return undefined;
		const file = this.fileAt(isCaller ? pc - 1n : pc);
		let caller = file?.registers === model ? file.unwind(registers, readMemory, isCaller) : undefined;
		if (!caller) {
			const atEntry = !isCaller && this.symbolAt(pc)?.offset === 0n;
			caller = unwindByFramePointer(registers, model, readMemory, atEntry);
		}
		return isEndOfStack(caller, registers.get(model.stackPointer), (at) => this.isCode(at)) ? undefined : caller;
	}

	/** What expressions see in a frame, or with globals and registers alone when no frame is given. */
	environment(options: EnvironmentOptions): EvaluationEnvironment {
		const { frame } = options;
		const unit = frame?.virtual.scope?.scope.die.unit;
		const own = frame?.virtual.file;
		// The file of the frame is asked first: several programs may use one name.
		const files = own ? [own, ...this.#files.filter((file) => file !== own)] : this.#files;
		const context: FrameContext = frame?.context ?? {
			pc: 0n,
			readRegister: () => undefined,
			readMemory: (address, length) => options.readMemory("lin", address, length),
		};
		return {
			types: builtinTypes(options.addressSize),
			sideEffects: options.sideEffects,
			readMemory: (space, address, length) => options.readMemory(space, address, length),
			writeMemory: (space, address, bytes) => options.writeMemory?.(space, address, bytes) ?? false,
			writeRegister: (id, value) => options.writeRegister?.(id, value) ?? false,
			lookupRegister: (name) => options.lookupRegister(name),
			lookupVariable: (name) => {
				const local = frame && own!.variablesOf(frame.virtual).find((variable) => variable.name === name);
				if (local && own) {
					const isDeclaration = !local.die.withAttribute(DW_AT.location) && local.die.flag(DW_AT.declaration);
					if (!isDeclaration) return own.valueOf(local, context);
				}
				for (const file of files) {
					const global = file.globalsNamed(name, file === own ? unit : undefined)[0];
					if (global) return file.valueOf(global, context);
				}
				return undefined;
			},
			lookupConstant: (name) => firstOf(files, (file) => file.constantNamed(name)),
			lookupType: (kind, name) => firstOf(files, (file) => file.typeNamed(kind, name, file === own ? unit : undefined)),
			lookupSymbol: (name) => {
				const symbol = firstOf(files, (file) => file.symbolsNamed(name)[0]);
				if (!symbol) return undefined;
				const isFunction = symbol.type === "function" || symbol.file.isCode(symbol.address);
				const found = isFunction ? symbol.file.functionAt(symbol.address) : undefined;
				let type: CType | undefined;
				if (found?.die.name === name) type = symbol.file.dwarf.types.functionType(found.die);
				else if (!isFunction) type = symbol.file.declaredType(name);
				return { address: symbol.address, size: symbol.size, isFunction, ...(type ? { type } : {}) };
			},
			symbolize: (address) => this.nameAt(address),
			completeType: (type) => {
				const isOpen = (type.kind === "struct" || type.kind === "union" || type.kind === "enum") && type.isDeclaration;
				if (!isOpen) return type;
				return (
					firstOf(files, (file) => {
						const complete = file.completeType(type);
						return complete === type ? undefined : complete;
					}) ?? type
				);
			},
		};
	}

	#first<T>(ask: (file: SymbolFile) => T | undefined): T | undefined {
		return firstOf(this.#files, ask);
	}
}

const types = { 4: new BuiltinTypes(4), 8: new BuiltinTypes(8) };

/** The built-in C types for an address size; always the same object, so types compare equal. */
export function builtinTypes(addressSize: 4 | 8): BuiltinTypes {
	return types[addressSize];
}

function firstOf<T>(files: readonly SymbolFile[], ask: (file: SymbolFile) => T | undefined): T | undefined {
	for (const file of files) {
		const answer = ask(file);
		if (answer !== undefined) return answer;
	}
	return undefined;
}

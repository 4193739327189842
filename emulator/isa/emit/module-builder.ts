// A WebAssembly module: imports, functions, exports, in the order of the binary format.

import { CodeWriter } from "./code-writer.ts";
import { FunctionBuilder, type FunctionReference, type FunctionSignature } from "./function-builder.ts";
import type { ValueType } from "./value.ts";

interface Declared extends FunctionReference {
	readonly typeIndex: number;
	builder?: FunctionBuilder;
}

export class ModuleBuilder {
	private readonly types: string[] = [];
	private readonly typeBytes: Uint8Array[] = [];
	private readonly imports: { module: string; name: string; declared: Declared }[] = [];
	private readonly functions: Declared[] = [];
	private readonly exports: { name: string; index: number }[] = [];
	private table: { name: string; entries: number } | undefined;

	/** @param memoryPages the least size of the imported memory "env" "memory", in 64-KiB pages. */
	constructor(private readonly memoryPages: number) {}

	private typeIndex(parameters: readonly ValueType[], results: readonly ValueType[]): number {
		const key = `${parameters.join()}>${results.join()}`;
		const known = this.types.indexOf(key);
		if (known >= 0) return known;
		this.types.push(key);
		this.typeBytes.push(new Uint8Array([0x60, parameters.length, ...parameters, results.length, ...results]));
		return this.types.length - 1;
	}

	/** Imports have to be declared before functions. */
	import(name: string, parameters: readonly ValueType[], results: readonly ValueType[]): FunctionReference {
		if (this.functions.length > 0) throw new Error("import: declared after a function");
		const declared = {
			index: this.imports.length,
			parameters,
			results,
			typeIndex: this.typeIndex(parameters, results),
		};
		this.imports.push({ module: "env", name, declared });
		return declared;
	}

	/** Declares a function, so that it can be called; define() fills it. */
	declare(parameters: readonly ValueType[], results: readonly ValueType[]): FunctionReference {
		const declared: Declared = {
			index: this.imports.length + this.functions.length,
			parameters,
			results,
			typeIndex: this.typeIndex(parameters, results),
		};
		this.functions.push(declared);
		return declared;
	}

	/** Takes a function that has been built by itself. */
	add(builder: FunctionBuilder): FunctionReference {
		const reference = this.declare(builder.parameters, builder.results);
		this.functions[reference.index - this.imports.length]!.builder = builder;
		return reference;
	}

	define(reference: FunctionReference, fill: (builder: FunctionBuilder) => void): void {
		const builder = new FunctionBuilder(reference.parameters, reference.results);
		fill(builder);
		this.functions[reference.index - this.imports.length]!.builder = builder;
	}

	/** The type of functions to be called through the table. */
	signature(parameters: readonly ValueType[], results: readonly ValueType[]): FunctionSignature {
		return { parameters, results, typeIndex: this.typeIndex(parameters, results) };
	}

	/** Gives the module its one table, of functions, and exports it. */
	exportTable(name: string, entries: number): void {
		this.table = { name, entries };
	}

	export(name: string, reference: FunctionReference): void {
		this.exports.push({ name, index: reference.index });
	}

	finish(): Uint8Array<ArrayBuffer> {
		const out = new CodeWriter();
		out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
		out.section(1, (section) => {
			section.unsigned(this.typeBytes.length);
			for (const bytes of this.typeBytes) section.bytes(bytes);
		});
		out.section(2, (section) => {
			section.unsigned(this.imports.length + 1);
			section.name("env");
			section.name("memory");
			section.bytes([0x02, 0x00]);
			section.unsigned(this.memoryPages);
			for (const { module, name, declared } of this.imports) {
				section.name(module);
				section.name(name);
				section.byte(0x00);
				section.unsigned(declared.typeIndex);
			}
		});
		out.section(3, (section) => {
			section.unsigned(this.functions.length);
			for (const declared of this.functions) section.unsigned(declared.typeIndex);
		});
		const { table } = this;
		if (table)
			out.section(4, (section) => {
				section.bytes([0x01, 0x70, 0x01]);
				section.unsigned(table.entries);
				section.unsigned(table.entries);
			});
		out.section(7, (section) => {
			section.unsigned(this.exports.length + (table ? 1 : 0));
			if (table) {
				section.name(table.name);
				section.bytes([0x01, 0x00]);
			}
			for (const { name, index } of this.exports) {
				section.name(name);
				section.byte(0x00);
				section.unsigned(index);
			}
		});
		out.section(10, (section) => {
			section.unsigned(this.functions.length);
			for (const declared of this.functions) {
				if (!declared.builder) throw new Error(`Function ${declared.index} was declared and not defined`);
				const body = declared.builder.finish();
				section.unsigned(body.length);
				section.bytes(body);
			}
		});
		return new Uint8Array(out.result());
	}
}

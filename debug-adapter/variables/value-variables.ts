import type { DebugProtocol } from "@vscode/debugprotocol";
import { formatAddress } from "../addresses.ts";
import type { MemoryRange } from "../breakpoints/data-breakpoints.ts";
import { type Evaluator, translateErrors } from "../program/evaluator.ts";
import { RequestError } from "../request-error.ts";
import { type Frame, frameContext } from "../stack/frame.ts";
import {
	type CValue,
	childrenOf,
	type EvaluatedExpression,
	type FormattedValue,
	type SourcePosition,
	setValue,
	sizeOf,
	strip,
	type ValueFormat,
	type Variable,
} from "../symbols/index.ts";
import type { VariableContainer, VariableStore } from "./variable-store.ts";

/** What containers of C values share. */
export interface ValueServices {
	readonly evaluator: Evaluator;
	readonly store: VariableStore;
}

interface NamedValue {
	readonly name: string;
	readonly value: CValue;
	readonly evaluateName: string | undefined;
	/** Where it is declared, if that is known. */
	readonly declaration?: SourcePosition | undefined;
}

/** Set for a function and for a pointer to one: where its code lies. */
function codeOf({ type }: CValue, shown: FormattedValue): bigint | undefined {
	const plain = strip(type);
	const isCode = plain.kind === "function" || (plain.kind === "pointer" && strip(plain.target).kind === "function");
	return isCode && shown.memory?.space === "lin" ? shown.memory.address : undefined;
}

/** The memory that a value lies in. @throws {RequestError} with the reason why it lies in none. */
export function rangeOfValue(name: string, value: CValue): MemoryRange {
	const { storage } = value;
	switch (storage.kind) {
		case "memory": {
			const size = sizeOf(value.type);
			if (size === undefined || size === 0)
				throw new RequestError(`"${name}" cannot be watched: its size is not known. Give the number of bytes.`);
			if (!value.bits) return { address: { space: storage.space, value: storage.address }, length: size };
			const first = BigInt(Math.floor(value.bits.offset / 8));
			const length = Math.ceil((value.bits.offset + value.bits.size) / 8) - Number(first);
			return { address: { space: storage.space, value: storage.address + first }, length };
		}
		case "register":
			throw new RequestError(
				`"${name}" is held in a register here: a data breakpoint needs memory. Use a breakpoint with a condition.`,
			);
		case "unavailable":
			throw new RequestError(`"${name}" cannot be watched: ${storage.reason}.`);
		default:
			throw new RequestError(`"${name}" is a value without a place in memory: there is nothing to watch.`);
	}
}

/** A value as a DAP variable; children get a reference of their own. */
export function describeValue(
	named: NamedValue,
	frame: Frame,
	services: ValueServices,
	format?: ValueFormat,
): DebugProtocol.Variable {
	const shown = services.evaluator.show({ value: named.value, format }, frame);
	const variablesReference = shown.hasChildren
		? services.store.add(new ValueContainer(named.value, named.evaluateName, frame, services, format))
		: 0;
	const { locations } = services.store;
	const code = codeOf(named.value, shown);
	const declarationLocationReference = locations.add(named.declaration);
	const valueLocationReference = code === undefined ? undefined : locations.addCode(code);
	return {
		name: named.name,
		value: shown.text,
		type: shown.typeName,
		variablesReference,
		...(named.evaluateName === undefined ? {} : { evaluateName: named.evaluateName }),
		...(shown.indexedChildren === undefined || variablesReference === 0
			? {}
			: { indexedVariables: shown.indexedChildren }),
		...(shown.memory
			? { memoryReference: formatAddress({ space: shown.memory.space, value: shown.memory.address }) }
			: {}),
		...(declarationLocationReference === undefined ? {} : { declarationLocationReference }),
		...(valueLocationReference === undefined ? {} : { valueLocationReference }),
	};
}

/** A result of `evaluate` with its type, children and memory. */
export function describeResult(
	expression: string,
	result: EvaluatedExpression,
	frame: Frame,
	services: ValueServices,
): DebugProtocol.EvaluateResponse["body"] {
	const named = { name: "", value: result.value, evaluateName: expression };
	const { value, type, variablesReference, indexedVariables, memoryReference, valueLocationReference } = describeValue(
		named,
		frame,
		services,
		result.format,
	);
	return {
		result: value,
		...(type === undefined ? {} : { type }),
		variablesReference,
		...(indexedVariables === undefined ? {} : { indexedVariables }),
		...(memoryReference === undefined ? {} : { memoryReference }),
		...(valueLocationReference === undefined ? {} : { valueLocationReference }),
	};
}

abstract class NamedValues implements VariableContainer {
	constructor(
		protected readonly frame: Frame,
		protected readonly services: ValueServices,
		protected readonly format?: ValueFormat,
	) {}

	protected abstract values(start: number | undefined, count: number | undefined): NamedValue[];

	private find(name: string): NamedValue {
		const index = /^\[(\d{1,9})\]$/.exec(name);
		const values = index ? this.values(Number(index[1]), 1) : this.values(undefined, undefined);
		const found = values.find((one) => one.name === name);
		if (!found) throw new RequestError(`There is no variable "${name}" here.`);
		return found;
	}

	children(start: number | undefined, count: number | undefined): DebugProtocol.Variable[] {
		return translateErrors(() =>
			this.values(start, count).map((named) => describeValue(named, this.frame, this.services, this.format)),
		);
	}

	set(name: string, text: string): DebugProtocol.Variable {
		return translateErrors(() => {
			setValue(this.find(name).value, text, this.services.evaluator.environment(this.frame, true));
			return describeValue(this.find(name), this.frame, this.services, this.format);
		});
	}

	range(name: string): MemoryRange {
		return translateErrors(() => rangeOfValue(name, this.find(name).value));
	}
}

/** The parameters or the locals of a frame. */
export class LocalsScope extends NamedValues {
	constructor(
		frame: Frame,
		services: ValueServices,
		private readonly kind: "parameter" | "local",
	) {
		super(frame, services);
	}

	protected values(): NamedValue[] {
		const { virtual } = this.frame;
		if (!virtual) return [];
		const context = frameContext(this.frame);
		return virtual.file
			.variablesOf(virtual)
			.filter((variable) => variable.kind === this.kind)
			.map((variable) => ({
				name: shownName(variable),
				value: virtual.file.valueOf(variable, context),
				evaluateName: variable.isShadowed ? undefined : variable.name,
				declaration: variable.declaration,
			}));
	}
}

function shownName(variable: Variable): string {
	return variable.isShadowed ? `${variable.name} (outer)` : variable.name;
}

/** The parts of a C value. */
class ValueContainer extends NamedValues {
	constructor(
		private readonly value: CValue,
		private readonly expression: string | undefined,
		frame: Frame,
		services: ValueServices,
		format: ValueFormat | undefined,
	) {
		super(frame, services, format);
	}

	protected values(start: number | undefined, count: number | undefined): NamedValue[] {
		const environment = this.services.evaluator.environment(this.frame, false);
		return childrenOf(this.value, this.expression, environment, start ?? 0, count || undefined);
	}
}

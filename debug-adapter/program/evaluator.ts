import type { Address, Processor } from "../../emulator/machine/virtual-machine.ts";
import { ownedBy, splitSource, splitSpace } from "../addresses.ts";
import type { TriggerScope } from "../breakpoints/trigger.ts";
import { domainProcessor } from "../debuggee.ts";
import type { MemoryAccess } from "../memory/memory-access.ts";
import { RequestError, sentenceOf } from "../request-error.ts";
import { type Frame, frameContext } from "../stack/frame.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import {
	type EvaluatedExpression,
	type EvaluationEnvironment,
	EvaluationError,
	evaluate,
	type FormattedValue,
	formatValue,
	isTrueValue,
	type RegisterValue,
	readScalar,
	SymbolError,
	type ValueFormat,
} from "../symbols/index.ts";
import type { Program } from "./program.ts";

const widths: Readonly<Record<string, number>> = {
	ip: 16,
	flags: 16,
	// A number, not a character.
	cpl: 32,
};

/** Bits of a register by its name, for names that are aliases of others. */
function widthOf(name: string, processor: Processor): number {
	const own = processor.registers().find((register) => register.name === name);
	if (own) return own.width;
	if (widths[name] !== undefined) return widths[name];
	if (/^([abcd][lh]|[sd]il|[sb]pl|r\d+b)$/.test(name)) return 8;
	if (/^([abcd]x|[sd]i|[sb]p|r\d+w|[c-gs]s)$/.test(name)) return 16;
	if (/^(e|r\d+d$)/.test(name)) return 32;
	return 64;
}

/** Names beyond registers and symbols, such as $vector. */
export type ExtraNames = ReadonlyMap<string, bigint>;

/** Evaluates what people write: C expressions over symbols, registers and every address space. */
export class Evaluator {
	/** How integers are shown when the expression does not say. */
	format: ValueFormat | undefined;

	constructor(
		private readonly program: Program,
		private readonly memory: MemoryAccess,
		private readonly frames: FrameStore,
	) {}

	/** What an expression sees in a frame. Nothing is written unless `sideEffects` is set. */
	environment(frame: Frame, sideEffects: boolean, extra?: ExtraNames): EvaluationEnvironment {
		const { processor, activation } = frame;
		const addressSize = frame.virtual?.file.addressSize ?? (processor.codeSize() === 64 ? 8 : 4);
		const isTop = activation.level === 0;
		return this.program.table.environment({
			addressSize,
			sideEffects,
			...(frame.virtual ? { frame: { virtual: frame.virtual, context: frameContext(frame) } } : {}),
			lookupRegister: (name) => this.register(name, frame, extra),
			readMemory: (space, value, length) => processor.readMemory({ space, value }, length),
			writeMemory: (space, value, bytes) => {
				const written = processor.writeMemory({ space, value }, bytes);
				if (written > 0) this.memory.reportChange({ space, value }, written);
				return written === bytes.length;
			},
			writeRegister: (id, value) => {
				if (!isTop) return false;
				const name = typeof id === "number" ? activation.model.names[id] : id;
				if (name === undefined) return false;
				processor.setRegister(name, value);
				return true;
			},
		});
	}

	private register(name: string, frame: Frame, extra: ExtraNames | undefined): RegisterValue | undefined {
		const { processor, activation } = frame;
		const known = extra?.get(name);
		if (known !== undefined) return { id: name, bits: 64, value: known };
		if (activation.level > 0) {
			const number = activation.model.names.indexOf(name);
			if (number >= 0) {
				const value = activation.registers.get(number);
				// Not the processor's own: that is another frame's value.
				return value === undefined ? undefined : { id: number, bits: activation.model.addressSize * 8, value };
			}
		}
		const value = processor.register(name);
		return value === undefined ? undefined : { id: name, bits: widthOf(name, processor), value };
	}

	/** @throws {RequestError} with one sentence. */
	evaluate(text: string, frame: Frame, sideEffects = false, extra?: ExtraNames): EvaluatedExpression {
		// An unknown prefix is said before the expression's own grammar trips over the colon.
		if (/^\s*[A-Za-z_]\w*\s*:(?!:)/.test(text)) splitSpace(text);
		if (text.trim() === "") throw new RequestError("The expression is empty.");
		return translateErrors(() => evaluate(text, this.environment(frame, sideEffects, extra)));
	}

	show({ value, format }: EvaluatedExpression, frame: Frame): FormattedValue {
		return translateErrors(() => formatValue(value, this.environment(frame, false), format ?? this.format));
	}

	/** The value as an integer. @throws {RequestError} */
	number(text: string, frame: Frame, extra?: ExtraNames): bigint {
		const { value } = this.evaluate(text, frame, false, extra);
		const environment = this.environment(frame, false, extra);
		if (value.storage.kind === "memory") {
			const { kind } = environment.completeType?.(value.type) ?? value.type;
			if (kind === "function" || kind === "array") return value.storage.address;
		}
		const scalar = translateErrors(() => readScalar(value, environment));
		if ("reason" in scalar) throw new RequestError(`"${text}" has no value: ${scalar.reason}.`);
		if (scalar.kind === "float" && !Number.isInteger(scalar.value))
			throw new RequestError(`"${text}" is ${scalar.value}, which is no whole number.`);
		return BigInt(scalar.value);
	}

	/** A number for an address; a prefix chooses the space. @throws {RequestError} */
	address(text: string, frame: Frame): Address {
		const { space, rest: behind, explicit } = splitSpace(text);
		const { source, rest } = space === "iova" ? splitSource(behind) : { rest: behind };
		const number = this.number(explicit ? rest : text, frame);
		const value = BigInt.asUintN(frame.processor.codeSize() === 64 || space !== "lin" ? 64 : 32, number);
		return ownedBy(domainProcessor(frame.processor), { space, value, ...(source === undefined ? {} : { source }) });
	}

	isTrue(text: string, frame: Frame, extra?: ExtraNames): boolean {
		const { value } = this.evaluate(text, frame, false, extra);
		return translateErrors(() => isTrueValue(value, this.environment(frame, false, extra)));
	}

	/** For the texts of breakpoints on the processor of a stop. */
	triggerScope(processor: Processor, extra?: ExtraNames): TriggerScope {
		const frame = () => this.frames.top(processor);
		return {
			number: (expression) => (this.isTrue(expression, frame(), extra) ? 1n : 0n),
			show: (expression) => {
				try {
					return this.show(this.evaluate(expression, frame(), false, extra), frame()).text;
				} catch (error) {
					return `<${sentenceOf(error)}>`;
				}
			},
		};
	}
}

/** Errors of the symbols as refusals of the request. */
export function translateErrors<Result>(action: () => Result): Result {
	try {
		return action();
	} catch (error) {
		if (error instanceof EvaluationError || error instanceof SymbolError) throw new RequestError(error.message);
		throw error;
	}
}

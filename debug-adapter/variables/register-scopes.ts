import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Processor, RegisterGroup, RegisterValue } from "../../emulator/machine/virtual-machine.ts";
import { hex, paddedHex } from "../addresses.ts";
import { RequestError } from "../request-error.ts";
import { fieldValue, type RegisterField, registerFields, withField } from "./register-fields.ts";
import type { VariableContainer, VariableStore } from "./variable-store.ts";

export const registerGroups: readonly { readonly id: RegisterGroup; readonly title: string }[] = [
	{ id: "general", title: "General" },
	{ id: "segments", title: "Segments" },
	{ id: "control", title: "Control" },
	{ id: "debug", title: "Debug" },
	{ id: "msr", title: "MSRs" },
	{ id: "x87", title: "x87" },
	{ id: "sse", title: "SSE" },
	{ id: "vmx", title: "VMX" },
	{ id: "system", title: "System" },
];

/** Evaluates what the person typed to a number. @throws with one sentence. */
export type ParseNumber = (text: string) => bigint;

/** "0x00000246  ZF PF IF"; the editor itself marks what changed. */
function registerText(register: RegisterValue): string {
	const number = paddedHex(register.value, register.width);
	return register.meaning ? `${number}  ${register.meaning}` : number;
}

const noMemory = (name: string): never => {
	throw new RequestError(
		`"${name}" is a register: a data breakpoint needs memory. Use a breakpoint with a condition such as ${name} == 1.`,
	);
};

/** The registers of one group, as a scope. */
export class RegisterGroupScope implements VariableContainer {
	constructor(
		private readonly processor: Processor,
		private readonly group: RegisterGroup,
		private readonly store: VariableStore,
		private readonly parse: ParseNumber,
	) {}

	children(): DebugProtocol.Variable[] {
		return this.processor
			.registers()
			.filter((register) => register.group === this.group)
			.map((register) => this.variable(register));
	}

	set(name: string, text: string): DebugProtocol.Variable {
		const before = this.processor.registers().find((one) => one.name === name);
		// An editor begins with the text that is shown: what the number means may still be behind the new one.
		const suffix = before?.meaning ? `  ${before.meaning}` : "";
		const typed = suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
		this.processor.setRegister(name, this.parse(typed));
		const register = this.processor.registers().find((one) => one.name === name);
		if (!register) throw new RequestError(`There is no register "${name}".`);
		return this.variable(register);
	}

	range(name: string): never {
		return noMemory(name);
	}

	private variable(register: RegisterValue): DebugProtocol.Variable {
		const { name, value, width } = register;
		const fields = registerFields(name);
		const reference =
			fields.length > 0
				? this.store.add(new RegisterFieldScope(this.processor, name, fields, this.parse))
				: width === 128
					? this.store.add(new VectorScope(this.processor, name))
					: 0;
		const code = name === "eip" || name === "rip" ? this.processor.linearInstructionPointer() : value;
		const location = this.group === "general" ? this.store.locations.addCode(code) : undefined;
		const isAddress = this.group === "general" || name === "cr3" || name === "cr2";
		return {
			name,
			value: registerText(register),
			type: `${width}-bit register`,
			evaluateName: `$${name}`,
			variablesReference: reference,
			...(isAddress ? { memoryReference: name === "cr3" ? `gpa:${hex(value & ~0xfffn)}` : hex(value) } : {}),
			...(location === undefined ? {} : { valueLocationReference: location }),
			presentationHint: {
				kind: "data",
				...(register.writable ? {} : { attributes: ["readOnly"] }),
			},
		};
	}
}

/** The bits of a register. */
class RegisterFieldScope implements VariableContainer {
	constructor(
		private readonly processor: Processor,
		private readonly register: string,
		private readonly fields: readonly RegisterField[],
		private readonly parse: ParseNumber,
	) {}

	private get value(): bigint {
		return this.processor.register(this.register) ?? 0n;
	}

	children(): DebugProtocol.Variable[] {
		return this.fields.map((field) => this.variable(field));
	}

	set(name: string, text: string): DebugProtocol.Variable {
		const field = this.fields.find((one) => one.name === name);
		if (!field) throw new RequestError(`${this.register} has no field "${name}".`);
		const value = this.parse(text);
		const width = field.width ?? 1;
		if (value < 0n || value >= 1n << BigInt(width))
			throw new RequestError(
				`${value} does not fit into ${name}, which has ${width === 1 ? "1 bit" : `${width} bits`}.`,
			);
		this.processor.setRegister(this.register, withField(this.value, field, value));
		return this.variable(field);
	}

	range(name: string): never {
		return noMemory(`${this.register}.${name}`);
	}

	private variable(field: RegisterField): DebugProtocol.Variable {
		const value = fieldValue(this.value, field);
		const bits = field.width ? `bits ${field.bit + field.width - 1}:${field.bit}` : `bit ${field.bit}`;
		return {
			name: field.name,
			value: field.width && field.width > 8 ? hex(value) : value.toString(),
			type: `${bits}: ${field.description}`,
			evaluateName: `($${this.register} >> ${field.bit} & ${hex((1n << BigInt(field.width ?? 1)) - 1n)})`,
			variablesReference: 0,
			presentationHint: { kind: "property" },
		};
	}
}

/** The lanes of a 128-bit register. */
class VectorScope implements VariableContainer {
	constructor(
		private readonly processor: Processor,
		private readonly register: string,
	) {}

	children(): DebugProtocol.Variable[] {
		const view = new DataView(new ArrayBuffer(16));
		const value = this.processor.register(this.register) ?? 0n;
		view.setBigUint64(0, BigInt.asUintN(64, value), true);
		view.setBigUint64(8, BigInt.asUintN(64, value >> 64n), true);
		const lanes = (size: number, read: (offset: number) => string) =>
			Array.from({ length: 16 / size }, (_, index) => read(index * size)).join(", ");
		const rows: [string, string][] = [
			["v4_float", lanes(4, (offset) => String(view.getFloat32(offset, true)))],
			["v2_double", lanes(8, (offset) => String(view.getFloat64(offset, true)))],
			["v16_int8", lanes(1, (offset) => String(view.getInt8(offset)))],
			["v8_int16", lanes(2, (offset) => String(view.getInt16(offset, true)))],
			["v4_int32", lanes(4, (offset) => String(view.getInt32(offset, true)))],
			["v2_int64", lanes(8, (offset) => String(view.getBigInt64(offset, true)))],
		];
		return rows.map(([name, text]) => ({
			name,
			value: text,
			variablesReference: 0,
			presentationHint: { kind: "property", attributes: ["readOnly"] },
		}));
	}

	range(name: string): never {
		return noMemory(`${this.register}.${name}`);
	}
}

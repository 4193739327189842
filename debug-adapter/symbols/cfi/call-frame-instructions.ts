// Reference: DWARF 5 section 6.4.2 "Call Frame Instructions", section 7.24.
import { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import type { FrameDescription } from "./frame-table.ts";

/** How the caller's value of a register is found, DWARF 5 section 6.4.1. */
export type RegisterRule =
	| { readonly kind: "undefined" }
	| { readonly kind: "same" }
	/** Stored at CFA + offset. */
	| { readonly kind: "offset"; readonly offset: bigint }
	/** Is CFA + offset. */
	| { readonly kind: "value-offset"; readonly offset: bigint }
	| { readonly kind: "register"; readonly register: number }
	/** Stored at the address that the expression gives; the CFA is pushed first. */
	| { readonly kind: "expression"; readonly expression: Uint8Array }
	/** Is what the expression gives. */
	| { readonly kind: "value-expression"; readonly expression: Uint8Array };

export type CfaRule =
	| { readonly kind: "register"; readonly register: number; readonly offset: bigint }
	| { readonly kind: "expression"; readonly expression: Uint8Array };

/** A row of the unwind table: what holds at one address. */
export interface UnwindRow {
	readonly cfa: CfaRule | undefined;
	readonly registers: ReadonlyMap<number, RegisterRule>;
}

/** Registers beyond this number are not x86's. */
const registerLimit = 256;
const savedRowsLimit = 64;

const DW_CFA = {
	set_loc: 0x01,
	advance_loc1: 0x02,
	advance_loc2: 0x03,
	advance_loc4: 0x04,
	offset_extended: 0x05,
	restore_extended: 0x06,
	undefined: 0x07,
	same_value: 0x08,
	register: 0x09,
	remember_state: 0x0a,
	restore_state: 0x0b,
	def_cfa: 0x0c,
	def_cfa_register: 0x0d,
	def_cfa_offset: 0x0e,
	def_cfa_expression: 0x0f,
	expression: 0x10,
	offset_extended_sf: 0x11,
	def_cfa_sf: 0x12,
	def_cfa_offset_sf: 0x13,
	val_offset: 0x14,
	val_offset_sf: 0x15,
	val_expression: 0x16,
	GNU_args_size: 0x2e,
	GNU_negative_offset_extended: 0x2f,
} as const;

/** The row that holds at `pc` (as linked). Throws `SymbolError` for instructions that are malformed or unknown. */
export function unwindRow(description: FrameDescription, pc: bigint, what: string): UnwindRow {
	const { common } = description;
	const dataAlignment = BigInt(common.dataAlignment);
	let cfa: CfaRule | undefined;
	let registers = new Map<number, RegisterRule>();
	let initial = new Map<number, RegisterRule>();
	const saved: { cfa: CfaRule | undefined; registers: Map<number, RegisterRule> }[] = [];
	let location = description.start;

	const run = (instructions: Uint8Array, stopAt: bigint | undefined) => {
		const reader = new ByteReader(instructions, `${what} call frame instructions`);
		const malformed = (why: string) => new SymbolError("malformed", `${reader.what} ${why}.`);
		const set = (register: number, rule: RegisterRule) => {
			if (register < registerLimit) registers.set(register, rule);
		};
		const restore = (register: number) => {
			const rule = initial.get(register);
			if (rule) registers.set(register, rule);
			else registers.delete(register);
		};
		const cfaOffset = (offset: bigint) => {
			if (cfa?.kind !== "register") throw malformed("change the offset of a CFA that has no register");
			cfa = { kind: "register", register: cfa.register, offset };
		};
		while (reader.offset < reader.end) {
			const byte = reader.u8();
			const low = byte & 0x3f;
			let advance: number | undefined;
			switch (byte >> 6) {
				case 1:
					advance = low;
					break;
				case 2:
					set(low, { kind: "offset", offset: reader.ulebBig() * dataAlignment });
					continue;
				case 3:
					restore(low);
					continue;
				default:
					switch (low) {
						case 0:
							break;
						case DW_CFA.set_loc:
							location = reader.unsigned(common.addressSize);
							if (stopAt !== undefined && location > stopAt) return;
							break;
						case DW_CFA.advance_loc1:
							advance = reader.u8();
							break;
						case DW_CFA.advance_loc2:
							advance = reader.u16();
							break;
						case DW_CFA.advance_loc4:
							advance = reader.u32();
							break;
						case DW_CFA.offset_extended:
							set(reader.uleb(), { kind: "offset", offset: reader.ulebBig() * dataAlignment });
							break;
						case DW_CFA.offset_extended_sf:
							set(reader.uleb(), { kind: "offset", offset: reader.slebBig() * dataAlignment });
							break;
						case DW_CFA.GNU_negative_offset_extended:
							set(reader.uleb(), { kind: "offset", offset: -reader.ulebBig() * dataAlignment });
							break;
						case DW_CFA.restore_extended:
							restore(reader.uleb());
							break;
						case DW_CFA.undefined:
							set(reader.uleb(), { kind: "undefined" });
							break;
						case DW_CFA.same_value:
							set(reader.uleb(), { kind: "same" });
							break;
						case DW_CFA.register:
							set(reader.uleb(), { kind: "register", register: reader.uleb() });
							break;
						case DW_CFA.remember_state:
							if (saved.length >= savedRowsLimit) throw malformed("remember more states than are allowed");
							saved.push({ cfa, registers: new Map(registers) });
							break;
						case DW_CFA.restore_state: {
							const state = saved.pop();
							if (!state) throw malformed("restore a state that was not remembered");
							cfa = state.cfa;
							registers = state.registers;
							break;
						}
						case DW_CFA.def_cfa:
							cfa = { kind: "register", register: reader.uleb(), offset: reader.ulebBig() };
							break;
						case DW_CFA.def_cfa_sf:
							cfa = { kind: "register", register: reader.uleb(), offset: reader.slebBig() * dataAlignment };
							break;
						case DW_CFA.def_cfa_register:
							if (cfa?.kind !== "register") throw malformed("change the register of a CFA that has none");
							cfa = { kind: "register", register: reader.uleb(), offset: cfa.offset };
							break;
						case DW_CFA.def_cfa_offset:
							cfaOffset(reader.ulebBig());
							break;
						case DW_CFA.def_cfa_offset_sf:
							cfaOffset(reader.slebBig() * dataAlignment);
							break;
						case DW_CFA.def_cfa_expression:
							cfa = { kind: "expression", expression: reader.take(reader.uleb()) };
							break;
						case DW_CFA.expression:
							set(reader.uleb(), { kind: "expression", expression: reader.take(reader.uleb()) });
							break;
						case DW_CFA.val_offset:
							set(reader.uleb(), { kind: "value-offset", offset: reader.ulebBig() * dataAlignment });
							break;
						case DW_CFA.val_offset_sf:
							set(reader.uleb(), { kind: "value-offset", offset: reader.slebBig() * dataAlignment });
							break;
						case DW_CFA.val_expression:
							set(reader.uleb(), { kind: "value-expression", expression: reader.take(reader.uleb()) });
							break;
						case DW_CFA.GNU_args_size:
							reader.skipLeb();
							break;
						default:
							throw new SymbolError(
								"unsupported",
								`${reader.what} use the unknown instruction 0x${byte.toString(16)}.`,
							);
					}
			}
			if (advance !== undefined) {
				location += BigInt(advance) * BigInt(Math.trunc(common.codeAlignment));
				if (stopAt !== undefined && location > stopAt) return;
			}
		}
	};

	run(common.initialInstructions, undefined);
	initial = new Map(registers);
	location = description.start;
	run(description.instructions, pc);
	return { cfa, registers };
}

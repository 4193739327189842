// Which fields of a VMCS are shown.
import type { VmcsBody, VmcsFieldInfo } from "../../debug-adapter/protocol.ts";

type Groups = NonNullable<VmcsBody["vmcs"]>["groups"];

export interface FieldChoices {
	/** A part of a field's, a bit's or a meaning's name, in any case. */
	readonly search: string;
	readonly changedOnly: boolean;
}

export const allFields: FieldChoices = { search: "", changedOnly: false };

function fits(field: VmcsFieldInfo, { search, changedOnly }: FieldChoices): boolean {
	if (changedOnly && !field.changed) return false;
	const text = search.trim().toLowerCase();
	if (text === "") return true;
	const names = [field.name, field.encoding, field.meaning ?? "", ...field.bits.map((bit) => bit.name)];
	return names.some((name) => name.toLowerCase().includes(text));
}

/** The groups with the fields that fit; groups without one are left out. */
export function chooseFields(groups: Groups, choices: FieldChoices): Groups {
	return groups
		.map(({ name, fields }) => ({ name, fields: fields.filter((field) => fits(field, choices)) }))
		.filter(({ fields }) => fields.length > 0);
}

/**
 * Bits that are set and multi-bit fields with their values: "Use MSR bitmaps", "Direction (IN)", "Type 3 (NMI)". A zero that means
 * nothing is left out.
 */
export function setBits(field: VmcsFieldInfo): string[] {
	return field.bits.flatMap(({ name, width, value, meaning }) => {
		if (value === "0x0" && (width === 1 || meaning === undefined)) return [];
		if (width === 1) return [meaning === undefined ? name : `${name} (${meaning})`];
		return [meaning === undefined ? `${name} ${BigInt(value)}` : `${name} ${BigInt(value)} (${meaning})`];
	});
}

/** The value as wide as the field. */
export function fieldValue({ value, width }: VmcsFieldInfo): string {
	return `0x${value.slice(2).padStart(width / 4, "0")}`;
}

/**
 * What the value points to, in the prefix grammar; undefined for a field that holds no address, or none now. The kind of field is
 * in bits 11:10 of its encoding (SDM Vol. 3D, Appendix B): 0 control, 1 exit information, 2 guest state, 3 host state.
 */
export function fieldAddress({ name, encoding, value, width }: VmcsFieldInfo): string | undefined {
	const number = BigInt(value);
	if (number === 0n || width < 64 || number === (1n << 64n) - 1n) return undefined;
	const kind = Number((BigInt(encoding) >> 10n) & 3n);
	const page = `0x${(number & ~0xfffn).toString(16)}`;
	if (name === "CR3") return kind === 3 ? `hpa:${page}` : `gpa:${page}`;
	if (name === "Guest-physical address") return `gpa:${value}`;
	if (kind === 0 && name.startsWith("EPT pointer")) return `hpa:${page}`;
	if (kind === 0 && /address$|^Address of/.test(name)) return `hpa:${value}`;
	const isLinear = /^(RIP|RSP|I\/O RIP|Guest-linear address|IA32_SYSENTER_E[IS]P|.* base)$/.test(name);
	return isLinear && kind !== 3 ? value : undefined;
}

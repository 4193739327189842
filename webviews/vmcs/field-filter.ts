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

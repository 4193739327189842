// How register values are written: the same choice that Variables, Watch and hovers follow.

export const numberFormats = ["natural", "hexadecimal", "decimal", "binary"] as const;
export type NumberFormat = (typeof numberFormats)[number];

/** A value of the given width in bits; "natural" is hexadecimal for registers, whose digits stand for fields. */
export function formatValue(value: bigint, width: number, format: NumberFormat): string {
	switch (format) {
		case "decimal":
			return value.toString(10);
		case "binary":
			return `0b${value.toString(2).padStart(width, "0")}`;
		default:
			return `0x${value.toString(16).padStart(Math.ceil(width / 4), "0")}`;
	}
}

// Code page 437, the characters of the PC's display font.

const low = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const high =
	"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** The 256 characters by code. */
export const codePage437: readonly string[] = Array.from({ length: 256 }, (_, code) => {
	if (code < 0x20) return low[code]!;
	if (code === 0x7f) return "⌂";
	return code < 0x80 ? String.fromCharCode(code) : high[code - 0x80]!;
});

// The x86 filter of .xz files: before they are compressed, the relative targets of CALL and JMP are made absolute; this undoes it.
// Reference: The .xz File Format 1.1.0, §5.3.2; the filter itself is defined by XZ Utils' liblzma (simple/x86.c, public domain).

const CALL = 0xe8;
const JUMP = 0xe9;
const INSTRUCTION_BYTES = 5;

const isSign = (byte: number) => byte === 0 || byte === 0xff;

/**
 * Which of the last bytes might have begun a CALL or JMP, as the encoder saw them: bit i of `seen` is set when the byte i + 1 before was an
 * opcode that was not converted. With these, and only these, patterns the encoder converts.
 */
const CONVERTED = [true, true, true, false, true, false, false, false];
/** The byte of the target that such an opcode's target would have as its highest. */
const OVERLAPPING = [0, 1, 2, 2, 3, 3, 3, 3];

/** In place; addresses count from the beginning of the bytes. */
export function undoBranchFilter(bytes: Uint8Array): void {
	let seen = 0;
	let last = -INSTRUCTION_BYTES;
	for (let at = 0; at + INSTRUCTION_BYTES <= bytes.length; ) {
		if (bytes[at] !== CALL && bytes[at] !== JUMP) {
			at++;
			continue;
		}
		const distance = at - last;
		last = at;
		seen = distance > INSTRUCTION_BYTES ? 0 : shifted(seen, distance);
		const high = bytes[at + 4]!;
		if (isSign(high) && CONVERTED[(seen >> 1) & 7] && seen >> 1 < 0x10) {
			const absolute = bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16) | (high << 24);
			const target = relative(absolute, at + INSTRUCTION_BYTES, seen);
			bytes[at + 1] = target;
			bytes[at + 2] = target >> 8;
			bytes[at + 3] = target >> 16;
			bytes[at + 4] = target & (1 << 24) ? 0xff : 0;
			at += INSTRUCTION_BYTES;
			seen = 0;
		} else {
			at++;
			seen |= isSign(high) ? 0x11 : 1;
		}
	}
}

/** `seen` after so many bytes. */
function shifted(seen: number, distance: number): number {
	let result = seen;
	for (let i = 0; i < distance; i++) result = (result & 0x77) << 1;
	return result;
}

/** The encoder repeats its sum while an opcode before would take the result for its own target; so does this. */
function relative(absolute: number, next: number, seen: number): number {
	let source = absolute;
	for (;;) {
		const target = (source - next) | 0;
		if (seen === 0) return target;
		const byte = OVERLAPPING[seen >> 1]! * 8;
		if (!isSign((target >>> (24 - byte)) & 0xff)) return target;
		source = target ^ (byte === 0 ? -1 : (1 << (32 - byte)) - 1);
	}
}

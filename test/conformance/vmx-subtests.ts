// The subtests of vmx.flat: the array `vmx_tests` of its image, found by its symbol, so that no list of names is kept here.

import { parseSymbols } from "../tools/elf-symbols.ts";

/** Bytes of `struct vmx_test`: eight words of the 64-bit target, the name's address first (kvm-unit-tests, x86/vmx.h). */
const ENTRY_BYTES = 64;
/** Subtests that the program runs before those of the array. */
const BASIC = [
	"test_vmx_feature_control",
	"test_vmxon",
	"test_vmptrld",
	"test_vmclear",
	"test_vmptrst",
	"test_vmwrite_vmread",
	"test_vmcs_high",
	"test_vmcs_lifecycle",
	"test_vmx_caps",
	"test_vmread_flags_touch",
	"test_vmwrite_flags_touch",
];

/** Names as the program's filter takes them (a space is an underscore). @throws {Error} when the image has no such symbol */
export function vmxSubtests(image: Uint8Array): string[] {
	const array = parseSymbols(image).find((symbol) => symbol.name === "vmx_tests");
	if (array === undefined) throw new Error("vmx.flat has no symbol vmx_tests: build it without stripping.");
	const names = [...BASIC];
	for (let at = Number(array.value); at < Number(array.value) + array.size; at += ENTRY_BYTES) {
		const name = word(image, at);
		if (name === 0) break;
		names.push(text(image, name).replaceAll(" ", "_"));
	}
	return [...new Set(names)];
}

/** Offset in the file of a linear address, by the program headers of the 32-bit ELF file. */
function offsetOf(image: Uint8Array, address: number): number {
	const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
	const table = view.getUint32(28, true);
	for (let index = 0; index < view.getUint16(44, true); index++) {
		const header = table + index * view.getUint16(42, true);
		const offset = view.getUint32(header + 4, true);
		const start = view.getUint32(header + 8, true);
		if (address >= start && address < start + view.getUint32(header + 16, true)) return offset + address - start;
	}
	throw new Error(`Address 0x${address.toString(16)} lies in no segment of vmx.flat.`);
}

function word(image: Uint8Array, address: number): number {
	return new DataView(image.buffer, image.byteOffset).getUint32(offsetOf(image, address), true);
}

function text(image: Uint8Array, address: number): string {
	const start = offsetOf(image, address);
	return new TextDecoder("latin1").decode(image.subarray(start, image.indexOf(0, start)));
}

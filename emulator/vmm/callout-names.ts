// What callouts are counted by: the mnemonic of the guest instruction, or what else the site is for.

import { Decoder, DecoderOptions, Mnemonic } from "iced-x86";
import type { CalloutSite } from "./translate/fragment.ts";

const names = new WeakMap<CalloutSite, string>();

/** "CLI", "MOV", "POPF": decoded once a site. */
export function calloutName(site: CalloutSite): string {
	let name = names.get(site);
	if (name === undefined) {
		name = site.instruction ? mnemonicOf(site.instruction.bytes) : site.kind.toUpperCase();
		names.set(site, name);
	}
	return name;
}

/** The mnemonic of an instruction. */
export function mnemonicOf(bytes: Uint8Array): string {
	const decoder = new Decoder(32, bytes, DecoderOptions.None);
	const instruction = decoder.decode();
	const name = Mnemonic[instruction.mnemonic] ?? "other";
	instruction.free();
	decoder.free();
	return name.toUpperCase();
}

// Base64 (RFC 4648 §4) by what both Node and browsers have.
import { RequestError } from "./request-error.ts";

export function toBase64(bytes: Uint8Array): string {
	let binary = "";
	for (let at = 0; at < bytes.length; at += 8192)
		binary += String.fromCharCode(...bytes.subarray(at, Math.min(bytes.length, at + 8192)));
	return btoa(binary);
}

/** @throws {RequestError} for a text that is not Base64. */
export function fromBase64(text: string): Uint8Array {
	let binary: string;
	try {
		binary = atob(text);
	} catch {
		throw new RequestError("The data is not Base64.");
	}
	return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** 128 random bits in hexadecimal: the word that lets one script of ours run in a webview. */
export function randomNonce(): string {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

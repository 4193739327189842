// SHA-256, for the hash of memory. Reference: FIPS 180-4, section 6.2. Synchronous and without the host's services, so that it
// runs in every host alike.

const ROUND = new Uint32Array(64);
const INITIAL = new Uint32Array(8);
{
	/** First 32 bits of the fractional part of a root (FIPS 180-4, sections 4.2.2 and 5.3.3). */
	const fraction = (root: number) => Math.floor((root - Math.floor(root)) * 0x1_0000_0000);
	let found = 0;
	for (let candidate = 2; found < 64; candidate++) {
		let prime = true;
		for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
		if (!prime) continue;
		ROUND[found] = fraction(Math.cbrt(candidate));
		if (found < 8) INITIAL[found] = fraction(Math.sqrt(candidate));
		found++;
	}
}

function compress(state: Uint32Array, block: DataView, at: number, words: Uint32Array): void {
	for (let index = 0; index < 16; index++) words[index] = block.getUint32(at + index * 4, false);
	for (let index = 16; index < 64; index++) {
		const a = words[index - 15]!;
		const b = words[index - 2]!;
		const low = ((a >>> 7) | (a << 25)) ^ ((a >>> 18) | (a << 14)) ^ (a >>> 3);
		const high = ((b >>> 17) | (b << 15)) ^ ((b >>> 19) | (b << 13)) ^ (b >>> 10);
		words[index] = words[index - 16]! + low + words[index - 7]! + high;
	}
	let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
	for (let index = 0; index < 64; index++) {
		const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
		const first = (h + sum1 + ((e & f) ^ (~e & g)) + ROUND[index]! + words[index]!) | 0;
		const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
		const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
		h = g;
		g = f;
		f = e;
		e = (d + first) | 0;
		d = c;
		c = b;
		b = a;
		a = (first + second) | 0;
	}
	const parts = [a, b, c, d, e, f, g, h];
	for (let index = 0; index < 8; index++) state[index] = state[index]! + parts[index]!;
}

let hostHash: ((bytes: Uint8Array) => string) | undefined;

/** Lets a host with a faster SHA-256 of its own do the work. */
export function useHostHash(hash: (bytes: Uint8Array) => string): void {
	hostHash = hash;
}

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
	return hostHash ? hostHash(bytes) : portableSha256(bytes);
}

/** The same, computed here. */
export function portableSha256(bytes: Uint8Array): string {
	const state = INITIAL.slice();
	const words = new Uint32Array(64);
	const whole = bytes.length - (bytes.length % 64);
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = 0; at < whole; at += 64) compress(state, view, at, words);
	const rest = bytes.subarray(whole);
	const tail = new Uint8Array(rest.length < 56 ? 64 : 128);
	tail.set(rest);
	tail[rest.length] = 0x80;
	const tailView = new DataView(tail.buffer);
	tailView.setBigUint64(tail.length - 8, BigInt(bytes.length) * 8n, false);
	for (let at = 0; at < tail.length; at += 64) compress(state, tailView, at, words);
	return [...state].map((word) => word.toString(16).padStart(8, "0")).join("");
}

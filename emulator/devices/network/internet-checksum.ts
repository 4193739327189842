// The checksum of IP, ICMP, TCP and UDP. Reference: RFC 1071.

/** One's complement sum of big-endian words; an odd last byte is the high half of a word. */
export function onesComplementSum(bytes: Uint8Array, start = 0): number {
	let sum = start;
	for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
	return sum;
}

export function internetChecksum(bytes: Uint8Array): number {
	return ~onesComplementSum(bytes) & 0xffff;
}

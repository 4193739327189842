// What is at the other end of the cable: a station that answers ARP and ICMP echo for its one address and nothing else, the same way
// in each run. References: RFC 826 (ARP), RFC 791 (IP), RFC 792 (ICMP).

import { internetChecksum } from "./internet-checksum.ts";

export const PEER_HARDWARE_ADDRESS = [0x02, 0x48, 0x53, 0x00, 0x00, 0x02] as const;
export const PEER_ADDRESS = [10, 0, 2, 2] as const;

const HEADER = 14;
const TYPE_IP = 0x0800;
const TYPE_ARP = 0x0806;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const ARP_BYTES = 28;
const PROTOCOL_ICMP = 1;
const ECHO_REQUEST = 8;
const TIME_TO_LIVE = 64;
/** More fragments, and the offset of this one. */
const FRAGMENTED = 0x3fff;

function short(bytes: Uint8Array, offset: number): number {
	return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

function putShort(bytes: Uint8Array, offset: number, value: number): void {
	bytes[offset] = value >> 8;
	bytes[offset + 1] = value;
}

function same(bytes: Uint8Array, offset: number, wanted: readonly number[]): boolean {
	return wanted.every((value, i) => bytes[offset + i] === value);
}

/** The answer to a frame (without its check sequence); undefined when the peer has none. */
export function peerAnswers(frame: Uint8Array): Uint8Array | undefined {
	if (
		frame.length < HEADER ||
		!(same(frame, 0, PEER_HARDWARE_ADDRESS) || frame.subarray(0, 6).every((b) => b === 0xff))
	)
		return undefined;
	const type = short(frame, 12);
	if (type === TYPE_ARP) return answerArp(frame);
	return type === TYPE_IP ? answerEcho(frame) : undefined;
}

function answerTo(frame: Uint8Array, length: number): Uint8Array {
	const answer = frame.slice(0, length);
	answer.set(frame.subarray(6, 12), 0);
	answer.set(PEER_HARDWARE_ADDRESS, 6);
	return answer;
}

function answerArp(frame: Uint8Array): Uint8Array | undefined {
	// Ethernet and IPv4, a request for the peer's address.
	if (frame.length < HEADER + ARP_BYTES || !same(frame, HEADER, [0, 1, 8, 0, 6, 4, 0, ARP_REQUEST])) return undefined;
	if (!same(frame, HEADER + 24, PEER_ADDRESS)) return undefined;
	const answer = answerTo(frame, HEADER + ARP_BYTES);
	putShort(answer, HEADER + 6, ARP_REPLY);
	answer.set(PEER_HARDWARE_ADDRESS, HEADER + 8);
	answer.set(PEER_ADDRESS, HEADER + 14);
	answer.set(frame.subarray(HEADER + 8, HEADER + 18), HEADER + 18);
	return answer;
}

function answerEcho(frame: Uint8Array): Uint8Array | undefined {
	const headerBytes = (frame[HEADER]! & 15) * 4;
	const total = short(frame, HEADER + 2);
	const message = HEADER + headerBytes;
	const end = HEADER + total;
	if (frame[HEADER]! >> 4 !== 4 || headerBytes < 20 || end > frame.length || total < headerBytes + 8) return undefined;
	if (frame[HEADER + 9] !== PROTOCOL_ICMP || short(frame, HEADER + 6) & FRAGMENTED) return undefined;
	if (!same(frame, HEADER + 16, PEER_ADDRESS) || internetChecksum(frame.subarray(HEADER, message)) !== 0)
		return undefined;
	if (frame[message] !== ECHO_REQUEST || internetChecksum(frame.subarray(message, end)) !== 0) return undefined;
	const answer = answerTo(frame, end);
	answer[HEADER + 8] = TIME_TO_LIVE;
	answer.set(frame.subarray(HEADER + 12, HEADER + 16), HEADER + 16);
	answer.set(PEER_ADDRESS, HEADER + 12);
	putShort(answer, HEADER + 10, 0);
	putShort(answer, HEADER + 10, internetChecksum(answer.subarray(HEADER, message)));
	answer[message] = 0;
	putShort(answer, message + 2, 0);
	putShort(answer, message + 2, internetChecksum(answer.subarray(message)));
	return answer;
}

/** A frame in a few words, for a log. */
export function describeFrame(frame: Uint8Array): string {
	const type = frame.length < HEADER ? 0 : short(frame, 12);
	if (type === TYPE_ARP) return `ARP ${short(frame, HEADER + 6) === ARP_REPLY ? "reply" : "request"}`;
	if (type === TYPE_IP && frame[HEADER + 9] === PROTOCOL_ICMP) {
		const kind = frame[HEADER + (frame[HEADER]! & 15) * 4];
		return kind === ECHO_REQUEST ? "ICMP echo request" : kind === 0 ? "ICMP echo reply" : `ICMP type ${kind}`;
	}
	return type === TYPE_IP ? `IPv4 protocol ${frame[HEADER + 9]}` : `type 0x${type.toString(16).padStart(4, "0")}`;
}

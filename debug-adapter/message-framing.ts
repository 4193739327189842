// The base protocol of DAP: a header "Content-Length: N", an empty line, N bytes of JSON in UTF-8.

/** A header longer than this is no header. */
const LONGEST_HEADER = 4096;
/** A message longer than this is refused; the longest real ones are memory writes. */
const LONGEST_MESSAGE = 64 * 1024 * 1024;

const encoder = new TextEncoder();

/** The bytes of a message with its header. */
export function frameMessage(message: object): Uint8Array {
	const body = encoder.encode(JSON.stringify(message));
	const header = encoder.encode(`Content-Length: ${body.length}\r\n\r\n`);
	const bytes = new Uint8Array(header.length + body.length);
	bytes.set(header);
	bytes.set(body, header.length);
	return bytes;
}

/**
 * Cuts a stream of bytes into messages. What is malformed is reported in one sentence and skipped: after a bad header
 * the next "Content-Length" is looked for, after bad JSON the next message is taken.
 */
export class MessageReader {
	private pending: Uint8Array = new Uint8Array(0);
	/** Length of the message whose header was read. */
	private length: number | undefined;
	/** After a bad header: bytes are dropped, silently, up to the next header. */
	private isLost = false;

	constructor(
		private readonly accept: (message: unknown) => void,
		private readonly reportMalformed: (sentence: string) => void,
	) {}

	push(bytes: Uint8Array): void {
		const joined = new Uint8Array(this.pending.length + bytes.length);
		joined.set(this.pending);
		joined.set(bytes, this.pending.length);
		this.pending = joined;
		while (this.length === undefined ? this.takeHeader() : this.takeBody(this.length));
	}

	private takeHeader(): boolean {
		if (this.isLost && !this.skipToHeader()) return false;
		const end = indexOf(this.pending, "\r\n\r\n");
		if (end < 0) {
			if (this.pending.length <= LONGEST_HEADER) return false;
			this.lose(`Malformed header: no empty line within ${LONGEST_HEADER} bytes.`, 1);
			return true;
		}
		const header = latin1(this.pending.subarray(0, end));
		const match = /^content-length: *(\d{1,10}) *$/im.exec(header.replaceAll("\r\n", "\n"));
		const length = match ? Number(match[1]) : Number.NaN;
		if (!match) this.lose('Malformed header: "Content-Length: N" is missing.', end + 4);
		else if (length > LONGEST_MESSAGE)
			this.lose(`Malformed header: a message of ${length} bytes is longer than ${LONGEST_MESSAGE}.`, end + 4);
		else {
			this.pending = this.pending.slice(end + 4);
			this.length = length;
		}
		return true;
	}

	private takeBody(length: number): boolean {
		if (this.pending.length < length) return false;
		const text = new TextDecoder().decode(this.pending.subarray(0, length));
		this.pending = this.pending.slice(length);
		this.length = undefined;
		let message: unknown;
		try {
			message = JSON.parse(text);
		} catch {
			this.reportMalformed(`Malformed message: its ${length} bytes are not JSON.`);
			return true;
		}
		this.accept(message);
		return true;
	}

	private lose(sentence: string, bytes: number): void {
		this.pending = this.pending.slice(bytes);
		this.isLost = true;
		this.reportMalformed(sentence);
	}

	/** Drops what comes before the next header; keeps a tail that may be the start of one. */
	private skipToHeader(): boolean {
		const at = indexOf(this.pending, "Content-Length:");
		if (at < 0) {
			this.pending = this.pending.slice(-"Content-Length:".length + 1);
			return false;
		}
		this.pending = this.pending.slice(at);
		this.isLost = false;
		return true;
	}
}

function indexOf(bytes: Uint8Array, text: string): number {
	const wanted = encoder.encode(text);
	for (let at = bytes.indexOf(wanted[0]!); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
		if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
	}
	return -1;
}

function latin1(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

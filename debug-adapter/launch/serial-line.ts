import { toBase64 } from "../base64.ts";
import type { Emit } from "../session.ts";

/** Gathers what the guest sends and passes it on in pieces that a client can show. */
export class SerialLine {
	private serial: number[] = [];
	private console: number[] = [];
	/** Keeps the bytes of a character that is cut by a flush. */
	private decoder = new TextDecoder();
	private consoleDecoder = new TextDecoder();
	destination: "both" | "output" | "terminal" = "both";

	constructor(private readonly emit: Emit) {}

	readonly addSerial = (bytes: Uint8Array): void => {
		for (const byte of bytes) this.serial.push(byte);
	};

	readonly addConsole = (byte: number): void => {
		this.console.push(byte);
	};

	/** Sends what has gathered. */
	flush(): void {
		if (this.serial.length > 0) {
			const bytes = Uint8Array.from(this.serial);
			this.serial = [];
			if (this.destination !== "terminal") this.output("stdout", this.decoder.decode(bytes, { stream: true }));
			if (this.destination !== "output") this.emit("hyperscope/serialOutput", { data: toBase64(bytes) });
		}
		if (this.console.length > 0) {
			const bytes = Uint8Array.from(this.console);
			this.console = [];
			this.output("console", this.consoleDecoder.decode(bytes, { stream: true }));
		}
	}

	private output(category: string, output: string): void {
		if (output !== "") this.emit("output", { category, output });
	}

	/** The machine was switched on anew. */
	clear(): void {
		this.serial = [];
		this.console = [];
		this.decoder = new TextDecoder();
		this.consoleDecoder = new TextDecoder();
	}
}

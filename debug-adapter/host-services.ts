// The only file of the adapter that knows Node. A browser host brings its own HostServices.
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { inflateSync } from "node:zlib";

/** What the adapter asks of the place that it runs in. */
export interface HostServices {
	/** The bytes of a file. Rejects with any error when there is none or it cannot be read. */
	readFile(path: string): Promise<Uint8Array>;
	/** Milliseconds since some start: how long the machine may run before messages are looked at. The guest never sees it. */
	now(): number;
	/** Runs the callback after the messages that have arrived were handled. */
	defer(callback: () => void): void;
	/** Inflates a zlib stream to exactly `size` bytes, or throws; absent where the host cannot. */
	inflate?(bytes: Uint8Array, size: number): Uint8Array;
	/** Path of the kernel of Domain 0 for launches that name none; absent when the client names it. */
	readonly domain0?: string;
}

/** Bytes both ways. */
export interface ByteStream {
	onData(listener: (bytes: Uint8Array) => void): void;
	/** Called once, when no more bytes come or the stream broke. */
	onEnd(listener: () => void): void;
	write(bytes: Uint8Array): void;
	end(): void;
}

export const nodeHostServices: HostServices = {
	readFile: async (path) => new Uint8Array(await readFile(path)),
	now: () => performance.now(),
	defer: (callback) => void setImmediate(callback),
	inflate: (bytes, size) => {
		const inflated = inflateSync(bytes, { maxOutputLength: Math.max(1, size) });
		if (inflated.length !== size) throw new Error(`inflated to ${inflated.length} bytes, not ${size}`);
		return new Uint8Array(inflated);
	},
};

function byteStream(input: Readable, output: Writable, close: () => void): ByteStream {
	let ended = false;
	const listeners: (() => void)[] = [];
	const end = () => {
		if (ended) return;
		ended = true;
		for (const listener of listeners) listener();
	};
	input.on("end", end);
	input.on("close", end);
	input.on("error", end);
	output.on("error", end);
	return {
		onData: (listener) => void input.on("data", (bytes: Buffer) => listener(bytes)),
		onEnd: (listener) => void listeners.push(listener),
		write: (bytes) => {
			if (!ended) output.write(bytes);
		},
		end: () => {
			close();
			end();
		},
	};
}

/** Standard input and output of this process. */
export function standardStream(): ByteStream {
	// Standard output is not closed: what was written to it is still to be delivered when the process ends.
	return byteStream(process.stdin, process.stdout, () => process.stdin.destroy());
}

export interface LoopbackServer {
	/** The port that is listened on: the one asked for, or a free one when 0 was. */
	readonly port: number;
	close(): void;
}

/**
 * Listens on 127.0.0.1 only: whoever reaches the adapter commands it. Rejects when the port is taken.
 * `port` 0 picks a free one.
 */
export function listenOnLoopback(port: number, accept: (stream: ByteStream) => void): Promise<LoopbackServer> {
	return new Promise((resolve, reject) => {
		const sockets = new Set<Duplex>();
		const server = createServer((socket) => {
			socket.setNoDelay(true);
			sockets.add(socket);
			socket.on("close", () => sockets.delete(socket));
			accept(byteStream(socket, socket, () => socket.end()));
		});
		server.on("error", reject);
		server.listen(port, "127.0.0.1", () => {
			const address = server.address();
			resolve({
				port: typeof address === "object" && address ? address.port : port,
				close: () => {
					for (const socket of sockets) socket.destroy();
					server.close();
				},
			});
		});
	});
}

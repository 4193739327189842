// A domain's connection to xenstore: requests and replies through the rings of its store page.
// Reference: Xen public header io/xs_wire.h; docs/misc/xenstore.txt for the payloads.

import type { PhysicalMemory } from "../../../engine/physical-memory.ts";
import type { VmEventField } from "../../../machine/vm-events.ts";
import type { Permission } from "./store-tree.ts";
import { type StoreClient, StoreError, type XenStore } from "./xenstore.ts";

/** struct xenstore_domain_interface. */
const RING_BYTES = 1024;
const REQUESTS = 0;
const REPLIES = 1024;
const REQUEST_CONSUMER = 2048;
const REQUEST_PRODUCER = 2052;
const REPLY_CONSUMER = 2056;
const REPLY_PRODUCER = 2060;
const SERVER_FEATURES = 2064;
const ERROR = 2072;
const FEATURE_ERROR = 2;
const ERROR_RING_INDEX = 2;
const ERROR_PROTOCOL = 3;

const HEADER_BYTES = 16;
const MOST_PAYLOAD = 4096;
/** Watch events that wait for a guest that does not read its replies. Deviation: events beyond that are lost. */
const MOST_EVENTS = 512;

/** xs_wire.h, enum xsd_sockmsg_type. */
export const StoreMessage = {
	control: 0,
	directory: 1,
	read: 2,
	getPermissions: 3,
	watch: 4,
	unwatch: 5,
	transactionStart: 6,
	transactionEnd: 7,
	getDomainPath: 10,
	write: 11,
	mkdir: 12,
	rm: 13,
	setPermissions: 14,
	watchEvent: 15,
	error: 16,
	isDomainIntroduced: 17,
	resetWatches: 21,
} as const;

const toolMessages = new Set<number>([0, 8, 9, 18, 19]);

const decoder = new TextDecoder("latin1");
const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);

export class StoreRing {
	private readonly client: StoreClient;
	private input: number[] = [];
	/** Bytes of replies and events that found no room yet. */
	private output: Uint8Array[] = [];
	private events = 0;
	/** The guest broke the protocol: nothing more is done on this connection. */
	broken = "";
	/** A request is being handled: its effects are answered when it is done. */
	private busy = false;

	/**
	 * @param page host-physical address of the store page.
	 * @param signal raises the domain's event channel.
	 */
	constructor(
		private readonly physical: PhysicalMemory,
		private readonly store: XenStore,
		private readonly page: number,
		domain: number,
		privileged: boolean,
		private readonly signal: () => void,
	) {
		this.client = { domain, privileged, onEvent: (path, token) => this.event(path, token) };
		physical.write(page + SERVER_FEATURES, 4, FEATURE_ERROR);
		store.connect(this.client);
	}

	/** For views: what is in the rings, or why the connection ended. */
	detail(): VmEventField[] {
		const used = (producer: number, consumer: number) => (this.index(producer) - this.index(consumer)) >>> 0;
		const fields: VmEventField[] = [
			{ name: "request bytes", value: used(REQUEST_PRODUCER, REQUEST_CONSUMER) },
			{ name: "reply bytes", value: used(REPLY_PRODUCER, REPLY_CONSUMER) },
		];
		return this.broken ? [...fields, { name: "broken", value: this.broken }] : fields;
	}

	close(): void {
		this.store.disconnect(this.client);
	}

	private index(offset: number): number {
		return this.physical.read(this.page + offset, 4);
	}

	/** The guest signalled: it put requests into the ring, or took replies out. */
	serve(): void {
		if (this.busy) return;
		this.busy = true;
		try {
			let moved = this.flush();
			// While replies wait for room, no further request is taken: the guest has to read first.
			while (!this.broken && this.output.length === 0) {
				if (!this.receive()) break;
				moved = true;
				this.answerAll();
				this.flush();
			}
			if (moved) this.signal();
		} finally {
			this.busy = false;
		}
	}

	private fail(code: number, why: string): void {
		this.broken = why;
		this.physical.write(this.page + ERROR, 4, code);
	}

	/** Takes the bytes of the request ring; false when there were none. */
	private receive(): boolean {
		const consumer = this.index(REQUEST_CONSUMER);
		const count = (this.index(REQUEST_PRODUCER) - consumer) >>> 0;
		if (count > RING_BYTES) {
			this.fail(ERROR_RING_INDEX, `request ring holds ${count} bytes of ${RING_BYTES}`);
			return false;
		}
		for (let i = 0; i < count; i++)
			this.input.push(this.physical.read(this.page + REQUESTS + ((consumer + i) & (RING_BYTES - 1)), 1));
		this.physical.write(this.page + REQUEST_CONSUMER, 4, (consumer + count) >>> 0);
		return count > 0;
	}

	/** Moves output into the reply ring; true when something was moved. */
	private flush(): boolean {
		if (this.broken) return false;
		const consumer = this.index(REPLY_CONSUMER);
		let producer = this.index(REPLY_PRODUCER);
		if ((producer - consumer) >>> 0 > RING_BYTES) {
			this.fail(ERROR_RING_INDEX, "reply ring is fuller than it can be");
			return false;
		}
		const start = producer;
		while (this.output.length > 0) {
			const room = RING_BYTES - ((producer - consumer) >>> 0);
			const bytes = this.output[0]!;
			const part = Math.min(room, bytes.length);
			for (let i = 0; i < part; i++)
				this.physical.write(this.page + REPLIES + ((producer + i) & (RING_BYTES - 1)), 1, bytes[i]!);
			producer = (producer + part) >>> 0;
			if (part === bytes.length) this.output.shift();
			else {
				this.output[0] = bytes.subarray(part);
				break;
			}
		}
		if (this.output.length === 0) this.events = 0;
		this.physical.write(this.page + REPLY_PRODUCER, 4, producer);
		return producer !== start;
	}

	private answerAll(): void {
		while (this.input.length >= HEADER_BYTES && !this.broken) {
			const header = new DataView(Uint8Array.from(this.input.slice(0, HEADER_BYTES)).buffer);
			const length = header.getUint32(12, true);
			if (length > MOST_PAYLOAD) {
				this.fail(ERROR_PROTOCOL, `a message of ${length} bytes`);
				return;
			}
			if (this.input.length < HEADER_BYTES + length) return;
			const payload = Uint8Array.from(this.input.slice(HEADER_BYTES, HEADER_BYTES + length));
			this.input = this.input.slice(HEADER_BYTES + length);
			this.answer(header.getUint32(0, true), header.getUint32(4, true), header.getUint32(8, true), payload);
		}
	}

	private answer(type: number, request: number, transaction: number, payload: Uint8Array): void {
		// The reply goes before the events that the request causes, as xenstored has it.
		const place = this.output.length;
		let reply: Uint8Array;
		try {
			const payloadOfReply = this.perform(type, transaction, payload);
			if (payloadOfReply.length > MOST_PAYLOAD) throw new StoreError("E2BIG");
			reply = message(type, request, transaction, payloadOfReply);
		} catch (error) {
			if (!(error instanceof StoreError)) throw error;
			reply = message(StoreMessage.error, request, transaction, bytesOf(`${error.code}\0`));
		}
		this.output.splice(place, 0, reply);
	}

	private event(path: string, token: string): void {
		if (this.broken || this.events >= MOST_EVENTS) return;
		this.events++;
		this.output.push(message(StoreMessage.watchEvent, 0, 0, bytesOf(`${path}\0${token}\0`)));
		if (!this.busy && this.flush()) this.signal();
	}

	/** The payload of the reply. */
	private perform(type: number, transaction: number, payload: Uint8Array): Uint8Array {
		const { store, client } = this;
		const strings = decoder.decode(payload).split("\0");
		/** Strings that are ended by a zero byte. */
		const argument = (index: number): string => {
			if (index >= strings.length - 1) throw new StoreError("EINVAL");
			return strings[index]!;
		};
		const done = bytesOf("OK\0");
		switch (type) {
			case StoreMessage.directory:
				return bytesOf(
					store
						.directory(client, transaction, argument(0))
						.map((name) => `${name}\0`)
						.join(""),
				);
			case StoreMessage.read:
				return store.read(client, transaction, argument(0));
			case StoreMessage.getPermissions:
				return bytesOf(store.permissions(client, transaction, argument(0)).map(formatPermission).join(""));
			case StoreMessage.setPermissions:
				store.setPermissions(client, transaction, argument(0), strings.slice(1, -1).map(parsePermission));
				return done;
			case StoreMessage.watch:
				store.watch(client, argument(0), argument(1));
				return done;
			case StoreMessage.unwatch:
				store.unwatch(client, argument(0), argument(1));
				return done;
			case StoreMessage.transactionStart:
				if (transaction !== 0) throw new StoreError("EINVAL");
				return bytesOf(`${store.startTransaction(client)}\0`);
			case StoreMessage.transactionEnd:
				if (!["T", "F"].includes(argument(0))) throw new StoreError("EINVAL");
				store.endTransaction(client, transaction, argument(0) === "T");
				return done;
			case StoreMessage.getDomainPath:
				return bytesOf(`/local/domain/${domainNumber(argument(0))}\0`);
			case StoreMessage.isDomainIntroduced:
				return bytesOf(`${store.isConnected(domainNumber(argument(0))) ? "T" : "F"}\0`);
			case StoreMessage.write: {
				const path = argument(0);
				store.write(client, transaction, path, payload.subarray(path.length + 1));
				return done;
			}
			case StoreMessage.mkdir:
				store.mkdir(client, transaction, argument(0));
				return done;
			case StoreMessage.rm:
				store.rm(client, transaction, argument(0));
				return done;
			case StoreMessage.resetWatches:
				store.resetClient(client);
				return done;
			default:
				throw new StoreError(toolMessages.has(type) && !client.privileged ? "EACCES" : "ENOSYS");
		}
	}
}

function message(type: number, request: number, transaction: number, payload: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(HEADER_BYTES + payload.length);
	const header = new DataView(bytes.buffer);
	[type, request, transaction, payload.length].forEach((value, i) => {
		header.setUint32(4 * i, value, true);
	});
	bytes.set(payload, HEADER_BYTES);
	return bytes;
}

function domainNumber(text: string): number {
	const number = Number.parseInt(text, 10);
	if (!(number >= 0 && number < 0x7ff0)) throw new StoreError("EINVAL");
	return number;
}

function formatPermission({ domain, read, write }: Permission): string {
	return `${read ? (write ? "b" : "r") : write ? "w" : "n"}${domain}\0`;
}

function parsePermission(text: string): Permission {
	const found = /^([rwbn])([0-9]{1,5})$/.exec(text);
	if (!found) throw new StoreError("EINVAL");
	return {
		domain: domainNumber(found[2]!),
		read: found[1] === "r" || found[1] === "b",
		write: found[1] === "w" || found[1] === "b",
	};
}

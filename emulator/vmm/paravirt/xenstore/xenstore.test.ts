import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { PhysicalMemory } from "../../../engine/physical-memory.ts";
import { StoreMessage, StoreRing } from "./store-ring.ts";
import { XenStore } from "./xenstore.ts";

const none = { read: false, write: false };

/** A client on the guest's side of a ring. */
function connect(store: XenStore, physical: PhysicalMemory, page: number, domain: number) {
	let signals = 0;
	const ring = new StoreRing(physical, store, page, domain, domain === 0, () => signals++);
	const put = (bytes: ArrayLike<number>) => {
		const producer = physical.read(page + 2052, 4);
		for (let i = 0; i < bytes.length; i++) physical.write(page + ((producer + i) & 1023), 1, bytes[i]!);
		physical.write(page + 2052, 4, producer + bytes.length);
	};
	let received: number[] = [];
	const take = () => {
		const consumer = physical.read(page + 2056, 4);
		const producer = physical.read(page + 2060, 4);
		for (let i = consumer; i < producer; i++) received.push(physical.read(page + 1024 + (i & 1023), 1));
		physical.write(page + 2056, 4, producer);
	};
	/** Messages that have arrived: type and text. */
	const messages = () => {
		for (let before = -1; before !== received.length; ) {
			before = received.length;
			take();
			ring.serve();
		}
		const found: [number, string][] = [];
		while (received.length >= 16) {
			const header = new DataView(Uint8Array.from(received.slice(0, 16)).buffer);
			const length = header.getUint32(12, true);
			found.push([header.getUint32(0, true), String.fromCharCode(...received.slice(16, 16 + length))]);
			received = received.slice(16 + length);
		}
		return found;
	};
	const request = (type: number, payload: string, transaction = 0) => {
		const bytes = new Uint8Array(16 + payload.length);
		const header = new DataView(bytes.buffer);
		[type, 7, transaction, payload.length].forEach((value, i) => {
			header.setUint32(4 * i, value, true);
		});
		bytes.set(
			Array.from(payload, (c) => c.charCodeAt(0)),
			16,
		);
		for (let done = 0; done < bytes.length; done += 1000) {
			put(bytes.subarray(done, done + 1000));
			ring.serve();
		}
	};
	const ask = (type: number, payload: string, transaction = 0) => {
		request(type, payload, transaction);
		const found = messages();
		assert.equal(found.length, 1);
		return found[0]![0] === StoreMessage.error ? `error ${found[0]![1].slice(0, -1)}` : found[0]![1];
	};
	return { ring, ask, request, messages, put, signals: () => signals };
}

function make() {
	const physical = new PhysicalMemory(0x8000);
	const store = new XenStore();
	for (const id of [0, 1]) store.provide(`/local/domain/${id}`, "", [{ domain: id, ...none }]);
	return {
		physical,
		store,
		domain0: connect(store, physical, 0x1000, 0),
		guest: connect(store, physical, 0x2000, 1),
	};
}

describe("xenstore", () => {
	test("write, read, list, remove; paths are relative to the domain", () => {
		const { guest, domain0 } = make();
		assert.equal(guest.ask(StoreMessage.write, "device/vbd/51712/state\x001"), "OK\0");
		assert.equal(domain0.ask(StoreMessage.read, "/local/domain/1/device/vbd/51712/state\0"), "1");
		assert.equal(guest.ask(StoreMessage.directory, "device/vbd\0"), "51712\0");
		assert.equal(guest.ask(StoreMessage.read, "device/none\0"), "error ENOENT");
		assert.equal(guest.ask(StoreMessage.mkdir, "device/vbd\0"), "OK\0");
		assert.equal(guest.ask(StoreMessage.rm, "device\0"), "OK\0");
		assert.equal(guest.ask(StoreMessage.rm, "device\0"), "OK\0");
		assert.equal(guest.ask(StoreMessage.rm, "device/vbd/1\0"), "error ENOENT");
		assert.equal(guest.ask(StoreMessage.directory, "\0"), "error EINVAL");
		assert.equal(guest.ask(StoreMessage.getDomainPath, "1\0"), "/local/domain/1\0");
		assert.equal(guest.ask(StoreMessage.write, "a//b\0x"), "error EINVAL");
		assert.equal(guest.ask(StoreMessage.read, "no terminator"), "error EINVAL");
		assert.equal(guest.ask(StoreMessage.control, "\0"), "error EACCES");
		assert.equal(guest.ask(99, "\0"), "error ENOSYS");
	});

	test("permissions keep domains apart until they are given", () => {
		const { guest, domain0 } = make();
		domain0.ask(StoreMessage.write, "/local/domain/0/backend/x\0secret");
		assert.equal(guest.ask(StoreMessage.read, "/local/domain/0/backend/x\0"), "error EACCES");
		assert.equal(guest.ask(StoreMessage.write, "/local/domain/0/backend/x\0mine"), "error EACCES");
		assert.equal(guest.ask(StoreMessage.setPermissions, "/local/domain/0/backend/x\0b1\0"), "error EACCES");
		assert.equal(domain0.ask(StoreMessage.setPermissions, "/local/domain/0/backend/x\0n0\0r1\0"), "OK\0");
		assert.equal(guest.ask(StoreMessage.read, "/local/domain/0/backend/x\0"), "secret");
		assert.equal(guest.ask(StoreMessage.write, "/local/domain/0/backend/x\0mine"), "error EACCES");
		assert.equal(guest.ask(StoreMessage.getPermissions, "/local/domain/0/backend/x\0"), "n0\0r1\0");
		assert.equal(guest.ask(StoreMessage.write, "own\0x"), "OK\0");
		assert.equal(guest.ask(StoreMessage.setPermissions, "own\0n0\0"), "error EPERM", "the owner stays");
		assert.equal(guest.ask(StoreMessage.setPermissions, "own\0z1\0"), "error EINVAL");
	});

	test("watches fire at once, on changes below, and when a parent goes", () => {
		const { guest, domain0 } = make();
		guest.request(StoreMessage.watch, "device\0token\0");
		assert.deepEqual(guest.messages(), [
			[StoreMessage.watch, "OK\0"],
			[StoreMessage.watchEvent, "device\0token\0"],
		]);
		const before = guest.signals();
		domain0.ask(StoreMessage.write, "/local/domain/1/device/vbd/1/state\x002");
		assert.deepEqual(guest.messages(), [[StoreMessage.watchEvent, "device/vbd/1/state\0token\0"]]);
		assert.ok(guest.signals() > before);
		domain0.ask(StoreMessage.rm, "/local/domain/1\0");
		assert.deepEqual(guest.messages(), [[StoreMessage.watchEvent, "device\0token\0"]]);
		assert.equal(guest.ask(StoreMessage.watch, "device\0token\0"), "error EEXIST");
		assert.equal(guest.ask(StoreMessage.unwatch, "device\0token\0"), "OK\0");
		assert.equal(guest.ask(StoreMessage.unwatch, "device\0token\0"), "error ENOENT");
		domain0.ask(StoreMessage.write, "/local/domain/1/device/x\0");
		assert.deepEqual(guest.messages(), []);
	});

	test("a transaction is seen when it is committed, and only if nothing came between", () => {
		const { guest, domain0, store } = make();
		const transaction = Number.parseInt(guest.ask(StoreMessage.transactionStart, "\0"), 10);
		guest.ask(StoreMessage.write, "a\x001", transaction);
		assert.equal(guest.ask(StoreMessage.read, "a\0", transaction), "1");
		assert.equal(store.text("/local/domain/1/a"), undefined);
		domain0.ask(StoreMessage.write, "/other\0x");
		assert.equal(guest.ask(StoreMessage.transactionEnd, "T\0", transaction), "error EAGAIN");
		const again = Number.parseInt(guest.ask(StoreMessage.transactionStart, "\0"), 10);
		guest.ask(StoreMessage.write, "a\x001", again);
		assert.equal(guest.ask(StoreMessage.transactionEnd, "T\0", again), "OK\0");
		assert.equal(store.text("/local/domain/1/a"), "1");
		assert.equal(guest.ask(StoreMessage.transactionEnd, "T\0", again), "error ENOENT");
		assert.equal(guest.ask(StoreMessage.read, "a\0", 4711), "error ENOENT");
	});

	test("quotas hold", () => {
		const { guest } = make();
		assert.equal(guest.ask(StoreMessage.write, `a\0${"x".repeat(2049)}`), "error E2BIG");
		assert.equal(guest.ask(StoreMessage.write, `a\0${"x".repeat(2048)}`), "OK\0");
		let made = 0;
		while (guest.ask(StoreMessage.mkdir, `n${made}\0`) === "OK\0") made++;
		assert.equal(made, 998, "1000 nodes with the domain's own folder and a");
		const started = Array.from({ length: 11 }, () => guest.ask(StoreMessage.transactionStart, "\0"));
		assert.equal(started.at(-1), "error ENOSPC");
	});

	test("a message too long, or indexes that cannot be, end the connection with an error in the page", () => {
		const { guest, physical } = make();
		guest.put([2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 16, 0, 0]);
		guest.ring.serve();
		assert.equal(physical.read(0x2000 + 2072, 4), 3);
		const other = make();
		other.physical.write(0x2000 + 2052, 4, 1025);
		other.guest.ring.serve();
		assert.equal(other.physical.read(0x2000 + 2072, 4), 2);
		assert.match(other.guest.ring.broken, /request ring/);
	});

	test("a frontend that lies about rings and sends anything stays in its page and its rights", () => {
		const { physical, store, domain0 } = make();
		domain0.ask(StoreMessage.write, "/local/domain/0/secret\0untouched");
		const word = fc.oneof(fc.nat(30), fc.nat(0xffff_ffff));
		const text = fc.constantFrom(
			"/",
			"a",
			"/local/domain/0/secret",
			"a/b/c",
			"@releaseDomain",
			"T",
			"1",
			"b1",
			"..",
			"",
		);
		const message = fc
			.tuple(fc.nat(24), fc.nat(3), fc.array(text, { maxLength: 3 }))
			.map(([type, transaction, texts]) => {
				const payload = texts.map((part) => `${part}\0`).join("");
				return [type, 0, 0, 0, 1, 0, 0, 0, transaction, 0, 0, 0, payload.length, 0, 0, 0].concat(
					Array.from(payload, (c) => c.charCodeAt(0)),
				);
			});
		fc.assert(
			fc.property(
				fc.array(message, { maxLength: 12 }),
				fc.option(fc.tuple(fc.constantFrom(2048, 2052, 2056, 2060), word)),
				(messages, lie) => {
					physical.poke(0x2000, new Uint8Array(4096));
					const guest = connect(store, physical, 0x2000, 1);
					for (const bytes of messages) {
						guest.put(bytes);
						guest.ring.serve();
						physical.write(0x2000 + 2056, 4, physical.read(0x2000 + 2060, 4));
					}
					if (lie) physical.write(0x2000 + lie[0], 4, lie[1]);
					guest.ring.serve();
					guest.ring.close();
				},
			),
			{ seed: 5, numRuns: 400 },
		);
		assert.equal(store.text("/local/domain/0/secret"), "untouched");
		assert.ok(physical.peek(0x3000, 0x5000)!.every((byte) => byte === 0));
	});
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PhysicalMemory } from "../../engine/physical-memory.ts";
import { eventChannelOperation } from "./event-channel-hypercall.ts";
import { EventChannels } from "./event-channels.ts";
import { Errno, Virq } from "./xen-abi.ts";

const SELF = 0x7ff0;
const SHARED = [0x4000, 0x5000, 0x6000];

function make() {
	const physical = new PhysicalMemory(0x10000);
	const lines = new Map<number, number>();
	const channels = new EventChannels(physical, {
		bind: (pirq, domain) => {
			if (pirq > 15) return Errno.EINVAL;
			lines.set(pirq, domain);
			return 0;
		},
		unbind: (pirq) => lines.delete(pirq),
	});
	const upcalls = [0, 0, 0];
	const pending: number[][] = [[], [], []];
	// Domain 0 and 1 are 64-bit, domain 2 is 32-bit.
	for (const id of [0, 1, 2])
		channels.addDomain({
			id,
			wordBytes: id === 2 ? 4 : 8,
			privileged: id === 0,
			sharedInfo: SHARED[id]!,
			vcpuInfo: () => SHARED[id]!,
			upcallPending: () => upcalls[id]!++,
			portPending: (port) => pending[id]!.push(port),
		});
	return { physical, channels, upcalls, pending, lines };
}

/** struct vcpu_info and shared_info of a 64-bit and a 32-bit guest. */
const pendingByte = (id: number, port: number) => SHARED[id]! + 2048 + (port >> 3);
const maskByte = (id: number, port: number) => SHARED[id]! + 2048 + (id === 2 ? 128 : 512) + (port >> 3);

test("an event between domains sets pending bit, selector and upcall byte of the peer", () => {
	const { physical, channels, upcalls } = make();
	const listener = channels.allocateUnbound(1, SELF, 2);
	const port = channels.bindInterdomain(2, 1, listener);
	assert.ok(listener > 0 && port > 0);
	assert.equal(upcalls[2], 1, "the binding is signalled to who binds");
	assert.equal(channels.send(2, port), 0);
	assert.equal(physical.read(pendingByte(1, listener), 1), 1 << (listener & 7));
	assert.equal(physical.read(SHARED[1]! + 8, 1), 1, "selector word 0");
	assert.equal(physical.read(SHARED[1]!, 1), 1);
	assert.equal(upcalls[1], 1);
	channels.send(2, port);
	assert.equal(upcalls[1], 1, "already pending: nothing new");
});

test("a masked event waits; unmask notifies", () => {
	const { physical, channels, upcalls, pending } = make();
	const listener = channels.allocateUnbound(2, SELF, 2);
	const port = channels.bindInterdomain(2, SELF, listener);
	physical.write(maskByte(2, listener), 1, 1 << (listener & 7));
	upcalls[2] = 0;
	channels.send(2, port);
	assert.equal(upcalls[2], 0);
	assert.ok(pending[2]!.includes(listener), "a poll would see it");
	assert.equal(channels.unmask(2, listener), 0);
	assert.equal(upcalls[2], 0, "the selector bit of the same word is set already");
	physical.write(SHARED[2]!, 2, 0);
	physical.write(SHARED[2]! + 4, 4, 0);
	physical.write(maskByte(2, listener), 1, 1 << (listener & 7));
	channels.unmask(2, listener);
	assert.equal(upcalls[2], 1);
	assert.equal(physical.read(SHARED[2]!, 1), 1);
});

test("only the domain that a port waits for can bind it, and closing frees the peer", () => {
	const { channels } = make();
	const listener = channels.allocateUnbound(1, SELF, 2);
	assert.equal(channels.bindInterdomain(0, 1, listener), -Errno.EINVAL);
	assert.equal(channels.bindInterdomain(2, 1, listener + 1), -Errno.EINVAL);
	assert.equal(channels.bindInterdomain(2, 9, listener), -Errno.ESRCH);
	assert.equal(channels.allocateUnbound(1, 2, 1), -Errno.EPERM);
	const port = channels.bindInterdomain(2, 1, listener);
	assert.deepEqual(channels.status(2, SELF, port), { status: 2, remote: 1, remotePort: listener });
	assert.equal(channels.status(2, 1, listener), -Errno.EPERM);
	assert.equal(channels.close(2, port), 0);
	assert.deepEqual(channels.status(0, 1, listener), { status: 1, remote: 2 });
	assert.equal(channels.close(2, port), -Errno.EINVAL);
	assert.equal(channels.send(1, listener), 0, "a signal to nobody is lost");
});

test("virtual and physical interrupts", () => {
	const { channels, lines, upcalls } = make();
	const timer = channels.bindVirq(1, Virq.timer, 0);
	assert.equal(channels.bindVirq(1, Virq.timer, 0), -Errno.EEXIST);
	assert.equal(channels.bindVirq(1, 99, 0), -Errno.EINVAL);
	assert.equal(channels.bindVirq(1, Virq.debug, 1), -Errno.ENOENT);
	assert.equal(channels.raiseVirq(1, Virq.timer), true);
	assert.equal(channels.raiseVirq(2, Virq.timer), false);
	assert.equal(upcalls[1], 1);
	assert.ok(channels.isPending(1, timer));
	assert.equal(channels.bindPirq(1, 14), -Errno.EPERM);
	assert.equal(channels.bindPirq(0, 200), -Errno.EINVAL);
	const disk = channels.bindPirq(0, 14);
	assert.equal(lines.get(14), 0);
	assert.equal(channels.bindPirq(0, 14), -Errno.EEXIST);
	assert.equal(channels.raisePirq(0, 14), true);
	assert.deepEqual(channels.view(0), [
		{ port: disk, kind: "pirq", target: "interrupt line 14", pending: true, masked: false },
	]);
	channels.removeDomain(0);
	assert.equal(lines.size, 0);
});

test("a service is told of a send and can signal", () => {
	const { channels, upcalls } = make();
	let told = 0;
	const port = channels.bindService(1, "xenstore", () => told++);
	assert.equal(channels.send(1, port), 0);
	assert.equal(told, 1);
	channels.notifyFromService(1, port);
	assert.equal(upcalls[1], 1);
	channels.close(1, port);
	channels.notifyFromService(1, port);
	assert.equal(upcalls[1], 1);
});

test("ports run out, and are given again", () => {
	const { channels } = make();
	let last = 0;
	for (let port = channels.bindIpi(2, 0); port > 0; port = channels.bindIpi(2, 0)) last = port;
	assert.equal(last, 1023, "1024 channels of a 32-bit domain, port 0 never given");
	assert.equal(channels.bindIpi(2, 0), -Errno.ENOSPC);
	channels.close(2, 500);
	assert.equal(channels.bindIpi(2, 0), 500);
});

test("hypercalls of any kind with any argument change only shared_info pages and answer with an error number", () => {
	const { physical, channels } = make();
	const before = physical.peek(0, 0x10000)!;
	const argument = new Uint8Array(24);
	fc.assert(
		fc.property(
			fc.nat(2),
			fc.nat(14),
			fc.uint8Array({ minLength: 24, maxLength: 24 }),
			fc.boolean(),
			(caller, command, bytes, small) => {
				argument.set(bytes);
				// Small numbers meet open ports and domains.
				if (small) for (let i = 0; i < 24; i += 4) argument.set([argument[i]! & 3, 0, 0, 0], i);
				const result = eventChannelOperation(channels, caller, command, 0x1000n, {
					read: (linear, length) => (linear === 0x1000n && length <= 24 ? argument.slice(0, length) : undefined),
					write: (_linear, answer) => {
						argument.set(answer);
						return true;
					},
				});
				assert.ok(result <= 0 && result > -200);
			},
		),
		{ seed: 41, numRuns: 3000 },
	);
	const after = physical.peek(0, 0x10000)!;
	assert.deepEqual(after.subarray(0, 0x4000), before.subarray(0, 0x4000));
	assert.deepEqual(after.subarray(0x7000), before.subarray(0x7000));
});

test("a structure that cannot be read or written is -EFAULT and leaves no channel", () => {
	const { channels } = make();
	const none = { read: () => undefined, write: () => false };
	assert.equal(eventChannelOperation(channels, 1, 7, 0n, none), -Errno.EFAULT);
	const readable = { read: (_linear: bigint, length: number) => new Uint8Array(length), write: () => false };
	assert.equal(eventChannelOperation(channels, 1, 7, 0n, readable), -Errno.EFAULT);
	assert.deepEqual(channels.view(1), []);
	assert.equal(eventChannelOperation(channels, 1, 11, 0n, readable), -Errno.ENOSYS);
});

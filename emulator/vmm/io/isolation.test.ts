import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { checkHostileGuest } from "../../../test/tools/hostile-guest.ts";
import { DmaEngineControl, DmaEngineError, DmaEngineRegister } from "../../devices/dma-engine.ts";
import { PageKind } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import { DMA_ENGINE_SOURCE } from "../../machine/optional-devices.ts";
import { GUEST_BYTES, HOST_BYTES, startPassthrough } from "./test-passthrough.ts";

const REQUESTS = Number(process.env.HYPERSCOPE_CASES ?? 100_000);

/** A generator of 32-bit numbers (xorshift), the same for the same seed. */
function generator(seed: number): () => number {
	let state = seed || 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return state >>> 0;
	};
}

test(`${REQUESTS} random DMA requests of an assigned device touch nothing outside its domain`, (t) => {
	const seed = Number(process.env.HYPERSCOPE_SEED ?? randomInt(2 ** 31));
	t.diagnostic(`seed ${seed} (HYPERSCOPE_SEED)`);
	const random = generator(seed);
	const { host, memory } = startPassthrough();
	const { path, iommu } = host.devices.optional!;
	const all = host.physical.u8.subarray(RAM_BASE, RAM_BASE + HOST_BYTES);
	/** The guest's memory as it has to be, and the host's without it. */
	const model = new Uint8Array(GUEST_BYTES);
	const outside = all.slice();
	const base = [0xfec0_0000, 0xfed9_0000, 0xfee0_0000, 0xf000_0000, 0xa_0000];
	const address = () => {
		const low = random();
		switch (random() & 7) {
			case 0:
				return BigInt(low) | (BigInt(random()) << 32n);
			case 1:
				return BigInt(base[low % base.length]! + (random() & 0xfff));
			case 2:
				return BigInt(low % HOST_BYTES) | (1n << BigInt(random() % 64));
			case 3:
				return BigInt(GUEST_BYTES - 4096 + (low & 0x1fff));
			case 4:
				return BigInt(low % HOST_BYTES);
			default:
				return BigInt(low % GUEST_BYTES);
		}
	};
	let written = 0;
	for (let i = 0; i < REQUESTS; i++) {
		const at = address();
		const length = 1 + (random() & (random() & 15 ? 63 : 8191));
		if (random() & 1) {
			const read = path.read(DMA_ENGINE_SOURCE, "DMA engine", at, length);
			if (read) assert.deepEqual(read, model.slice(Number(at), Number(at) + length), `read at 0x${at.toString(16)}`);
			continue;
		}
		const bytes = new Uint8Array(length).fill(random());
		path.write(DMA_ENGINE_SOURCE, "DMA engine", at, bytes);
		// Pages before the first one that is not the guest's are written.
		for (let done = 0; done < length; ) {
			const page = Number((at + BigInt(done)) >> 12n);
			if (at + BigInt(done) >= BigInt(GUEST_BYTES) || !memory.isRam(page)) break;
			const start = Number(at) + done;
			const part = Math.min(length - done, 4096 - (start & 0xfff));
			model.set(bytes.subarray(done, done + part), start);
			done += part;
			written++;
		}
	}
	for (let page = 0; page < GUEST_BYTES / 4096; page++) {
		if (!memory.isRam(page)) continue;
		const frame = memory.frameOf(page) * 4096;
		const own = all.subarray(frame, frame + 4096);
		assert.ok(Buffer.from(own).equals(model.subarray(page * 4096, page * 4096 + 4096)), `page ${page} of the guest`);
		outside.set(own, frame);
	}
	assert.ok(Buffer.from(all).equals(outside), "host memory outside of the domain has changed");
	assert.ok(written > REQUESTS / 10 && iommu!.blocked > REQUESTS / 10, `${written} written, ${iommu!.blocked} blocked`);
	const pending = host.devices.localApic.registers().find(({ name }) => name === "IRR");
	assert.equal(pending!.value, 1n << 0xd0n, "a write became an interrupt message: only the unit's own may come");
});

test("requesters that are not assigned, and devices of the domain whose page was taken away, are stopped", () => {
	const { host, passthrough, memory } = startPassthrough();
	const { path, iommu } = host.devices.optional!;
	const one = Uint8Array.of(1);
	assert.equal(path.write(0x28, "another", 0x1000n, one), false);
	assert.equal(path.write(DMA_ENGINE_SOURCE, "DMA engine", 0x1000n, one), true);
	passthrough.domain!.unmap(1);
	passthrough.invalidate();
	assert.equal(path.write(DMA_ENGINE_SOURCE, "DMA engine", 0x1000n, one), false);
	assert.deepEqual([iommu!.translated, iommu!.blocked], [1, 2]);
	assert.equal(memory.peek(0x1000, 1)![0], 1);
});

test("pages that become ROM can be read only, and written again as RAM", () => {
	const { host, passthrough, memory } = startPassthrough();
	const { path } = host.devices.optional!;
	const write = () => path.write(DMA_ENGINE_SOURCE, "DMA engine", 0xc0000n, Uint8Array.of(1));
	assert.equal(write(), true);
	memory.kind[0xc0] = PageKind.rom;
	passthrough.pagesChanged(0xc0, 0xc1);
	assert.equal(write(), false);
	assert.deepEqual([...path.read(DMA_ENGINE_SOURCE, "DMA engine", 0xc0000n, 1)!], [1]);
	memory.kind[0xc0] = PageKind.ram;
	passthrough.pagesChanged(0xc0, 0xc1);
	assert.equal(write(), true);
});

test("one program of the device: stopped by the unit, and over the neighbour's memory without it", () => {
	for (const isProtected of [true, false]) {
		const { host, neighbour } = startPassthrough(isProtected);
		const registers = { at: 0xf000_0000, memory: host.devices.memory };
		const set = (offset: number, value: number) => registers.memory.write(registers.at + offset, 4, value);
		const victim = neighbour.frameOf(400) * 4096;
		// What the guest would do: memory space and bus master on, the pattern, where to, how much, go.
		host.devices.ports.write(0xcf8, 4, 0x8000_2004);
		host.devices.ports.write(0xcfc, 2, 6);
		set(DmaEngineRegister.destination, victim);
		set(DmaEngineRegister.length, 64);
		set(DmaEngineRegister.pattern, 0xdead_beef);
		set(DmaEngineRegister.control, DmaEngineControl.start | DmaEngineControl.fill);
		host.clock.advanceTo(1000);
		const error = registers.memory.read(registers.at + DmaEngineRegister.error, 4);
		const [first] = neighbour.peek(400 * 4096, 1)!;
		if (isProtected) {
			assert.deepEqual([error, first], [DmaEngineError.writeAborted, 400 & 0xff]);
			const record = (offset: number) => registers.memory.read(0xfed9_0220 + offset, 4);
			assert.deepEqual([record(0), record(8), record(12) >>> 0], [victim, DMA_ENGINE_SOURCE, 0x8000_0005]);
		} else assert.deepEqual([error, first], [DmaEngineError.none, 0xef]);
	}
});

test("a network controller passed through: rings at guest-physical addresses, registers by both ways, the guest's interrupt", () => {
	const { host, guest, memory } = startPassthrough(true, "e1000");
	guest.reset();
	const configure = (register: number, value: number) => {
		guest.ports.write(0xcf8, 4, 0x8000_1800 + register);
		guest.ports.write(0xcfc, 4, value);
	};
	configure(0x10, 0xe000_0000);
	configure(0x18, 0xd000);
	configure(0x04, 7);
	const set = (offset: number, value: number) => guest.memory.write(0xe000_0000 + offset, 4, value);
	const put = (address: number, bytes: readonly number[]) => assert.ok(memory.poke(address, Uint8Array.from(bytes)));
	// Receive and transmit rings, a buffer, an ARP request for the peer.
	put(0x1_0000, [0, 0, 3, 0]);
	const who = [2, 0x48, 0x53, 0, 0, 1];
	const request = [...new Array(6).fill(255), ...who, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...who, 10, 0, 2, 15];
	put(0x4_0000, [...request, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
	put(0x2_0000, [0, 0, 4, 0, 0, 0, 0, 0, 42, 0, 0, 9]);
	for (const [offset, value] of [
		[0x2800, 0x1_0000],
		[0x2808, 128],
		[0x2818, 1],
		[0x3800, 0x2_0000],
		[0x3808, 128],
		[0x0000, 0x40],
		[0x0100, 0x8002],
		[0x0400, 2],
		[0x00d0, 0x80],
		[0x3818, 1],
	] as const)
		set(offset, value);
	host.clock.advanceTo(1_000_000);
	assert.deepEqual([...memory.peek(0x3_0000, 22)!].slice(0, 6), who);
	assert.deepEqual([...memory.peek(0x3_0000, 22)!].slice(20), [0, 2], "the answer");
	// IRQ 10 waits in the slave's IRR (OCW3: read IRR), until the cause is read, here through the ports.
	const waiting = () => {
		guest.ports.write(0xa0, 1, 0x0a);
		return guest.ports.read(0xa0, 1) & 4;
	};
	assert.equal(waiting(), 4);
	guest.ports.write(0xd000, 4, 0xc0);
	assert.equal(guest.ports.read(0xd004, 4) & 0x80, 0x80);
	assert.equal(waiting(), 0);
	assert.equal(host.devices.optional!.iommu!.blocked, 0);
});

test("a hostile guest finds no sequence of configuration accesses that breaks an assigned function", () => {
	checkHostileGuest(() => {
		// The registers are the host's, whose state is not the function's: only looking at them is part of this.
		const { passthrough, guest } = startPassthrough();
		const [device] = passthrough.functions;
		return {
			device: device!,
			blocks: [{ block: device!.configuration, length: 256 }],
			stimuli: [(value) => guest.memory.read(0xf000_0000 + (value & 0xffc), 4)],
		};
	}, 20);
});

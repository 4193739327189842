import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkHostileGuest } from "../../test/tools/hostile-guest.ts";
import type { AccessSize, RegisterBlock } from "./device.ts";
import { IoPortBus } from "./io-port-bus.ts";
import { MemoryBus } from "./memory-bus.ts";
import { UnassignedRange } from "./unassigned-range.ts";

/** Bytes that remember the accesses they got. */
class Bytes implements RegisterBlock {
	readonly seen: string[] = [];
	readonly bytes: Uint8Array;
	constructor(
		length: number,
		readonly widestAccess?: AccessSize,
	) {
		this.bytes = Uint8Array.from({ length }, (_, i) => 0x10 + i);
	}
	read(offset: number, size: AccessSize): number {
		this.seen.push(`r${size}@${offset}`);
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.bytes[offset + i]!;
		return value;
	}
	write(offset: number, size: AccessSize, value: number): void {
		this.seen.push(`w${size}@${offset}=${value.toString(16)}`);
		for (let i = 0; i < size; i++) this.bytes[offset + i] = value >>> (8 * i);
	}
}

for (const [name, make] of [
	["ports", () => new IoPortBus(new UnassignedRange("ports"))],
	["memory", () => new MemoryBus(new UnassignedRange("memory"))],
] as const) {
	test(`${name}: accesses reach the device with offsets from its base; wide ones are split for narrow devices`, () => {
		const bus = make();
		const wide = new Bytes(8);
		const narrow = new Bytes(4, 1);
		bus.register(0x100, 8, wide, "wide");
		bus.register(0x200, 4, narrow, "narrow");
		assert.equal(bus.read(0x104, 4), 0x17161514);
		assert.equal(bus.read(0x200, 4), 0x13121110);
		bus.write(0x202, 2, 0xbeef);
		assert.deepEqual(wide.seen, ["r4@4"]);
		assert.deepEqual(narrow.seen, ["r1@0", "r1@1", "r1@2", "r1@3", "w1@2=ef", "w1@3=be"]);
		assert.deepEqual(bus.describe(), [
			{ base: 0x100, length: 8, name: "wide" },
			{ base: 0x200, length: 4, name: "narrow" },
		]);
	});

	test(`${name}: an access over the end of a device reads all ones beyond it`, () => {
		const bus = make();
		bus.register(0x102, 2, new Bytes(2), "two");
		assert.equal(bus.read(0x100, 4), 0x1110ffff);
		assert.equal(bus.read(0x103, 4), 0xffffff11);
		assert.equal(bus.read(0x300, 4), 0xffffffff);
	});

	test(`${name}: an overlap is refused and both names are told; a removed range is free again`, () => {
		const bus = make();
		bus.register(0x100, 8, new Bytes(8), "first");
		assert.throws(() => bus.register(0x107, 4, new Bytes(4), "second"), /second: .*overlap first at/);
		assert.throws(() => bus.register(0xf0, 0x100, new Bytes(4), "around"), /overlap first/);
		assert.throws(() => bus.register(-1, 4, new Bytes(4), "outside"), RangeError);
		assert.equal(bus.unregister(0x100), true);
		assert.equal(bus.unregister(0x100), false);
		bus.register(0x107, 4, new Bytes(4), "second");
		assert.equal(bus.read(0x107, 1), 0x10);
	});

	test(`${name}: many ranges answer as a byte map does`, () => {
		fc.assert(
			fc.property(
				fc.uniqueArray(fc.nat(30), { maxLength: 20 }),
				fc.nat(300),
				fc.constantFrom<AccessSize>(1, 2, 4),
				(slots, at, size) => {
					const bus = make();
					const map = new Uint8Array(400).fill(0xff);
					for (const slot of slots) {
						const block = new Bytes(7, ([1, 2, 4] as const)[slot % 3]);
						map.set(block.bytes, slot * 9);
						bus.register(slot * 9, 7, block, `slot ${slot}`);
					}
					let expected = 0;
					for (let i = size - 1; i >= 0; i--) expected = expected * 256 + map[at + i]!;
					assert.equal(bus.read(at, size), expected);
				},
			),
		);
	});
}

test("a hostile guest cannot make the list of unassigned addresses grow without bound", () => {
	const range = new UnassignedRange("nothing");
	for (let i = 0; i < 5000; i++) range.write(i, 1, 0);
	assert.equal(range.accesses().length, 256);
	assert.equal(range.registers()[1]!.value, 5000);
	checkHostileGuest(() => {
		const device = new UnassignedRange("nothing");
		return { device, blocks: [{ block: device, length: 0x1000 }] };
	});
});

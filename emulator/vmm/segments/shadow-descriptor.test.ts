import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeDescriptor } from "../host-control.ts";
import { VMM_BASE } from "../layout.ts";
import { descriptorBase, descriptorLimit, NO_DESCRIPTOR, shadowDescriptor } from "./shadow-descriptor.ts";

const FLAT_CODE = [0x0000ffff, 0x00cf9b00] as const;
const FLAT_DATA = [0x0000ffff, 0x00cf9300] as const;
const USER_DATA = [0x0000ffff, 0x00cff300] as const;

const privilege = ([, high]: readonly [number, number]) => (high >>> 13) & 3;

test("flat segments end below the VMM; ring 0 becomes ring 1, ring 3 stays", () => {
	for (const guest of [FLAT_CODE, FLAT_DATA, USER_DATA]) {
		const shadow = shadowDescriptor(guest);
		assert.equal(descriptorLimit(shadow), VMM_BASE - 1);
		assert.equal(descriptorBase(shadow), 0);
		assert.equal(privilege(shadow), privilege(guest) === 0 ? 1 : 3);
	}
});

test("a short segment keeps its limit", () => {
	const shadow = shadowDescriptor(makeDescriptor(0x12345678, 0xfff, 0x4093));
	assert.equal(descriptorBase(shadow), 0x12345678);
	assert.equal(descriptorLimit(shadow), 0xfff);
});

test("system descriptors and segments never loaded have no shadow", () => {
	assert.deepEqual(shadowDescriptor([0x20000067, 0x00008b10]), NO_DESCRIPTOR);
	assert.deepEqual(shadowDescriptor([0x0000ffff, 0x00cf9200]), NO_DESCRIPTOR);
});

test("no offset is inside an expand-down segment or one that starts in the VMM", () => {
	for (const guest of [makeDescriptor(0, 0xfff, 0x4097), makeDescriptor(0xffe00000, 0xffff, 0x4093)]) {
		const shadow = shadowDescriptor(guest);
		assert.ok(shadow[1] & (1 << 10), "expand-down");
		assert.equal(descriptorLimit(shadow), 0xffffffff);
		assert.equal(descriptorBase(shadow), descriptorBase(guest));
	}
});

test("no shadow of a data segment reaches the VMM, and none is larger than the guest's", () => {
	const base = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: VMM_BASE - 0x3000, max: VMM_BASE }));
	const limit = fc.integer({ min: 0, max: 0xffffffff });
	fc.assert(
		fc.property(base, limit, (base, limit) => {
			const guest = makeDescriptor(base, limit, 0x4093);
			const shadow = shadowDescriptor(guest);
			if (shadow[1] & (1 << 10)) {
				assert.ok(base >= VMM_BASE);
				return;
			}
			assert.equal(descriptorBase(shadow), base);
			const last = base + descriptorLimit(shadow);
			assert.ok(last < VMM_BASE);
			assert.ok(descriptorLimit(shadow) <= descriptorLimit(guest));
			// At most a page is given up.
			if (descriptorLimit(shadow) < descriptorLimit(guest)) assert.ok(last > VMM_BASE - 1 - 8192);
		}),
	);
});

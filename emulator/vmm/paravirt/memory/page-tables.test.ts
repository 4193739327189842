import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Errno } from "../xen-abi.ts";
import { FrameFlag, PageType } from "./frame-table.ts";
import { checkDescriptor, findLeaf } from "./page-tables.ts";
import { P, TestBench, TestOwner, U, W } from "./test-domain.ts";

const EINVAL = -Errno.EINVAL;
let bench: TestBench;
let wide: TestOwner;
let compat: TestOwner;

beforeEach(() => {
	bench = new TestBench();
	wide = new TestOwner(bench, 1, true);
	compat = new TestOwner(bench, 2, false);
});

/** A tree of one table a level that maps `data` at address 0. */
function tree(owner: TestOwner, data: number, flags = P | W): { l4: number; l3: number; l2: number; l1: number } {
	const [l4, l3, l2, l1] = [owner.take(), owner.take(), owner.take(), owner.take()];
	bench.put(l1, 0, data, flags);
	bench.put(l2, 0, l1, P | W | U);
	bench.put(l3, 0, l2, owner.wide ? P | W | U : P);
	bench.put(l4, 0, l3, P | W | U);
	return { l4, l3, l2, l1 };
}

describe("a tree of tables", () => {
	test("is checked when its top is pinned, and every frame of it counted", () => {
		const data = wide.take();
		const { l4, l3, l2, l1 } = tree(wide, data);
		assert.equal(bench.tables.pin(l4, wide, PageType.l4), 0);
		for (const [frame, type] of [
			[l4, PageType.l4],
			[l3, PageType.l3],
			[l2, PageType.l2],
			[l1, PageType.l1],
			[data, PageType.writable],
		] as const) {
			assert.equal(bench.table.type[frame], type);
			assert.deepEqual(bench.counts(frame), [1, 2]);
		}
		assert.ok(bench.table.has(l4, FrameFlag.pinned));
		assert.deepEqual(bench.recount(), []);
		assert.deepEqual(findLeaf(bench.memory, l4, 0x123n), [l1, 0]);
	});

	test("gives everything back when its top is unpinned", () => {
		const data = wide.take();
		const { l4, l3, l2, l1 } = tree(wide, data);
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.unpin(l4, wide.id), 0);
		for (const frame of [l4, l3, l2, l1, data]) assert.deepEqual(bench.counts(frame), [0, 1]);
		assert.deepEqual(bench.recount(), []);
		assert.equal(bench.tables.unpin(l4, wide.id), EINVAL);
	});

	test("cannot be pinned twice", () => {
		const { l4 } = tree(wide, wide.take());
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.pin(l4, wide, PageType.l4), EINVAL);
		assert.deepEqual(bench.counts(l4), [1, 2]);
	});

	test("gets the hypervisor's slots, and the kernel's pages become user pages of ring 3", () => {
		const data = wide.take();
		const { l4, l1 } = tree(wide, data);
		bench.put(l4, 300, 0, 0);
		bench.put(l4, 260, 7, P | W | U);
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.memory.read(l4, 256 * 2), 0xabc000 | P);
		assert.equal(bench.memory.read(l4, 260 * 2), 0);
		assert.equal(bench.memory.read(l1, 0), data * 4096 + (P | W | U));
		assert.equal(bench.memory.read(l1, 1), 1 << 20);
	});

	test("with a mistake in its last entry changes no count", () => {
		const data = wide.take();
		const { l4, l1 } = tree(wide, data);
		bench.put(l1, 511, compat.take(), P);
		assert.equal(bench.tables.pin(l4, wide, PageType.l4), EINVAL);
		assert.deepEqual(bench.counts(data), [0, 1]);
		assert.deepEqual(bench.recount(), []);
	});
});

describe("refused is", () => {
	test("a writable mapping of a page table", () => {
		const { l4, l1 } = tree(wide, wide.take());
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.changeEntry(l1, 1, l1 * 4096 + (P | W), 0, wide, wide.id), EINVAL);
		assert.equal(bench.tables.changeEntry(l1, 1, l4 * 4096 + (P | W), 0, wide, wide.id), EINVAL);
		assert.equal(bench.tables.changeEntry(l1, 1, l1 * 4096 + P, 0, wide, wide.id), 0, "a read-only one is allowed");
		assert.deepEqual(bench.recount(), []);
	});

	test("a page table that is mapped writable", () => {
		const other = wide.take();
		const { l4, l2 } = tree(wide, other);
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.changeEntry(l2, 1, other * 4096 + (P | W | U), 0, wide, wide.id), EINVAL);
		assert.deepEqual(bench.recount(), []);
	});

	test("a frame of another domain, of the hypervisor, of nobody, or beyond memory", () => {
		const { l4, l1 } = tree(wide, wide.take());
		bench.tables.pin(l4, wide, PageType.l4);
		const foreign = compat.take();
		for (const frame of [foreign, 3, 500])
			assert.equal(bench.tables.changeEntry(l1, 1, frame * 4096 + P, 0, wide, wide.id), EINVAL, `frame ${frame}`);
		assert.equal(bench.tables.changeEntry(l1, 1, 0x80000000 | P, 0, wide, wide.id), -Errno.EPERM);
		assert.equal(bench.tables.changeEntry(l1, 1, P, 1, wide, wide.id), EINVAL, "above 4 GiB");
		assert.equal(
			bench.tables.changeEntry(l1, 1, foreign * 4096 + P, 0, wide, compat.id),
			0,
			"when the caller may name its owner",
		);
		assert.deepEqual(bench.recount(), []);
	});

	test("device memory, but for a privileged domain, and never the interrupt controllers", () => {
		const privileged = new TestOwner(bench, 0, true, true);
		const { l4, l1 } = tree(privileged, privileged.take());
		bench.tables.pin(l4, privileged, PageType.l4);
		assert.equal(bench.tables.changeEntry(l1, 1, 0xe0000000 | P | W, 0, privileged, 0), 0);
		assert.equal(bench.tables.changeEntry(l1, 2, 0xfee00000 | P | W, 0, privileged, 0), -Errno.EPERM);
		assert.equal(bench.tables.changeEntry(l1, 1, 0, 0, privileged, 0), 0);
		assert.deepEqual(bench.recount(), []);
	});

	test("a large page, and a table that leads to itself", () => {
		const { l4, l3, l2 } = tree(wide, wide.take());
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.changeEntry(l2, 1, 0x200000 | P | W | 0x80, 0, wide, wide.id), EINVAL);
		assert.equal(bench.tables.changeEntry(l3, 1, l3 * 4096 + (P | W | U), 0, wide, wide.id), EINVAL);
		assert.equal(bench.tables.changeEntry(l4, 1, l4 * 4096 + (P | W | U), 0, wide, wide.id), EINVAL);
		assert.equal(
			bench.tables.changeEntry(l4, 257, l3 * 4096 + (P | W | U), 0, wide, wide.id),
			EINVAL,
			"a slot of the hypervisor's",
		);
		assert.deepEqual(bench.recount(), []);
	});
});

describe("32-bit tables", () => {
	function compatTree(): { l3: number; top: number; l1: number; data: number } {
		const [l3, top, l1, data] = [compat.take(), compat.take(), compat.take(), compat.take()];
		bench.put(l1, 0, data, P | W);
		bench.put(top, 0, l1, P | W);
		bench.put(l3, 3, top, P);
		return { l3, top, l1, data };
	}

	test("have the hypervisor's part in the level-2 table of the top GByte, which cannot be replaced", () => {
		const { l3, top } = compatTree();
		assert.equal(bench.tables.pin(l3, compat, PageType.l3), 0);
		assert.equal(bench.memory.read(top, 428 * 2), 0xabc000 | P);
		assert.equal(bench.tables.changeEntry(top, 430, 0, 0, compat, compat.id), EINVAL);
		assert.equal(bench.tables.changeEntry(l3, 3, 0, 0, compat, compat.id), EINVAL);
		assert.deepEqual(bench.recount(), []);
	});

	test("need one there, of its own", () => {
		const { l3, top } = compatTree();
		bench.put(l3, 2, top, P);
		assert.equal(bench.tables.pin(l3, compat, PageType.l3), EINVAL, "the same table in two places");
		bench.put(l3, 2, 0, 0);
		bench.put(l3, 3, 0, 0);
		assert.equal(bench.tables.pin(l3, compat, PageType.l3), EINVAL, "none");
		assert.deepEqual(bench.recount(), []);
	});

	test("keep supervisor pages as they are: ring 1 is supervisor to the hardware", () => {
		const { l3, l1, data } = compatTree();
		bench.tables.pin(l3, compat, PageType.l3);
		assert.equal(bench.memory.read(l1, 0), data * 4096 + (P | W));
	});
});

describe("entries", () => {
	test("may change their rights and flags without a new reference", () => {
		const data = wide.take();
		const { l4, l1 } = tree(wide, data);
		bench.tables.pin(l4, wide, PageType.l4);
		assert.equal(bench.tables.changeEntry(l1, 0, data * 4096 + (P | W | U | 0x60), 1 << 31, wide, wide.id), 0);
		assert.deepEqual(bench.counts(data), [1, 2]);
		assert.equal(bench.tables.changeEntry(l1, 0, data * 4096 + (P | U), 0, wide, wide.id, true), 0);
		assert.deepEqual(bench.counts(data), [0, 2]);
		assert.equal(bench.memory.read(l1, 0) & 0x60, 0x60, "A and D are preserved when asked");
		assert.deepEqual(bench.recount(), []);
	});

	test("that become free let the frame become a table again, after a TLB flush", () => {
		const data = wide.take();
		const { l4, l1, l2 } = tree(wide, data);
		bench.tables.pin(l4, wide, PageType.l4);
		bench.tables.changeEntry(l1, 0, 0, 0, wide, wide.id);
		const { flushes } = bench;
		assert.equal(bench.tables.changeEntry(l2, 1, data * 4096 + (P | W | U), 0, wide, wide.id), 0);
		assert.equal(bench.flushes, flushes + 1, "a writable translation of it may still be cached");
		assert.equal(bench.table.type[data], PageType.l1);
	});

	test("keep a frame that its domain has given away until they are gone", () => {
		const data = wide.take();
		const { l4, l1 } = tree(wide, data);
		bench.tables.pin(l4, wide, PageType.l4);
		bench.table.clearFlag(data, FrameFlag.allocated);
		bench.tables.putPage(data);
		assert.deepEqual(wide.freed, []);
		bench.tables.changeEntry(l1, 0, 0, 0, wide, wide.id);
		assert.deepEqual(wide.freed, [data]);
		assert.equal(bench.tables.changeEntry(l1, 0, data * 4096 + P, 0, wide, wide.id), EINVAL);
	});
});

describe("descriptors", () => {
	const CODE_32 = [0x0000ffff, 0x00cf9b00] as const;

	test("of code and data are allowed, not above the ring of the guest's kernel", () => {
		assert.deepEqual(checkDescriptor(...CODE_32, wide), [0x0000ffff, 0x00cffb00]);
		assert.deepEqual(checkDescriptor(...CODE_32, compat), [0x0000ffff, 0x00cfbb00]);
		assert.deepEqual(checkDescriptor(0, 0, wide), [0, 0]);
	});

	test("of gates, task states and 64-bit code of a 32-bit guest are not", () => {
		assert.equal(checkDescriptor(0x00100000, 0x0000ec00, wide), undefined, "call gate");
		assert.equal(checkDescriptor(0x00000067, 0x00008900, wide), undefined, "task state");
		assert.equal(checkDescriptor(0x0000ffff, 0x00af9b00, compat), undefined, "64-bit code");
		assert.notEqual(checkDescriptor(0x0000ffff, 0x00af9b00, wide), undefined);
	});

	test("make a frame that cannot be written, until none of them is used", () => {
		const table = wide.take();
		const { l4, l1 } = tree(wide, wide.take());
		bench.tables.pin(l4, wide, PageType.l4);
		bench.memory.writeEntry(table, 1, ...CODE_32);
		assert.equal(bench.tables.getPageAndType(table, wide.id, PageType.descriptors), 0);
		assert.equal(bench.memory.read(table, 3), 0x00cffb00);
		assert.equal(bench.tables.changeEntry(l1, 1, table * 4096 + (P | W), 0, wide, wide.id), EINVAL);
		bench.tables.putPageAndType(table);
		assert.equal(bench.tables.changeEntry(l1, 1, table * 4096 + (P | W), 0, wide, wide.id), 0);
	});

	test("with a bad one among them are refused as a whole", () => {
		const table = wide.take();
		bench.memory.writeEntry(table, 511, 0x00000067, 0x00008900);
		assert.equal(bench.tables.getPageAndType(table, wide.id, PageType.descriptors), EINVAL);
		assert.deepEqual(bench.counts(table), [0, 1]);
	});
});

test("random changes of tables keep every count as a recount has it", () => {
	let seed = 20261128;
	const random = (below: number): number => {
		seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
		return (seed >>> 8) % below;
	};
	const first = seed;
	const owners = [wide, compat];
	const frames = owners.map((owner) => Array.from({ length: 40 }, () => owner.take()));
	const types = [PageType.l1, PageType.l2, PageType.l3, PageType.l4];
	let accepted = 0;
	for (let step = 0; step < 20_000; step++) {
		const which = random(2);
		const owner = owners[which]!;
		const own = frames[which]!;
		const frame = own[random(own.length)]!;
		const action = random(12);
		if (action === 0) accepted += bench.tables.pin(frame, owner, types[random(4)]!) === 0 ? 1 : 0;
		else if (action === 1) accepted += bench.tables.unpin(frame, owner.id) === 0 ? 1 : 0;
		else {
			const target = random(8) === 0 ? random(520) : own[random(own.length)]!;
			const flags = random(4) === 0 ? random(4096) : [0, P, P | W, P | W | U][random(4)]!;
			const index = [0, 1, 3, 255, 256, 300, 428, 511][random(8)]!;
			const type = bench.table.type[frame]!;
			const high = random(10) === 0 ? random(0x7fffffff) : 0;
			if (bench.table.typeCount[frame]! > 0 && (type === 8 || (type >= 1 && type <= 4))) {
				const result = bench.tables.changeEntry(frame, index, (target * 4096) | flags, high, owner, owner.id);
				accepted += result === 0 ? 1 : 0;
			} else if (bench.table.typeCount[frame] === 0) bench.put(frame, index, target, flags, high);
		}
		if (step % 500 === 0) assert.deepEqual(bench.recount(), [], `seed ${first}, step ${step}`);
	}
	assert.deepEqual(bench.recount(), [], `seed ${first}`);
	assert.ok(accepted > 500, `${accepted} changes were accepted`);
});

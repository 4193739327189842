import assert from "node:assert/strict";
import { test } from "node:test";
import { checkConfiguration } from "./check.ts";

test("a good configuration passes", () => {
	assert.equal(checkConfiguration({ program: "/k.elf" }), undefined);
	assert.equal(checkConfiguration({ firmware: "/b.rom", disks: ["/d.img"], vmm: "none", memory: "64M" }), undefined);
	assert.equal(checkConfiguration({ program: "/k.elf", vmm: "hvm", mmu: "ept" }), undefined);
	assert.equal(checkConfiguration({ program: "/k.elf", vmm: "pv", io: "split", disks: ["/d.img"] }), undefined);
});

test("a wrong one gets one sentence that names what is wrong", () => {
	const cases: [Record<string, unknown>, RegExp][] = [
		[{}, /names nothing to start/],
		[{ disks: ["/d.img"] }, /Nothing starts the disks.*"firmware"/],
		[{ program: 5 }, /"program".*must be a text/],
		[{ program: "/k", vmm: "xen" }, /"vmm".*"xen".*none, trap, bt, pv, hvm/],
		[{ program: "/k", vmm: "bt", mmu: "ept" }, /needs "vmm": "hvm"/],
		[{ program: "/k", io: "split", vmm: "bt" }, /needs "vmm": "pv"/],
		[{ program: "/k", io: "split", vmm: "pv" }, /needs one disk/],
		[{ program: "/k", vmm: "pv", domain0: "/d" }, /"io": "split" only/],
		[{ program: "/k", disks: "a" }, /"disks".*list/],
		[{ program: "/k", memory: "12Q" }, /"memory".*"12Q"/],
		[{ program: "/k", memory: 4096 }, /2M to 3G/],
		[{ program: "/k", memory: "64G" }, /2M to 3G/],
	];
	for (const [configuration, sentence] of cases) {
		const said = checkConfiguration(configuration);
		assert.match(said ?? "", sentence);
		assert.equal(said!.trim().split("\n").length, 1);
	}
});

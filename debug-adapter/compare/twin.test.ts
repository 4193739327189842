import assert from "node:assert/strict";
import { test } from "node:test";
import { twinPath } from "./compare.ts";

test("a paravirtual twin lies beside its image, and has none itself", () => {
	assert.equal(twinPath("/a.elf/nanobench.elf"), "/a.elf/nanobench-pv.elf");
	assert.equal(twinPath("nanobench-pv.elf"), undefined);
	assert.equal(twinPath("vmlinuz"), undefined);
});

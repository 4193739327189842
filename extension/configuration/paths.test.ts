import assert from "node:assert/strict";
import { test } from "node:test";
import { resolvePath, resolvePaths } from "./paths.ts";

const disk = { scheme: "file", path: "/kernels/k", fsPath: "/kernels/k", withPath: (path: string) => `file://${path}` };
const virtual = { scheme: "memfs", path: "/", fsPath: "/", withPath: (path: string) => `memfs://mount${path}` };

test("relative paths start at the workspace folder", () => {
	assert.equal(resolvePath("a.elf", disk), "/kernels/k/a.elf");
	assert.equal(resolvePath("/x/a.elf", disk), "/x/a.elf");
	assert.equal(resolvePath("C:\\a.elf", disk), "C:\\a.elf");
	assert.equal(resolvePath("a.elf", undefined), "a.elf");
});

test("in a virtual workspace paths become URIs", () => {
	assert.equal(resolvePath("//a.elf", virtual), "memfs://mount/a.elf");
	assert.equal(resolvePath("b/a.elf", virtual), "memfs://mount/b/a.elf");
	assert.equal(resolvePath("memfs://other/a.elf", virtual), "memfs://other/a.elf");
});

test("every path of a configuration is resolved, nothing else", () => {
	const resolved = resolvePaths(
		{ program: "k", append: "a/b", disks: ["d"], symbolFiles: ["s", { path: "t", offset: 1 }], initrd: "" },
		disk,
	);
	assert.deepEqual(resolved, {
		program: "/kernels/k/k",
		append: "a/b",
		disks: ["/kernels/k/d"],
		symbolFiles: ["/kernels/k/s", { path: "/kernels/k/t", offset: 1 }],
		initrd: "",
	} as never);
});

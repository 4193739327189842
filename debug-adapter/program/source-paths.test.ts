import assert from "node:assert/strict";
import { test } from "node:test";
import { joinPath, SourcePaths } from "./source-paths.ts";

function host(files: readonly string[]) {
	return {
		readFile: async (path: string) => {
			if (!files.includes(path)) throw new Error(`no ${path}`);
			return new Uint8Array();
		},
		now: () => 0,
		defer: () => {},
	};
}

test("paths are joined without dots", () => {
	assert.equal(joinPath("/home/u/kernel", "./main.c"), "/home/u/kernel/main.c");
	assert.equal(joinPath("/home/u/kernel", "../common/a.c"), "/home/u/common/a.c");
	assert.equal(joinPath("/", "a.c"), "/a.c");
});

test("the longest prefix of the source map wins, at a path boundary", () => {
	const paths = new SourcePaths();
	paths.configure("/img/kernel.elf", [
		["/build", "/src"],
		["/build/arch", "/other/arch"],
	]);
	assert.equal(paths.toLocal("/build/init/main.c"), "/src/init/main.c");
	assert.equal(paths.toLocal("/build/arch/x86/entry.S"), "/other/arch/x86/entry.S");
	assert.equal(paths.toLocal("/builder/main.c"), "/builder/main.c");
	assert.equal(paths.toLocal("drivers/tty.c"), "/img/drivers/tty.c");
});

test("sources that moved with the image are found beside and above it", async () => {
	const paths = new SourcePaths();
	paths.configure("/home/u/kernel/build/kernel.elf", []);
	await paths.locate(
		["/ci/build/kernel/src/main.c", "/ci/build/kernel/src/irq.c"],
		host(["/home/u/kernel/src/main.c"]),
	);
	assert.equal(paths.toLocal("/ci/build/kernel/src/irq.c"), "/home/u/kernel/src/irq.c");
});

test("nothing is guessed when the sources are where the compiler had them, or nowhere", async () => {
	const paths = new SourcePaths();
	paths.configure("/home/u/kernel.elf", []);
	await paths.locate(["/src/main.c"], host(["/src/main.c", "/home/u/main.c"]));
	assert.equal(paths.toLocal("/src/main.c"), "/src/main.c");
	await paths.locate(["/gone/main.c"], host([]));
	assert.equal(paths.toLocal("/gone/main.c"), "/gone/main.c");
});

test("a folder in a virtual workspace keeps its scheme and authority", () => {
	assert.equal(joinPath("vscode-vfs://github/a/b", "../c/main.c"), "vscode-vfs://github/a/c/main.c");
	assert.equal(joinPath("memfs://mount", "main.c"), "memfs://mount/main.c");
	assert.equal(joinPath("memfs://mount", "../../main.c"), "memfs://mount/main.c");
});

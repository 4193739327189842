import assert from "node:assert/strict";
import { test } from "node:test";
import { inlineNames, inlineRegisters } from "./inline-names.ts";

const source = `static int before(int hidden)
{
	return hidden;
}

static void add_up(const struct node *node, unsigned depth, struct totals *totals)
{
	/* node is not named here */
	if (depth > totals->deepest) // nor depth
		totals->deepest = depth;
	print("depth %u\\n", depth, node->as.file.size, count(depth));
#define depth 3
	next(node);
}`.split("\n");

const names = (stop: number) => inlineNames((line) => source[line]!, stop);

test("variables from the beginning of the function to the stop, where they are named first and last", () => {
	const found = names(10).map(({ line, name }) => `${line} ${name}`);
	assert.deepEqual(found, ["5 node", "5 depth", "5 totals", "9 totals", "10 depth", "10 node"]);
});

test("columns are those of the text", () => {
	const { start, end } = names(9).find(({ line, name }) => line === 9 && name === "depth")!;
	assert.equal(source[9]!.slice(start, end), "depth");
});

test("directives and what lies below the stop are left out", () => {
	assert.deepEqual(
		names(12).filter(({ line }) => line > 10),
		[{ line: 12, start: 6, end: 10, name: "node" }],
	);
	assert.deepEqual(
		names(2).map(({ line, name }) => `${line} ${name}`),
		["0 hidden", "2 hidden"],
	);
});

test("registers of an instruction, in both syntaxes", () => {
	const registers = (line: string) => inlineRegisters(line, 0).map(({ name }) => name);
	assert.deepEqual(registers("	movl 8(%ebp,%ecx,4), %eax # into %edx"), ["ebp", "ecx", "eax"]);
	assert.deepEqual(registers("	mov rax, [r10+rax*2] ; rbx"), ["rax", "r10"]);
	assert.deepEqual(registers("	mov %cr0, %eax"), ["cr0", "eax"]);
	assert.deepEqual(registers("	call spread"), []);
});

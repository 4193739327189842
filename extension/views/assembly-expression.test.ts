import assert from "node:assert/strict";
import { test } from "node:test";
import { assemblyExpression } from "./assembly-expression.ts";

const at = (line: string, word: string) => assemblyExpression(line, line.indexOf(word) + 1)?.expression;

test("registers and symbols are evaluated without their signs", () => {
	const line = "next:	movl	$counter, 8(%ebx,%esi)	# takes %eax";
	assert.equal(at(line, "$counter"), "counter");
	assert.equal(at(line, "%ebx"), "ebx");
	assert.equal(at(line, "%esi"), "esi");
	assert.equal(at(line, "next"), "next");
	assert.equal(at("	call	is_prime", "is_prime"), "is_prime");
});

test("mnemonics, directives, numbers, local labels and comments are not", () => {
	assert.equal(at("	movl	%eax, %ebx", "movl"), undefined);
	assert.equal(at("done:	ret", "ret"), undefined);
	assert.equal(at("	.long	0x1badb002", "long"), undefined);
	assert.equal(at("	.long	0x1badb002", "x1bad"), undefined);
	assert.equal(at("	jmp	1f", "f"), undefined);
	assert.equal(at("	nop	# the counter", "counter"), undefined);
	assert.equal(assemblyExpression("", 0), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EvaluationError } from "../errors.ts";
import { sampleMachine, type TestMachine } from "../fixtures/machine.test.ts";
import { typeName } from "../types/c-type.ts";
import { formatValue } from "../values/format.ts";
import { evaluate, isTrueValue } from "./evaluate.ts";

function show(text: string, machine: TestMachine = sampleMachine()): string {
	const { value, format } = evaluate(text, machine);
	return formatValue(value, machine, format).text;
}

/** Expression, value, type; as gdb prints them where gdb knows the form. */
const cases: [string, string, string?][] = [
	["1 + 2 * 3", "7", "int"],
	["(1 + 2) * 3", "9", "int"],
	["7 / -2", "-3", "int"],
	["-7 % 3", "-1", "int"],
	["1 ? 2 : 3 ? 4 : 5", "2", "int"],
	["0 || 2 && 0", "0", "int"],
	["!5 == 0", "1", "int"],
	["~0", "-1", "int"],
	["~0u", "4294967295", "unsigned int"],
	["0xffffffff", "4294967295", "unsigned int"],
	["0x7fffffff + 1", "-2147483648", "int"],
	["4294967295", "4294967295", "long long"],
	["-1 < 1u", "0", "int"],
	["1 << 31", "-2147483648", "int"],
	["-8 >> 1", "-4", "int"],
	["0x80000000 >> 4", "134217728", "unsigned int"],
	["10 - 4 - 3", "3", "int"],
	["0xe+1", "15", "int"],
	["017", "15", "int"],
	["0b101", "5", "int"],
	["1.5 + 1", "2.5", "double"],
	["1e3", "1000", "double"],
	["1.5f * 2", "3", "float"],
	["'a'", "97 'a'", "char"],
	["'\\n'", "10 '\\n'", "char"],
	["'\\xff'", "-1 '\\xff'", "char"],
	['"ab" "c"', '"abc"', "char [4]"],
	["sizeof(int)", "4", "unsigned int"],
	["sizeof(struct task)", "48"],
	["sizeof task.where", "8"],
	["sizeof(unsigned long long *[3])", "12"],
	["(unsigned char)300", "44 ','", "unsigned char"],
	["(signed char)-1", "-1 '\\xff'", "signed char"],
	["(u8)0x141 + 1", "66", "int"],
	["(unsigned short)-1", "65535", "unsigned short"],
	["(float)1 / 3", "0.33333334", "float"],
	["(int)-1.9", "-1", "int"],
	["(_Bool)256", "true", "_Bool"],
	["eax", "0xdeadbeef", "unsigned int"],
	["$eax", "0xdeadbeef"],
	["EAX & 0xff", "239", "unsigned int"],
	["$eax == 0xdeadbeef", "1"],
	["cr3 == 0x5000 && cpl == 3", "1"],
	["(cr3) >> 12", "5"],
	["task.where.x", "40", "int"],
	["p->where.y", "-2", "int"],
	["(*p).where.y", "-2"],
	["p.where.x", "40"],
	["task.flag_a", "1", "unsigned int"],
	["task.flag_b + task.signed_bits", "-4", "int"],
	["task.word", "67305985"],
	["task.bytes[2]", "3 '\\x03'", "unsigned char"],
	["task.color", "GREEN (5)", "enum color"],
	["task.color == GREEN", "1"],
	["task.access", "READ | EXECUTE (5)"],
	["task.ratio", "1.5", "float"],
	["task.text", '"abc\\n"', "char [8]"],
	["task.name", '0x2000 "hello"', "char *"],
	["*task.name", "104 'h'", "char"],
	["task.name[1]", "101 'e'"],
	["task.ready", "true"],
	["&task", "0x1000", "struct task *"],
	["&task.where", "0x1008", "struct point *"],
	["&task.where == task.next", "1"],
	["*task.next", "{x = 40, y = -2}", "struct point"],
	["numbers[2]", "3", "int"],
	["*(numbers + 3)", "-1", "int"],
	["2[&numbers[1]]", "-1"],
	["&numbers[3] - numbers", "3", "int"],
	["numbers", "{1, 2, 3, -1}", "int [4]"],
	["&numbers", "0x3000", "int (*)[4]"],
	["*&numbers[1]", "2"],
	["main", "{int ()} 0x8000 <main>"],
	["&main", "0x8000 <main>", "int (*)()"],
	["(void *)0x8004", "0x8004 <main+0x4>", "void *"],
	["asm_word", "4294967295", "unsigned int"],
	["(struct point *)0x3000", "0x3000", "struct point *"],
	["((struct point *)0x3000)->y", "2", "int"],
	["*(struct point *)0x3000", "{x = 1, y = 2}"],
	["(int (*)(struct task *, unsigned))0", "0x0", "int (*)(struct task *, unsigned int)"],
	["(const char *const)task.name", '0x2000 "hello"', "const char *const"],
	["*0x3000", "1", "unsigned long"],
	["*(int*)gpa:0x1000", "305419896", "int"],
	["*gpa:0x1000", "305419896", "unsigned long"],
	["((u8 *)gpa:0x1000)[1]", "86 'V'", "u8"],
	["*(u8 *)(gpa:0x1000 + 2)", "52 '4'"],
	["gpa:0x1000 + 4", "gpa:0x1004", "gpa address"],
	["gpa:$cr3 * 2", "gpa:0xa000"],
	["hpa:0x1000", "hpa:0x1000", "hpa address"],
	["lin:0x1000", "0x1000", "lin address"],
	["iova:4096", "iova:0x1000", "iova address"],
	["*(unsigned char*)hpa:0x1003", "221 '\\xdd'"],
	["*(int *)gpa:0x100000000", "42", "int"],
	["(struct point *)gpa:0x1000", "gpa:0x1000", "struct point *"],
	["&((struct point *)gpa:0x1000)->y", "gpa:0x1004", "int *"],
	["gpa:0x1000 == 0x1000", "1"],
	["cpl ? gpa:0x10 : gpa:0x20", "gpa:0x10"],
	["cpl ? p:0", "0x1000"],
	["255,x", "0xff"],
	["-1,x", "0xffffffff"],
	["5,b", "0b101"],
	["64,o", "0100"],
	["65,c", "65 'A'"],
	["task.color,d", "5"],
	["$eax,d", "3735928559"],
	["numbers,2", "{1, 2}", "int [2]"],
	["&numbers[1],3", "{2, 3, -1}"],
	["numbers,x", "{0x1, 0x2, 0x3, 0xffffffff}"],
	["task.bytes,s", '"\\x01\\x02\\x03\\x04"'],
	["(u8*)0x2000,5x", "{0x68, 0x65, 0x6c, 0x6c, 0x6f}"],
	["(u8*)0x2000,s", '"hello"'],
	["gone", "<optimized out>", "int"],
	["lost", "<memory at 0x9000 cannot be read>"],
];

for (const [text, expected, type] of cases) {
	test(`evaluates ${text}`, () => {
		const machine = sampleMachine();
		machine.sideEffects = false;
		const { value, format } = evaluate(text, machine);
		const shown = formatValue(value, machine, format);
		assert.equal(shown.text, expected);
		if (type) assert.equal(shown.typeName, type);
	});
}

const errors: [string, string][] = [
	["", "The expression is empty (at column 1)"],
	["1 +", "The expression ends where a value is expected (at column 4)"],
	["(1", '")" is expected here instead of the end (at column 3)'],
	["1 2", "the number 2 is not expected here (at column 3)"],
	["nothing + 1", 'There is no variable, register or symbol "nothing" here (at column 1)'],
	["$zax", 'There is no register "$zax" (at column 1)'],
	["foo:0x10", '"foo:" is not an address space; the address spaces are lin:, gpa:, hpa:, iova: (at column 1)'],
	["1 + foo:0x10", '"foo:" is not an address space; the address spaces are lin:, gpa:, hpa:, iova: (at column 5)'],
	["task.nose", '"struct task" has no member "nose" (at column 6)'],
	["numbers.x", 'A value of type "int [4]" has no members (at column 9)'],
	["(struct nose *)1", 'There is no type "struct nose" (at column 9)'],
	["(long char)1", '"long char" is not a type (at column 2)'],
	["1 / 0", "Division by zero (at column 3)"],
	["1 << 32", "A value of 32 bits cannot be shifted by 32 (at column 3)"],
	["main(1)", "Functions of the guest cannot be called from an expression (at column 5)"],
	["gone + 1", "Optimized out (at column 1)"],
	["*lost", "Memory at 0x9000 cannot be read (at column 1)"],
	["&task.flag_a", "A bit-field has no address (at column 1)"],
	["&eax", "A value in a register has no address (at column 1)"],
	["&1", "This value is not in memory, so it has no address (at column 1)"],
	["task + 1", 'A value of type "struct task" is not a number (at column 1)'],
	["p * 2", '"*" cannot be applied to a pointer; cast it to an integer, as in (unsigned long)p (at column 3)'],
	["1.5 & 1", '"&" needs integers on both sides (at column 5)'],
	["1,q", '",q" is not a format; the formats are ,x ,d ,o ,b ,c ,s and ,N for N elements (at column 2)'],
	["0x1g", '"0x1g" is not a number (at column 1)'],
	["099", '"099" is not an octal number (at column 1)'],
	["0x11112222333344445", '"0x11112222333344445" does not fit into 64 bits (at column 1)'],
	["'ab'", "A character constant holds exactly one character (at column 1)"],
	['"open', 'The closing " is missing (at column 1)'],
	["1 # 2", '"#" has no meaning here (at column 3)'],
	["eax++", '"++" is not supported; write "x += 1" (at column 4)'],
	["task.where.x = 1", "This expression would change the guest, which is refused here (at column 14)"],
	[`${"(".repeat(5000)}1`, "The expression is nested too deeply (at column 101)"],
	[`(${"int (*)(".repeat(1000)}`, "The type is nested too deeply (at column 258)"],
	[`${"-".repeat(9000)}1`, '"--" is not supported; write "x -= 1" (at column 1)'],
];

for (const [text, expected] of errors) {
	test(`refuses ${text.slice(0, 40)}`, () => {
		const machine = sampleMachine();
		machine.sideEffects = false;
		assert.throws(
			() => evaluate(text, machine),
			(error) => {
				assert.ok(error instanceof EvaluationError);
				assert.equal(error.message, expected);
				return true;
			},
		);
	});
}

test("assignments write memory, bit-fields and registers, and nothing else", () => {
	const machine = sampleMachine();
	assert.equal(show("task.where.x = 7", machine), "7");
	assert.equal(show("task.where.x += 3, x", machine), "0xa");
	assert.equal(show("task.where", machine), "{x = 10, y = -2}");
	show("task.signed_bits = -1", machine);
	show("task.flag_b = 2", machine);
	assert.equal(show("task.flag_a * 100 + task.flag_b * 10 + task.signed_bits", machine), "119");
	show("$eax = 0x12345", machine);
	assert.equal(show("eax", machine), "0x12345");
	show("eax <<= 4", machine);
	assert.equal(show("eax", machine), "0x123450");
	show("*(u8*)gpa:0x1000 = 0xee", machine);
	assert.equal(show("*(unsigned int*)gpa:0x1000,x", machine), "0x123456ee");
	show("task.ready = 0", machine);
	assert.equal(show("task.ready", machine), "false");
	show("task.ratio = 0.25", machine);
	assert.equal(show("task.ratio", machine), "0.25");
	show("task.next = &numbers[1]", machine);
	assert.equal(show("task.next->x", machine), "2");
	assert.throws(() => show("1 = 2", machine), /a value without a place/);
	assert.throws(() => show("task = 1", machine), /cannot be assigned as a whole/);
	assert.throws(() => show("*(int*)0x9000 = 2", machine), /Memory at 0x9000 cannot be written/);
});

test("the truth of a condition", () => {
	const machine = sampleMachine();
	assert.equal(isTrueValue(evaluate("cpl == 3", machine).value, machine), true);
	assert.equal(isTrueValue(evaluate("0.0", machine).value, machine), false);
	assert.equal(isTrueValue(evaluate("task.name", machine).value, machine), true);
	assert.throws(() => isTrueValue(evaluate("task", machine).value, machine), EvaluationError);
});

test("integer arithmetic agrees with 32-bit wrapping", () => {
	const operators = ["+", "-", "*", "&", "|", "^", "<", ">", "==", "!=", "<=", ">="] as const;
	fc.assert(
		fc.property(fc.integer(), fc.integer(), fc.constantFrom(...operators), (a, b, operator) => {
			const expected: Record<(typeof operators)[number], number | boolean> = {
				"+": (a + b) | 0,
				"-": (a - b) | 0,
				"*": Math.imul(a, b),
				"&": a & b,
				"|": a | b,
				"^": a ^ b,
				"<": a < b,
				">": a > b,
				"==": a === b,
				"!=": a !== b,
				"<=": a <= b,
				">=": a >= b,
			};
			assert.equal(show(`(int)(${a}) ${operator} (int)(${b})`), String(Number(expected[operator])));
		}),
	);
});

test("any text evaluates or is refused by a typed error", () => {
	const pieces = [
		"1",
		"0x",
		"eax",
		"$",
		"task",
		"p",
		".",
		"->",
		"*",
		"&",
		"(",
		")",
		"[",
		"]",
		"gpa:",
		"foo:",
		"?",
		":",
		"+",
		"-",
		"<<",
		"=",
		"int",
		"struct ",
		"point",
		"u8",
		"sizeof",
		"'",
		'"',
		"\\",
		",",
		"x",
		" ",
		"1.5",
		"numbers",
		"main",
		"...",
	];
	const text = fc.oneof(
		fc.string(),
		fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join("")),
	);
	fc.assert(
		fc.property(text, (expression) => {
			const machine = sampleMachine();
			try {
				const { value, format } = evaluate(expression, machine);
				formatValue(value, machine, format);
				typeName(value.type);
			} catch (error) {
				assert.ok(error instanceof EvaluationError, `${expression}: ${error}`);
				assert.ok(error.position >= 0 && error.position <= expression.length);
			}
		}),
		{ numRuns: 3000 },
	);
});

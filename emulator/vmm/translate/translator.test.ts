import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoder, Formatter, FormatterSyntax } from "iced-x86";
import { GuestFault } from "../guest/guest-fault.ts";
import { CONTINUATION_BYTES } from "../layout.ts";
import type { Fragment } from "./fragment.ts";
import { type Translation, type TranslationSource, translateUnit } from "./translator.ts";

const GUEST = 0xc0100000;
const ORIGIN = 0xffd00000;
const STUBS = 0xfff80000;

function translate(
	hex: string,
	options: { simulated?: number; shortFlagForms?: boolean; at?: number } = {},
): Translation {
	const code = Uint8Array.from(hex.split(" ").map((byte) => Number.parseInt(byte, 16)));
	const guest = options.at ?? GUEST;
	let stub = STUBS;
	const source: TranslationSource = {
		fetch(linear) {
			const start = linear - guest;
			if (start >= code.length) throw new GuestFault(14, 0, linear);
			const end = Math.min(code.length, ((linear & ~0xfff) + 4096 - guest) >>> 0 || code.length);
			return { bytes: code.subarray(start, end), physical: linear - 0xc0000000 };
		},
		isSimulated: (linear) => linear === options.simulated,
		shortFlagForms: options.shortFlagForms ?? true,
		allocateContinuation: () => {
			const slot = stub;
			stub += CONTINUATION_BYTES;
			return slot;
		},
	};
	return translateUnit(source, guest, ORIGIN, 1, 0);
}

/** The fragment as text: tag and guest address of each guest instruction, then its translation. */
function listing({ fragment, code }: Translation): string[] {
	const formatter = new Formatter(FormatterSyntax.Gas);
	const lines: string[] = [];
	for (const line of fragment.lines) {
		lines.push(`${line.tag} ${(line.guest - GUEST).toString(16)}`);
		lines.push(...disassemble(formatter, code, line.offset, line.offset + line.length));
	}
	const last = fragment.lines.at(-1);
	const end = last ? last.offset + last.length : 0;
	lines.push(...disassemble(formatter, code, end, code.length));
	formatter.free();
	return lines;
}

function disassemble(formatter: Formatter, code: Uint8Array, from: number, to: number): string[] {
	const decoder = new Decoder(32, code.subarray(from, to), 0);
	decoder.ip = BigInt(ORIGIN + from);
	const lines: string[] = [];
	while (decoder.canDecode) {
		const instruction = decoder.decode();
		lines.push(`  ${formatter.format(instruction)}`);
		instruction.free();
	}
	decoder.free();
	return lines;
}

test("isPrime's first unit: IDENT but for the branch, which gets two continuations", () => {
	const made = translate("89 f9 be 02 00 00 00 39 ce 7d 0e 89 c8");
	assert.deepEqual(listing(made), [
		"IDENT 0",
		"  mov %edi,%ecx",
		"IDENT 2",
		"  mov $2,%esi",
		"IDENT 7",
		"  cmp %ecx,%esi",
		"JCC 9",
		"  jge 0xFFF80000",
		"  jmp 0xFFF80004",
	]);
	assert.deepEqual(
		made.fragment.exits.map(({ kind, target, state }) => [kind, target - GUEST, state]),
		[
			["taken", 0x19, "continuation"],
			["fallthrough", 11, "continuation"],
		],
	);
	assert.equal(made.fragment.guestEnd, GUEST + 11);
});

test("a call pushes the guest's return address", () => {
	assert.deepEqual(listing(translate("e8 fb 00 00 00")), ["CALL 0", "  push $0xC0100005", "  jmp 0xFFF80000"]);
});

test("a return is looked up in the table, without a change of flags", () => {
	assert.deepEqual(listing(translate("c2 08 00")), [
		"RET 0",
		"  mov %ecx,%gs:0",
		"  pop %ecx",
		"  lea 8(%esp),%esp",
		"  mov %ecx,%gs:8",
		"  movzwl %cx,%ecx",
		"  jmpl *%gs:0x40000(,%ecx,4)",
	]);
});

test("an indirect call loads its target before it pushes", () => {
	assert.deepEqual(listing(translate("64 ff 54 8c 10")), [
		"INDIRECT 0",
		"  mov %ecx,%gs:0",
		"  mov %fs:0x10(%esp,%ecx,4),%ecx",
		"  mov %ecx,%gs:8",
		"  push $0xC0100005",
		"  movzwl %cx,%ecx",
		"  jmpl *%gs:0x40000(,%ecx,4)",
	]);
});

test("CLI and STI work on the vCPU block", () => {
	assert.deepEqual(listing(translate("fa fb 90 c3")).slice(0, 9), [
		"PRIV 0",
		"  movl $0xFFFFFE00,%gs:0xC",
		"PRIV 1",
		"  mov %ecx,%gs:0",
		"  mov %gs:0x10,%ecx",
		"  jecxz 0xFFD0001D",
		"  int $0xF0",
		"  mov %gs:0,%ecx",
		"  movl $0,%gs:0xC",
	]);
});

test("PUSHF and POPF in the translation cache; callouts while IOPL is not 0", () => {
	assert.deepEqual(listing(translate("9c 9d c3")).slice(0, 20), [
		"PRIV 0",
		"  pushf",
		"  mov %ecx,%gs:0",
		"  mov %eax,%gs:4",
		"  mov (%esp),%ecx",
		"  mov %gs:0xC,%eax",
		"  lea (%ecx,%eax),%ecx",
		"  mov %ecx,(%esp)",
		"  mov %gs:0,%ecx",
		"  mov %gs:4,%eax",
		"PRIV 1",
		"  mov %ecx,%gs:0",
		"  movzbl 1(%esp),%ecx",
		"  mov %gs:0x1000(,%ecx,4),%ecx",
		"  jecxz 0xFFD0004C",
		"  mov %gs:0,%ecx",
		"  int $0xF0",
		"  movzbl 1(%esp),%ecx",
		"  mov %gs:0x1400(,%ecx,4),%ecx",
		"  popf",
	]);
	assert.deepEqual(listing(translate("9c 9d c3", { shortFlagForms: false })).slice(0, 4), [
		"CALLOUT 0",
		"  int $0xF0",
		"CALLOUT 1",
		"  int $0xF0",
	]);
});

test("selectors that the host holds otherwise come from the vCPU block", () => {
	assert.deepEqual(listing(translate("8c c8 16 8c d9 f4")), [
		"PRIV 0",
		"  mov %gs:0x14,%eax",
		"PRIV 2",
		"  mov %ecx,%gs:0",
		"  mov %gs:0x18,%ecx",
		"  mov %cx,-4(%esp)",
		"  lea -4(%esp),%esp",
		"  mov %gs:0,%ecx",
		"IDENT 3",
		"  mov %ds,%ecx",
		"CALLOUT 5",
		"  int $0xF0",
	]);
});

test("LOOP keeps its short form and gets two exits", () => {
	assert.deepEqual(listing(translate("e2 fe")), [
		"PCREL 0",
		"  loop 0xFFD00007",
		"  jmp 0xFFF80000",
		"  jmp 0xFFF80004",
	]);
});

test("overrides of %gs and %cs are simulated, but not where nothing is accessed", () => {
	assert.deepEqual(
		translate("65 a1 14 00 00 00 2e 8b 00 66 2e 0f 1f 84 00 00 00 00 00 65 8d 00 c3").fragment.lines.map(
			({ tag }) => tag,
		),
		["SIMULATE", "SIMULATE", "IDENT", "IDENT", "RET"],
	);
});

test("an instruction that trapped often is simulated", () => {
	const made = translate("89 02 c3", { simulated: GUEST });
	assert.deepEqual(listing(made).slice(0, 2), ["SIMULATE 0", "  int $0xF0"]);
	assert.equal(made.sites[0]!.site.kind, "callout");
});

test("a unit ends after twelve instructions", () => {
	const made = translate(Array(20).fill("40").join(" "));
	assert.equal(made.fragment.lines.length, 12);
	assert.deepEqual(
		made.fragment.exits.map(({ kind, target }) => [kind, target]),
		[["fallthrough", GUEST + 12]],
	);
});

test("a unit does not go into the next page, but for one instruction that crosses", () => {
	const at = GUEST + 0xffe;
	const before = translate("40 b8 01 02 03 04 c3", { at });
	assert.deepEqual(
		before.fragment.exits.map(({ target }) => target),
		[at + 1],
	);
	const crossing = translate("b8 01 02 03 04 c3", { at: at + 1 });
	assert.equal(crossing.fragment.guestEnd, at + 6);
	assert.deepEqual(crossing.fragment.pages, [
		[0x101, 0, 4],
		[0x100, 0xfff, 0x1000],
	]);
	assert.throws(() => translate("b8 01", { at: GUEST + 0xffe }), GuestFault);
});

test("undefined opcodes raise #UD at their own address", () => {
	const made = translate("40 0f 04 90");
	assert.deepEqual(listing(made), ["IDENT 0", "  inc %eax", "IDENT 1", "  ud2", "  int3", "  int3"]);
});

test("every host address of a fragment knows its guest instruction and what to undo", () => {
	const { fragment } = translate("40 c3");
	const at = (offset: number) => {
		const { guest, undo, stackAdjust, boundary, glue } = fragment.recoveryAt(ORIGIN + offset);
		return { guest: guest === 0 ? 0 : guest - GUEST, undo, stackAdjust, boundary, glue };
	};
	assert.deepEqual(at(0), { guest: 0, undo: 0, stackAdjust: 0, boundary: true, glue: false });
	assert.deepEqual(at(1), { guest: 1, undo: 0, stackAdjust: 0, boundary: true, glue: false });
	// Behind the pop of the return address.
	assert.deepEqual(at(9), { guest: 1, undo: 1, stackAdjust: -4, boundary: false, glue: false });
	// Behind the store of the target, only %ecx is missing.
	assert.deepEqual(at(16), { guest: 0, undo: 5, stackAdjust: 0, boundary: false, glue: true });
});

test("fragments are long enough for a forwarding jump", () => {
	const shortest: Fragment = translate("f4").fragment;
	assert.equal(shortest.translatedEnd - shortest.translatedStart, 5);
});

// The samples under "trap": what they print, and where sensitive instructions run wrongly, as a golden text.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { assertGolden } from "../dap/golden.ts";
import { root } from "../tools/command-line.ts";
import { parseSymbols } from "../tools/elf-symbols.ts";

const samples = join(root, "extension/samples");

/** "function+0x12" */
function symbolizer(image: Uint8Array): (address: bigint) => string {
	const functions = parseSymbols(image)
		.filter(({ type }) => type === 2)
		.sort((a, b) => Number(a.value - b.value));
	return (address) => {
		const found = functions.filter(({ value }) => value <= address).at(-1);
		return found ? `${found.name}+0x${(address - found.value).toString(16)}` : `0x${address.toString(16)}`;
	};
}

function runUnderTrap(name: string, append: string): { output: string; stop: string; lines: string[] } {
	const bytes = new Uint8Array(readFileSync(join(samples, name, `${name}.elf`)));
	const machine = createMachine({
		image: { name: `${name}.elf`, bytes },
		vmm: "trap",
		memory: 64 << 20,
		...(append ? { append } : {}),
	});
	let output = "";
	machine.onSerialOutput((text) => {
		output += Buffer.from(text).toString("latin1");
	});
	const stop = machine.run(100_000_000);
	const symbolize = symbolizer(bytes);
	const lines = machine
		.events!.read({ kinds: ["misbehaviour"], limit: 1000 })
		.reverse()
		.map(({ instruction, reason, detail }) => {
			const [got, hardware] = detail.map(({ value }) => value);
			return `  ${symbolize(instruction!)} ${reason}: got ${got}; hardware ${hardware}`;
		});
	return { output, stop: stop?.reason ?? "budget", lines };
}

test("the samples under trap print what they print elsewhere; where they misbehave is known", () => {
	const text: string[] = [];
	for (const [name, append] of [
		["hello", ""],
		["isprime", ""],
		["kernel32", ""],
		["kernel32", "sensitive"],
		["nanobench", ""],
	] as const) {
		const { output, stop, lines } = runUnderTrap(name, append);
		assert.equal(stop, "debug-exit", name);
		const expected = readFileSync(join(samples, name, `expected${append ? `-${append}` : ""}.txt`), "latin1");
		if (append === "") assert.equal(output, expected);
		text.push(`${name}${append ? ` "${append}"` : ""}: ${lines.length === 0 ? "nothing" : ""}`.trimEnd(), ...lines);
		if (append === "") continue;
		// The lines that differ from the bare machine's are what the guest says of itself.
		const bare = new Set(expected.split("\n"));
		const said = output.split("\n").filter((line) => !bare.has(line));
		assert.ok(said.length > 0 && said.every((line) => line.endsWith(": DIFFERENT")), said.join("\n"));
		text.push("  the guest says:", ...said.map((line) => `    ${line}`));
	}
	assertGolden("misbehaviours", import.meta.url, text);
});

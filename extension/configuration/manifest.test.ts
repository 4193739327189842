// The manifest against what it speaks of: an editor shows these texts while a launch.json is written.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { OPTIONAL_DEVICES } from "../../emulator/machine/optional-devices.ts";
import { checkConfiguration } from "./check.ts";

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const manifestText = read("package.json");
const manifest = JSON.parse(manifestText);
const texts: Record<string, string> = JSON.parse(read("package.nls.json"));
const { properties } = manifest.contributes.debuggers[0].configurationAttributes.launch;

test("every text that the manifest names is there, and none that it does not", () => {
	const named = new Set([...manifestText.matchAll(/"%([\w.]+)%"/g)].map((match) => match[1]!));
	assert.deepEqual([...named].filter((name) => !(name in texts)).sort(), []);
	assert.deepEqual(
		Object.keys(texts)
			.filter((name) => !named.has(name))
			.sort(),
		[],
	);
});

test("the words that launch.json offers are those that the machine takes", () => {
	assert.deepEqual(properties.devices.items.enum, [...OPTIONAL_DEVICES]);
	for (const name of ["vmm", "mmu", "io", "engine", "serial"]) {
		const words: string[] = properties[name].enum;
		assert.equal(properties[name].enumDescriptions.length, words.length, name);
		const said = checkConfiguration({ program: "/k", [name]: "nonsense" });
		assert.ok(said?.endsWith(`must be one of ${words.join(", ")}.`), said);
	}
});

test("nothing is offered with the remark that it is absent", () => {
	assert.deepEqual(
		Object.keys(texts).filter((name) => /not in this version/i.test(texts[name]!)),
		[],
	);
});

test("each debugger snippet is a configuration that passes the check", () => {
	for (const { body } of manifest.contributes.debuggers[0].configurationSnippets) {
		const { vmm, ...rest } = body;
		const choices: string[] = /\|(.*)\|/.exec(vmm)?.[1]?.split(",") ?? [vmm];
		for (const choice of choices) assert.equal(checkConfiguration({ ...rest, vmm: choice }), undefined, body.name);
	}
});

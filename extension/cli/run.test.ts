import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tinyGuest } from "../../test/tools/tiny-guest.ts";
import { parseRunArguments } from "./arguments.ts";
import { runMachine } from "./run.ts";

/** OUT of an immediate byte to COM1's transmitter. */
const send = (text: string) => [...Buffer.from(text)].flatMap((byte) => [0xb0, byte, 0x66, 0xba, 0xf8, 0x03, 0xee]);

test("a guest that waits for input after the text of --until-serial ends the run", { timeout: 50_000 }, async () => {
	const folder = mkdtempSync(join(tmpdir(), "hyperscope-run-"));
	try {
		const image = join(folder, "image");
		const serial = join(folder, "serial");
		const stats = join(folder, "stats");
		// Both 8259As masked, channel 0 of the 8254 as a rate generator; STI; HLT; JMP back: the timer goes on, and nothing comes of it.
		const mask = [0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1];
		const rate = [0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x00, 0xe6, 0x40, 0xe6, 0x40];
		writeFileSync(image, tinyGuest([...mask, ...rate, ...send("ready"), 0xfb, 0xf4, 0xeb, 0xfd]).bytes);
		const words = [image, "--serial", serial, "--until-serial", "ready", "--timeout", "100", "--stats", stats];
		assert.equal(await runMachine(parseRunArguments(words)), 0);
		assert.equal(readFileSync(serial, "latin1"), "ready");
		const { stop } = JSON.parse(readFileSync(stats, "utf8"));
		assert.equal(stop, "serial");
	} finally {
		rmSync(folder, { recursive: true });
	}
});

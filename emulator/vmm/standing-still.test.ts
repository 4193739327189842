// A guest that halts while a timer ticks behind masked lines waits for ever, but run() gives its caller a turn.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tinyGuest } from "../../test/tools/tiny-guest.ts";
import { RecordedMachine } from "../machine/recorded-machine.ts";
import { createMachine } from "./create-machine.ts";

/** out 0x43, 0x34 (PIT channel 0, rate generator); out 0x40, 0x10 twice; out 0x21, 0xff (all lines masked); sti; hlt; jmp -3 */
const WAITS = [
	...[0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x10, 0xe6, 0x40, 0xe6, 0x40],
	...[0xb0, 0xff, 0xe6, 0x21, 0xfb, 0xf4, 0xeb, 0xfd],
];

for (const vmm of ["none", "trap", "bt", "hvm"] as const)
	test(`a guest that waits for ever under ${vmm} gives the caller its turn`, () => {
		const machine = new RecordedMachine(createMachine({ image: tinyGuest(WAITS), vmm, memory: 4 << 20 }));
		for (let turn = 0; turn < 2; turn++) {
			assert.equal(machine.run(4_000_000), undefined);
			assert.ok(machine.instructionCount() < 100_000);
		}
		// It can be looked at and stepped, as any machine.
		assert.ok(machine.processors()[0]!.registers().length > 0);
	});

import assert from "node:assert/strict";
import { test } from "node:test";
import { dword, TinyGuest, tinyGuest } from "../../../test/tools/tiny-guest.ts";
import { createMachine } from "../create-machine.ts";

const { gdt, results, selector, fault } = TinyGuest;

for (const vmm of ["none", "bt", "trap"] as const)
	test(`a segment register keeps what it has loaded when its descriptor changes: ${vmm}`, () => {
		const code = [
			// The access byte of DS's descriptor: now code. Then a word in the page of the table, whose writes the VMM traces.
			[0xc6, 0x05, ...dword(gdt + selector.data + 5), 0x9b],
			[0xc7, 0x05, ...dword(gdt + 0x100), ...dword(0x12345678)],
			[0xa1, ...dword(gdt + 0x100), 0xa3, ...dword(results)],
		].flat();
		const machine = createMachine({ image: tinyGuest(code), vmm, memory: 4 << 20 });
		const stop = machine.run(1_000_000);
		assert.equal(stop?.reason, "debug-exit", JSON.stringify(stop));
		const word = (address: number) => {
			const bytes = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(address) }, 4)!;
			return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
		};
		assert.equal(word(fault), 0, "no exception");
		assert.equal(word(results), 0x12345678);
	});

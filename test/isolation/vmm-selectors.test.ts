import assert from "node:assert/strict";
import { test } from "node:test";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { HostSelector } from "../../emulator/vmm/layout.ts";
import { dword, TinyGuest, tinyGuest } from "../tools/tiny-guest.ts";

const OWN = ["vmmData", "translatedCode", "code", "stack", "taskState", "localDescriptorTable"] as const;

/** How the guest ends that runs `code`: vector and error code, as its own handler finds them. */
function fault(code: readonly number[], vmm: "trap" | "bt"): [vector: number, errorCode: number] {
	const machine = createMachine({ image: tinyGuest(code), vmm, memory: 4 << 20 });
	assert.equal(machine.run(100_000)?.reason, "debug-exit");
	const bytes = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(TinyGuest.fault) }, 8)!;
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	return [view.getInt32(0, true) - 1, view.getInt32(4, true)];
}

for (const vmm of ["trap", "bt"] as const)
	test(`a kernel under ${vmm} finds the VMM's descriptors neither as data nor as code`, () => {
		for (const name of OWN) {
			const selector = (HostSelector[name] & ~3) | 1;
			const error = selector & 0xfffc;
			// mov to DS; far jump to where its own code goes on
			assert.deepEqual(fault([0x66, 0xb8, ...dword(selector).slice(0, 2), 0x8e, 0xd8], vmm), [13, error], name);
			const jump = [0xea, ...dword(TinyGuest.code + 7), ...dword(selector).slice(0, 2)];
			assert.deepEqual(fault(jump, vmm), [13, error], name);
		}
	});

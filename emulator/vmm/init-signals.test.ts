// INIT that a guest sends its own vCPU.
import assert from "node:assert/strict";
import { test } from "node:test";
import { initRom } from "../../test/tools/init-rom.ts";
import { tinyGuest } from "../../test/tools/tiny-guest.ts";
import { createMachine } from "./create-machine.ts";

test("under hvm the vCPU begins anew at the reset vector, with its x87 state and MSRs", () => {
	const machine = createMachine({
		vmm: "hvm",
		memory: 4 << 20,
		firmware: { name: "init.bin", bytes: initRom(0) },
	});
	assert.deepEqual(machine.run(100_000), { reason: "debug-exit", value: 7 });
	const [vcpu] = machine.processors();
	assert.equal(vcpu!.register("cr0"), 0x6000_0010n);
	assert.equal(vcpu!.register("ftw"), 0x80n);
	assert.equal(vcpu!.register("ia32_sysenter_eip"), 0x1234n);
});

for (const vmm of ["trap", "bt"] as const)
	test(`under ${vmm} it ends the run with what can go on from there`, () => {
		// mov dword [0xfee00310], 0; mov dword [0xfee00300], 0x4500; jmp $
		const code = [
			0xc7, 0x05, 0x10, 0x03, 0xe0, 0xfe, 0, 0, 0, 0, 0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x00, 0x45, 0, 0, 0xeb, 0xfe,
		];
		const machine = createMachine({ vmm, memory: 4 << 20, image: tinyGuest(code) });
		const stop = machine.run(100_000);
		assert.ok(stop?.reason === "halted", JSON.stringify(stop));
		assert.match(stop.description, /has sent its processor INIT, .* "none" and under "hvm" with EPT/);
	});

// The processor's memory of the entry checks, tried on the VMCS of a running VMM.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { guestMachine } from "../../../test/tools/hvm-guest.ts";
import { EntryChecks } from "../../cpu/vmx/entry-checks.ts";
import { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { Vmcs, vmcsFields } from "../../cpu/vmx/vmcs-fields.ts";
import { PhysicalMemory } from "../../engine/physical-memory.ts";

const CR4 = 0x7fffff;

test("checks that remember what passed say the same as checks that begin anew, whatever changes between entries", () => {
	const source = guestMachine([0xf4]).monitor.vmcs;
	const change = fc.tuple(
		fc.nat({ max: vmcsFields.length - 1 }),
		fc.oneof(
			fc.constantFrom(0n, 1n, 0xffff_ffffn, 0x2011n, 0xc09bn, 0x93n),
			fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
		),
	);
	const entry = fc.record({ restore: fc.boolean(), changes: fc.array(change, { maxLength: 2 }) });
	let passes = 0;
	fc.assert(
		fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
			const vmcs = new VmcsMemory(new PhysicalMemory(0x2000), 0x1000);
			const restore = () => {
				for (const { offset } of vmcsFields) vmcs.write(offset, source.read(offset));
			};
			restore();
			const remembering = new EntryChecks(CR4, 40);
			for (const { restore: anew, changes } of entries) {
				if (anew) restore();
				for (const [field, value] of changes) vmcs.writeField(vmcsFields[field]!, value);
				const found = remembering.firstBroken(vmcs, true);
				const expected = new EntryChecks(CR4, 40).firstBroken(vmcs, true);
				assert.equal(found?.rule, expected?.rule);
				assert.equal(found?.area, expected?.area);
				if (!found) passes++;
			}
		}),
		{ numRuns: 60 },
	);
	assert.ok(passes > 40, `${passes} entries passed`);
});

test("an entry whose state fails a check names the field and the rule, and the machine stays inspectable", () => {
	const machine = guestMachine([0x90, 0x0f, 0xa2, 0xeb, 0xfb]);
	machine.run(100);
	machine.setEventFilters([{ id: 1, event: "vm-exit" }]);
	assert.equal(machine.run(1000)?.reason, "event");
	machine.setEventFilters([]);
	machine.monitor.vmcs.write(Vmcs.guestRflags, 0n);
	const stop = machine.run(1000);
	assert.deepEqual(stop, {
		reason: "halted",
		description: 'The VM entry failed: the field "Guest RFLAGS" must have reserved bits as they are fixed.',
	});
	assert.equal(machine.processors()[0]!.register("eflags"), 0x2n);
	assert.equal(machine.vmx!.read()!.entryFailure!.rule, "must have reserved bits as they are fixed");
});

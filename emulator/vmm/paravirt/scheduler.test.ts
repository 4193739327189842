import assert from "node:assert/strict";
import { test } from "node:test";
import { HostMachine } from "../../machine/host-machine.ts";
import { DomainBuilder } from "./domain-builder.ts";
import { DomainProcessor } from "./domain-processor.ts";
import { Hypervisor } from "./hypervisor.ts";
import { parsePvImage } from "./pv-image.ts";
import { testKernelFile } from "./test-kernel.ts";

/** inc %eax; jmp back: the same bytes do it in both sizes of code. */
const COUNT = [0xff, 0xc0, 0xeb, 0xfc];
/** The same, but with an undefined instruction in the middle. */
const CRASH = [0xff, 0xc0, 0x0f, 0x0b];
const BUDGET = 200_000_000;

function twoDomains(first: readonly number[], second: readonly number[]) {
	const host = new HostMachine({
		memoryBytes: 24 << 20,
		onSerial: () => {},
		onDebugConsole: () => {},
		onReset: () => {},
	});
	const ended: string[] = [];
	const hypervisor = new Hypervisor(host, {
		event: () => false,
		record: () => {},
		domainEnded: ({ name }) => void ended.push(name),
		halted: () => {},
	});
	const processors = [first, second].map((code, index) => {
		const wide = index === 0;
		const domain = hypervisor.createDomain(index + 1, `domain ${index + 1}`, wide, false, 1024);
		const image = parsePvImage({ name: "count.elf", bytes: testKernelFile({ wide, code }) });
		const builder = new DomainBuilder(hypervisor, domain, image);
		builder.build({});
		builder.finish();
		return new DomainProcessor(index, hypervisor, domain);
	});
	hypervisor.start();
	const run = (instructions: number): void => {
		const end = host.engine.retired + instructions;
		while (host.engine.retired < end) {
			const stop = host.run(end - host.engine.retired);
			if (stop?.kind === "host-entry") hypervisor.enter();
			else assert.equal(stop, undefined);
		}
	};
	return { host, hypervisor, processors, ended, run };
}

test("two domains that compute take turns, each with its own registers, in the same way each time", () => {
	const counts = [1, 2].map(() => {
		const { processors, run, host } = twoDomains(COUNT, COUNT);
		run(BUDGET);
		const [wide, compat] = processors.map((one) => Number(one.register("eax")));
		assert.equal(processors[0]!.codeSize(), 64);
		assert.equal(processors[1]!.codeSize(), 32);
		// Two instructions a count; at most one of the two domains stands between them.
		assert.ok(Math.abs((wide! + compat!) * 2 - host.engine.retired) <= 2, `${wide} + ${compat}`);
		assert.ok(Math.abs(wide! - compat!) <= 10_000_000 / 2 + 2, `${wide} and ${compat}`);
		return [wide, compat];
	});
	assert.deepEqual(counts[0], counts[1]);
});

test("a domain that crashes leaves the processor to the other", () => {
	const { hypervisor, processors, ended, run, host } = twoDomains(CRASH, COUNT);
	run(1_000_000);
	assert.deepEqual(ended, ["domain 1"]);
	assert.match(hypervisor.domains.get(1)!.ending, /^#UD at 0xffffffff80100002/);
	assert.equal(hypervisor.current?.id, 2);
	assert.ok(Number(processors[1]!.register("eax")) * 2 >= host.engine.retired - 4);
});

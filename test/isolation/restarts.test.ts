// A machine that is started again keeps nothing of the machine that it was: a guest that resets itself for ever must not fill the
// server's memory.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { Random } from "../oracle/random.ts";
import type { HostedParts } from "./isolation-probe.ts";
import { GUEST_MEMORY } from "./kernel-layout.ts";
import { randomKernel } from "./random-kernel.ts";
import { techniques } from "./techniques.ts";

const PARAVIRTUAL = new URL("../../extension/samples/xen32/xen32.elf", import.meta.url);

const RESTARTS = 8;
/** The machine that runs, and the one before it, whose memory may be taken over. */
const KEPT = 2;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const kernel = randomKernel(new Random(1));
const cases = [
	...techniques.map(({ name, configuration }) => ({ name, configuration, image: kernel })),
	{
		name: "pv",
		configuration: { vmm: "pv" as const },
		image: { name: "xen32.elf", bytes: new Uint8Array(readFileSync(PARAVIRTUAL)) },
	},
];

for (const { name, configuration, image } of cases)
	test(`a machine under ${name} that is restarted ${RESTARTS} times keeps nothing of its predecessors`, async () => {
		const machine = createMachine({
			...configuration,
			image,
			memory: GUEST_MEMORY,
			devices: ["dma-engine", "e1000"],
			disks: [{ name: "disk", bytes: new Uint8Array(0x10000) }],
			iommu: true,
		});
		const hosts: WeakRef<object>[] = [];
		for (let restart = 0; restart < RESTARTS; restart++) {
			machine.reset();
			machine.run(1000);
			hosts.push(new WeakRef((machine as unknown as HostedParts).host.physical));
			// A WeakRef holds its target until the end of the turn in which it was made.
			await new Promise((resolve) => setImmediate(resolve));
		}
		collectGarbage();
		const alive = new Set(hosts.map((host) => host.deref()).filter((host) => host !== undefined));
		assert.ok(alive.size <= KEPT, `${alive.size} hosts are alive after ${RESTARTS} restarts`);
		assert.ok(alive.has((machine as unknown as HostedParts).host.physical), "the one that runs is among them");
	});

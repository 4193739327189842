// The probe of the random kernels sees what it is there for: each kind of reach beyond the guest's memory, made by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RAM_BASE } from "../../emulator/isa/state.ts";
import type { VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { tinyGuest } from "../tools/tiny-guest.ts";
import { type HostedParts, IsolationProbe, type TechniqueMemory } from "./isolation-probe.ts";
import { techniques } from "./techniques.ts";

/** A guest that touches a page and goes on for ever. */
const SPIN = [0xa1, 0x00, 0x00, 0x20, 0x00, 0xeb, 0xfe];

interface Run {
	readonly machine: VirtualMachine;
	readonly parts: HostedParts;
	readonly memory: TechniqueMemory;
	readonly probe: IsolationProbe;
}

function run(name: string): Run {
	const { configuration, memory } = techniques.find((technique) => technique.name === name)!;
	const machine = createMachine({ ...configuration, image: tinyGuest(SPIN), memory: 4 << 20, devices: ["dma-engine"] });
	const parts = machine as unknown as HostedParts;
	const known = memory!(machine);
	const probe = new IsolationProbe(parts, known);
	machine.run(2000);
	probe.checkAll();
	return { machine, parts, memory: known, probe };
}

for (const { name } of techniques.filter(({ memory }) => memory))
	test(`writes to anything that is not the guest's are seen under ${name}`, () => {
		const { parts, memory, probe } = run(name);
		const { u8, ramBytes } = parts.host.physical;
		const { frames } = parts.monitor;
		const places: readonly (readonly [place: number, what: RegExp])[] = [
			[0x1234, /first MiB/],
			[probe.neighbour * 4096 + 5, /neighbour's frame/],
			[frames.firstUnused * 4096, /nobody owns/],
			[ramBytes - 1, /nobody owns/],
			...memory.constant.map(({ start, length }) => [start + length - 1, /VMM's structure/] as const),
		];
		for (const [place, what] of places) {
			u8[RAM_BASE + place]! ^= 1;
			assert.throws(() => probe.checkAll(), what, `0x${place.toString(16)}`);
			u8[RAM_BASE + place]! ^= 1;
		}
		probe.checkAll();
	});

for (const { name } of techniques.filter(({ memory }) => memory))
	test(`tables that map a frame which is not the guest's are seen under ${name}`, () => {
		const { parts, memory, probe } = run(name);
		const { i32 } = parts.host.physical;
		const { root, format } = memory.tables();
		const stranger = parts.monitor.frames.firstUnused;
		// The first entry of each level that leads on, down to one that maps a page.
		let table = root;
		for (let level = format.levels; level > 1; level--) {
			const entries = i32.subarray((RAM_BASE + table) >> 2, ((RAM_BASE + table) >> 2) + 1024);
			const index = entries.findIndex((entry, at) => at % 2 === 0 && (entry & format.present) !== 0);
			assert.ok(index >= 0);
			table = (entries[index]! >>> 12) * 4096;
		}
		const free = (RAM_BASE + table) >> 2;
		const [low, high] = [i32[free]!, i32[free + 1]!];
		i32[free] = (stranger << 12) | 7;
		assert.throws(() => probe.check(), /not the guest's|the guest owns/);
		i32[free] = low;
		i32[free + 1] = high;
		probe.check();
	});

test("a device's write to the VMM's memory is seen", () => {
	const { parts, probe } = run("hvm + ept + passthrough");
	parts.host.onDmaWrite(0x2000, 4);
	assert.throws(() => probe.check(), /A device wrote 4 bytes of host memory at 0x2000/);
});

test("a page of the guest in the neighbour's memory, and one frame for two pages, are seen", () => {
	const { parts, probe } = run("hvm + ept");
	const { pmap } = parts.monitor.physical;
	const own = pmap.find((frame) => frame >= 0)!;
	pmap[900] = own;
	assert.throws(() => probe.checkAll(), /share a frame/);
});

// What the random kernels found, each as a guest of its own: the same under every technique that runs it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { dword, TinyGuest, tinyGuest } from "../tools/tiny-guest.ts";
import { type Technique, techniques } from "./techniques.ts";

const SMALL = 4 << 20;

const store = (at: number, value: number): number[] => [0xc7, 0x05, ...dword(at), ...dword(value)];

function start({ configuration }: Technique, code: readonly number[]): VirtualMachine {
	return createMachine({ ...configuration, image: tinyGuest(code), memory: SMALL });
}

/** Vector and error code of the guest's first exception. */
function firstException(machine: VirtualMachine): [vector: number | undefined, errorCode: number | undefined] {
	machine.setEventFilters([{ id: 1, event: "exception" }]);
	const stop = machine.run(100_000);
	assert.equal(stop?.reason, "event");
	return [stop.vector, stop.errorCode];
}

const direct = techniques.filter(({ configuration }) => configuration.io !== "passthrough");

for (const technique of direct.filter(({ configuration: { vmm } }) => vmm === "none" || vmm === "hvm"))
	test(`a switch to a virtual-8086 task with a wrong LDT raises #TS in that task under ${technique.name}`, () => {
		const tss = TinyGuest.results + 0x400;
		const descriptor = TinyGuest.gdt + TinyGuest.selector.fresh;
		const code = [
			...store(descriptor, ((tss << 16) | 103) >>> 0),
			...store(descriptor + 4, 0x8900 | (tss >>> 16)),
			...[...store(tss + 4, TinyGuest.stack), ...store(tss + 8, TinyGuest.selector.data)],
			...[...store(tss + 0x20, 0x1000), ...store(tss + 0x24, 0x20002), ...store(tss + 0x4c, 0xffff)],
			...[...store(tss + 0x50, 0x1234), ...store(tss + 0x60, 0xfff0)],
			...[0xea, 0, 0, 0, 0, TinyGuest.selector.fresh, 0],
		];
		const machine = start(technique, code);
		assert.deepEqual(firstException(machine), [10, 0xfff0]);
		// The handler finds no data segments, which virtual-8086 mode does not leave to it.
		machine.setEventFilters([]);
		assert.equal(machine.run(100_000)?.reason, "triple-fault");
	});

for (const technique of direct.filter(({ configuration: { vmm } }) => vmm === "none" || vmm === "hvm"))
	test(`a switch to a task whose stack has another privilege than its code raises #TS under ${technique.name}`, () => {
		const tss = TinyGuest.results + 0x400;
		const descriptor = TinyGuest.gdt + TinyGuest.selector.fresh;
		const stack = TinyGuest.selector.data | 3;
		const code = [
			...store(descriptor, ((tss << 16) | 103) >>> 0),
			...store(descriptor + 4, 0x8900 | (tss >>> 16)),
			...[...store(tss + 0x20, 0x1000), ...store(tss + 0x24, 2), ...store(tss + 0x4c, TinyGuest.selector.code)],
			...[...store(tss + 0x50, stack), ...store(tss + 0x38, TinyGuest.stack)],
			...[0xea, 0, 0, 0, 0, TinyGuest.selector.fresh, 0],
		];
		assert.deepEqual(firstException(start(technique, code)), [10, TinyGuest.selector.data]);
	});

for (const technique of direct.filter(({ memory }) => memory))
	test(`a huge repeated store to device memory does not outlast the budget of a run under ${technique.name}`, () => {
		// mov $-1, %ecx; mov $0xb8000, %edi; rep stosb
		const code = [0xb9, ...dword(-1), 0xbf, ...dword(0xb8000), 0xf3, 0xaa];
		const machine = start(technique, code);
		const done = () => 0xffffffff - Number(machine.processors()[0]!.register("ecx"));
		for (let runs = 0; runs < 20; runs++) machine.run(1000);
		assert.ok(done() > 1000 && done() < 200_000, `${done()} bytes were stored`);
	});

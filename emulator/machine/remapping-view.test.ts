import assert from "node:assert/strict";
import { test } from "node:test";
import { DmaEngineControl, DmaEngineRegister } from "../devices/dma-engine.ts";
import { Global, Offset, REMAPPING_UNIT_BASE } from "../devices/iommu/register-map.ts";
import { words } from "./loaders/boot-state.ts";
import { NativeMachine } from "./native-machine.ts";
import { DMA_ENGINE_SOURCE } from "./optional-devices.ts";
import type { Address } from "./virtual-machine.ts";

const LOAD = 0x100000;
const ENGINE = 0xf000_0000;

/** A machine whose processor only jumps to itself; the test drives the devices as software would. */
function machine() {
	const header = words(0x1badb002, 1 << 16, -(0x1badb002 + (1 << 16)), LOAD, LOAD, 0, 0, LOAD + 0x20);
	const image = { name: "test", bytes: Uint8Array.from([...header, 0xeb, 0xfe]) };
	const vm = new NativeMachine({ vmm: "none", memory: 4 << 20, image, devices: ["dma-engine"], iommu: true });
	const { ports, memory } = vm.host.devices;
	const configure = (register: number, value: number) => {
		ports.write(0xcf8, 4, (0x8000_0000 | (DMA_ENGINE_SOURCE << 8) | register) >>> 0);
		ports.write(0xcfc, 4, value);
	};
	configure(0x10, ENGINE);
	configure(0x04, 6);
	const unit = (offset: number, value: number) => memory.write(REMAPPING_UNIT_BASE + offset, 4, value >>> 0);
	const put = (address: number, value: number) => vm.host.physical.write(address, 4, value);
	// Root table, context table, three levels; device page 5 is page 0x210, page 6 has a reserved bit.
	put(0x200000, 0x201001);
	put(0x201000 + 16 * DMA_ENGINE_SOURCE, 0x202001);
	put(0x201008 + 16 * DMA_ENGINE_SOURCE, 0x0701);
	put(0x202000, 0x203003);
	put(0x203000, 0x204003);
	put(0x204000 + 40, 0x210003);
	put(0x204000 + 48, 0x210803);
	unit(Offset.rootTable, 0x200000);
	unit(Offset.globalCommand, Global.setRootTable);
	unit(Offset.globalCommand, Global.translationEnable);
	const fill = (destination: number) => {
		const engine = (offset: number, value: number) => memory.write(ENGINE + offset, 4, value);
		engine(DmaEngineRegister.destination, destination);
		engine(DmaEngineRegister.length, 8);
		engine(DmaEngineRegister.pattern, 0x55555555);
		engine(DmaEngineRegister.control, DmaEngineControl.start | DmaEngineControl.fill);
	};
	return { vm, fill };
}

test("a device's write goes where the tables say; the debugger reads the same by iova: and walks the same tables", () => {
	const { vm, fill } = machine();
	fill(0x5010);
	assert.equal(vm.run(100), undefined);
	const [cpu] = vm.processors();
	const iova: Address = { space: "iova", value: 0x500en };
	assert.deepEqual([...cpu!.readMemory({ space: "hpa", value: 0x210010n }, 4)!], [0x55, 0x55, 0x55, 0x55]);
	assert.deepEqual([...cpu!.readMemory(iova, 4)!], [0, 0, 0x55, 0x55]);
	assert.equal(cpu!.readMemory({ space: "iova", value: 0x5ffen }, 4)!.length, 2, "up to the page that is not mapped");
	assert.equal(cpu!.writeMemory(iova, Uint8Array.of(9)), 1);
	assert.equal(vm.host.physical.read(0x21000e, 1), 9);
	const [view] = vm.iommus;
	assert.deepEqual(view!.devices(), [
		{ source: 0x20, name: "DMA engine", treatment: "translated", domain: 7, levels: 3, table: 0x202000n },
	]);
	const walk = view!.walk(0x20, 0x5010n, { write: true });
	assert.deepEqual(
		walk.steps.map(({ level, index, flags }) => `${level} ${index} ${flags.join(" ")}`),
		[
			"root entry 0 P",
			"context entry 32 P TT=untranslated AW=1 DID=7",
			"SL-PDPTE 0 R W",
			"SL-PDE 0 R W",
			"SL-PTE 5 R W",
		],
	);
	assert.equal(walk.result!.address.value, 0x210010n);
	assert.deepEqual(vm.statistics().iommu, { translated: 1, blocked: 0 });
});

test("a stray write is stopped, and the machine stops with one clear sentence", () => {
	const { vm, fill } = machine();
	vm.setEventFilters([{ id: 4, event: "dma-fault" }]);
	fill(0x6000);
	const stop = vm.run(100);
	assert.equal(stop?.reason, "event");
	assert.equal(
		stop?.reason === "event" && stop.description,
		"DMA engine (00:04.0): DMA write at 0x6000 was stopped: reserved bits are set in a second-level entry (fault reason 12; SL-PTE 6 at 0x204030 is 0x210803: reserved bit 11 must be 0)",
	);
	assert.equal(stop?.reason === "event" && stop.source, 0x20);
	assert.equal(vm.iommus[0]!.faults()[0]!.reason, 12);
	assert.match(vm.iommus[0]!.walk(0x20, 0x6000n).steps.at(-1)!.failure!, /reserved bit 11/);
	assert.equal(vm.events.read({ kinds: ["dma-fault"], limit: 10 }).length, 1);
	assert.equal(vm.host.physical.read(0x210000, 4), 0);
	assert.equal(vm.run(100), undefined);
});

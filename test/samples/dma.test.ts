// The sample that drives bus masters: the same output under each technique, and the same run however it is cut into slices.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { MachineConfiguration, Stop, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { BinaryTranslationMachine } from "../../emulator/vmm/binary-translation-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import type { HvmMachine } from "../../emulator/vmm/vtx/hvm-machine.ts";
import { symbolAddress } from "../tools/image-symbols.ts";

const sample = resolve(fileURLToPath(import.meta.url), "../../../extension/samples/dma");
const expected = readFileSync(resolve(sample, "expected.txt"), "latin1");

function start(more: Partial<MachineConfiguration>): { machine: VirtualMachine; output: () => string } {
	const machine = createMachine({
		vmm: "none",
		memory: 16 << 20,
		image: { name: "dma.elf", bytes: readFileSync(resolve(sample, "dma.elf")) },
		disks: [{ name: "disk.img", bytes: readFileSync(resolve(sample, "disk.img")) }],
		devices: ["dma-engine"],
		append: "stray",
		...more,
	});
	let output = "";
	machine.onSerialOutput((bytes) => {
		output += Buffer.from(bytes).toString("latin1");
	});
	return { machine, output: () => output };
}

function finish(machine: VirtualMachine, slice: number): Stop {
	for (let runs = 0; runs < 1_000_000; runs++) {
		const stop = machine.run(slice);
		if (stop) return stop;
	}
	assert.fail("the sample does not end");
}

for (const vmm of ["none", "bt", "hvm"] as const)
	test(`under ${vmm} with canonical devices the sample prints what is expected`, () => {
		const { machine, output } = start({ vmm });
		assert.deepEqual(finish(machine, 10_000_000), { reason: "debug-exit", value: 0 });
		assert.equal(output(), expected);
	});

test("under none the engine interrupts by message", () => {
	const { machine, output } = start({ append: "msi" });
	assert.deepEqual(finish(machine, 10_000_000), { reason: "debug-exit", value: 0 });
	assert.match(output(), /interrupts of the engine: 2, by message\n/);
});

test("alarms that an instruction asks for come at their moment, however the run is sliced", () => {
	const counts = [10_000_000, 997, 13].map((slice) => {
		const { machine } = start({});
		finish(machine, slice);
		return machine.instructionCount();
	});
	assert.equal(new Set(counts).size, 1, String(counts));
});

/** Behind the guest's memory, but memory of the host: the VMM's. */
const STRAY = 0x1800000;
const stray = { vmm: "bt", io: "passthrough", append: `stray=0x${STRAY.toString(16)}` } as const;

function hostBytes(machine: VirtualMachine, address: number, length: number): string {
	const pcpu = machine.processors().find(({ kind }) => kind === "pcpu")!;
	return Buffer.from(pcpu.readMemory({ space: "hpa", value: BigInt(address) }, length)!).toString("hex");
}

for (const vmm of ["trap", "bt", "hvm"] as const) {
	test(`passed through under ${vmm}, the devices work with guest-physical addresses, and a stray DMA is stopped, recorded and shown`, () => {
		const { machine, output } = start({ ...stray, vmm });
		finish(machine, 10_000_000);
		assert.equal(output(), expected.replace("0x01000000", "0x01800000"));
		assert.equal(hostBytes(machine, STRAY, 64), "00".repeat(64));
		const [unit] = machine.iommus!;
		assert.deepEqual(
			unit!.devices().map(({ name, treatment, domain }) => [name, treatment, domain]),
			[
				["PIIX3 IDE", "translated", 1],
				["DMA engine", "translated", 1],
			],
		);
		const [fault, ...others] = unit!.faults();
		assert.deepEqual([fault!.source, fault!.address, fault!.access, fault!.reason], [0x20, BigInt(STRAY), "write", 5]);
		assert.equal(others.length, 0);
		const registers = machine.devices().find(({ name }) => name === unit!.name)!.registers;
		// The VMM has taken the fault: the record is free again, its address still there.
		assert.equal(registers.find(({ name }) => name === "FRCD0 low")!.value, BigInt(STRAY));
		assert.equal(registers.find(({ name }) => name === "FRCD0 high")!.meaning, "free");
		assert.equal(registers.find(({ name }) => name === "FSTS")!.value, 0);
		const { translated, blocked } = machine.statistics().iommu as { translated: number; blocked: number };
		assert.ok(translated > 10, String(translated));
		assert.equal(blocked, 1);
		assert.deepEqual(
			machine.events!.read({ kinds: ["dma-fault"], limit: 10 }).map(({ reason }) => reason),
			["no permission to write"],
		);
	});

	test(`passed through under ${vmm}, the engine interrupts by message: the guest's is the guest's, the function's the VMM's`, () => {
		const { machine, output } = start({ vmm, io: "passthrough", append: "msi" });
		assert.deepEqual(finish(machine, 10_000_000), { reason: "debug-exit", value: 0 });
		assert.match(output(), /fill: done.*contents right\ninterrupts of the engine: 2, by message\n/);
		const messages = machine.devices().flatMap(({ name, registers }) => {
			const of = (register: string) => registers.find((one) => one.name === register)?.value;
			return name.includes("DMA engine") ? [[name, of("MSI address"), of("MSI data")]] : [];
		});
		assert.deepEqual(messages, [
			["DMA engine, as the guest sees it", 0xfee0_0000, 0x30],
			["DMA engine", 0xfee0_0030, 0],
		]);
		const { blocked } = machine.statistics().iommu as { blocked: number };
		assert.equal(blocked, 0);
	});

	test(`passed through under ${vmm}, an interrupt message that nobody asked for is stopped, recorded and told`, () => {
		const { machine, output } = start({ vmm, io: "passthrough", append: "msi stray=0xfee00000" });
		machine.setEventFilters([{ id: 7, event: "dma-fault" }]);
		const stop = finish(machine, 10_000_000);
		assert.ok(stop.reason === "event" && stop.event === "dma-fault" && stop.source === 0x20, stop.reason);
		assert.match(
			stop.description,
			/DMA engine \(00:04.0\): interrupt request at 0xfee00000 was stopped: compatibility-format/,
		);
		assert.deepEqual(finish(machine, 10_000_000), { reason: "debug-exit", value: 0 });
		assert.match(output(), /stray fill at 0xfee00000\nstopped: write aborted, 0 bytes moved\ndone/);
		assert.equal(machine.iommus![0]!.faults().length, 1);
	});

	test(`without a remapping unit the same program overwrites the memory of the VMM (${vmm})`, () => {
		const { machine, output } = start({ ...stray, vmm, iommu: false });
		const target = Number(symbolAddress(resolve(sample, "dma.elf"), "destination"));
		finish(machine, 10_000_000);
		assert.match(output(), /fill: done, 5000 bytes moved, contents WRONG/);
		assert.match(output(), /stray fill at 0x01800000\nnothing stopped it: 64 bytes moved/);
		// What it wrote with guest-physical addresses lies at the same host-physical ones.
		assert.equal(hostBytes(machine, target, 8), "3cc3a55a3cc3a55a");
		assert.equal(hostBytes(machine, STRAY, 64), "efbeadde".repeat(16));
		assert.ok(
			!(machine as BinaryTranslationMachine | HvmMachine).monitor.physical.pmap.includes(STRAY / 4096),
			"the guest's own frame",
		);
		assert.deepEqual(machine.iommus, []);
	});

	test(`the machine stops at a DMA fault when it is asked to, and at DMA into watched memory, by any address (${vmm})`, () => {
		const target = BigInt(symbolAddress(resolve(sample, "dma.elf"), "destination"));
		const { machine } = start({ ...stray, vmm });
		machine.setEventFilters([{ id: 7, event: "dma-fault" }]);
		for (const space of ["lin", "gpa", "iova"] as const) {
			machine.setWatchpoints([{ id: 1, address: { space, value: target }, length: 4, access: "write", by: "dma" }]);
			const stop = finish(machine, 10_000_000);
			assert.equal(
				stop.reason,
				"watchpoint",
				JSON.stringify(stop, (_, value) => String(value)),
			);
			assert.ok(stop.reason === "watchpoint" && stop.device === "DMA engine" && stop.address.space === space);
			machine.reset();
		}
		machine.setWatchpoints([]);
		const stop = finish(machine, 10_000_000);
		assert.ok(stop.reason === "event" && stop.event === "dma-fault" && stop.source === 0x20, stop.reason);
		assert.equal(stop.faultAddress, BigInt(STRAY));
		// Device addresses of the engine are guest-physical addresses.
		const vcpu = machine.processors()[0]!;
		const source = BigInt(symbolAddress(resolve(sample, "dma.elf"), "source"));
		const read = (space: "gpa" | "iova") => vcpu.readMemory({ space, value: source, source: 0x20 }, 64);
		assert.deepEqual(read("iova"), read("gpa"));
	});
}

test("there has to be something to assign", () => {
	assert.throws(() => start({ ...stray, devices: [], disks: [] }), /give it a disk or a device/);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Fragment, MachineStatistics, Stop, VirtualMachine } from "../machine/virtual-machine.ts";
import { createMachine } from "./create-machine.ts";

function start(sample: string, vmm: "none" | "bt"): { machine: VirtualMachine; output: () => string } {
	const path = fileURLToPath(new URL(`../../extension/samples/${sample}/${sample}.elf`, import.meta.url));
	const machine = createMachine({
		image: { name: `${sample}.elf`, bytes: new Uint8Array(readFileSync(path)) },
		vmm,
		memory: 64 << 20,
	});
	let text = "";
	machine.onSerialOutput((bytes) => {
		text += Buffer.from(bytes).toString("latin1");
	});
	return { machine, output: () => text };
}

function runToEnd(machine: VirtualMachine): Stop | undefined {
	return machine.run(100_000_000);
}

/** Addresses of labels in isprime.S, as the built image has them. */
const IS_PRIME = 0x10005cn;
const NEXTI = 0x100067n;
const INC = 0x100070n;
const NOT_PRIME = 0x10007bn;
const PRIME = 0x100075n;
const BEFORE = 0x100084n;

test("isPrime(49): four fragments, two continuations, one chaining jump, return 1 never translated", () => {
	const { machine, output } = start("isprime", "bt");
	assert.deepEqual(runToEnd(machine), { reason: "debug-exit", value: 0 });
	assert.equal(output(), "isPrime(49) = 0\n");
	const cache = machine.translationCache!;
	const own = cache.fragments().filter(({ guestStart }) => guestStart >= IS_PRIME && guestStart < BEFORE - 4n);
	const inside = own.filter(({ guestStart }) => guestStart <= NOT_PRIME);
	assert.deepEqual(
		inside.map(({ guestStart }) => guestStart),
		[IS_PRIME, NEXTI, INC, NOT_PRIME],
	);
	const states = (one: Fragment) => one.exits.map(({ kind, state }) => `${kind} ${state}`);
	assert.deepEqual(inside.map(states), [
		["taken continuation", "fallthrough elided"],
		["taken linked", "fallthrough elided"],
		["taken chained", "fallthrough continuation"],
		["indirect lookup"],
	]);
	assert.equal(inside[2]!.exits[0]!.fragment, inside[1]!.id);
	assert.equal(cache.fragmentAt(PRIME), undefined);
	assert.deepEqual(
		inside.map(({ lines }) => lines.map(({ tag }) => tag)),
		[
			["IDENT", "IDENT", "IDENT", "JCC"],
			["IDENT", "IDENT", "IDENT", "IDENT", "JCC"],
			["IDENT", "IDENT", "JCC"],
			["IDENT", "RET"],
		],
	);
});

test("the sample kernel prints under bt what it prints on the bare machine", () => {
	const native = start("kernel32", "none");
	const translated = start("kernel32", "bt");
	assert.deepEqual(runToEnd(native.machine), { reason: "debug-exit", value: 0 });
	assert.deepEqual(runToEnd(translated.machine), { reason: "debug-exit", value: 0 });
	assert.match(native.output(), /SAMPLE DONE/);
	assert.equal(translated.output(), native.output());
	const { bt, mmu } = translated.machine.statistics() as MachineStatistics & {
		bt: Record<string, number>;
		mmu: Record<string, number>;
	};
	for (const key of ["translationUnits", "fragments", "chained", "callouts", "invalidated", "directExecution"])
		assert.ok(bt[key]! > 0, key);
	for (const key of ["hiddenFaults", "trueFaults", "traceWrites"]) assert.ok(mmu[key]! > 0, key);
});

test("breakpoints and stops do not change the run", () => {
	const plain = start("kernel32", "bt");
	runToEnd(plain.machine);
	const stopped = start("kernel32", "bt");
	const fragment = plain.machine.translationCache!.fragments().find(({ entries }) => entries > 2)!;
	stopped.machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: fragment.guestStart } }]);
	stopped.machine.setEventFilters([{ id: 2, event: "true-page-fault" }]);
	let breakpoints = 0;
	let faults = 0;
	let stop: Stop | undefined;
	do {
		stop = stopped.machine.run(1_000_003);
		if (stop?.reason === "breakpoint") {
			breakpoints++;
			const [vcpu] = stopped.machine.processors();
			assert.equal(vcpu!.linearInstructionPointer(), fragment.guestStart);
			if (breakpoints === 20) stopped.machine.setExecutionBreakpoints([]);
		}
		if (stop?.reason === "event") faults++;
		if (stop === undefined) assert.ok(stopped.machine.processors()[0]!.linearInstructionPointer() < 0xffc00000n);
	} while (stop?.reason !== "debug-exit");
	assert.ok(breakpoints > 2 && faults > 10, `${breakpoints} ${faults}`);
	assert.equal(stopped.machine.instructionCount(), plain.machine.instructionCount());
	assert.equal(stopped.machine.memoryHash(), plain.machine.memoryHash());
	assert.equal(stopped.output(), plain.output());
});

test("a breakpoint where a budget ends is neither lost nor told twice", () => {
	const hits = (budget: number) => {
		const { machine } = start("isprime", "bt");
		machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: NEXTI } }]);
		let count = 0;
		for (;;) {
			const stop = machine.run(budget);
			if (stop?.reason === "debug-exit") return count;
			if (stop?.reason === "breakpoint") count++;
		}
	};
	const whole = hits(1_000_000);
	assert.ok(whole > 3);
	for (const budget of [1, 2, 3, 7]) assert.equal(hits(budget), whole, `in pieces of ${budget}`);
});

test("stops at every event leave the run as it is and show the guest between two instructions", () => {
	const plain = start("kernel32", "bt");
	runToEnd(plain.machine);
	const { machine, output } = start("kernel32", "bt");
	const events = ["hidden-page-fault", "callout", "translate", "interrupt", "exception", "true-page-fault"] as const;
	machine.setEventFilters(events.map((event, id) => ({ id, event })));
	const counts = new Map<string, number>();
	const [vcpu] = machine.processors();
	let stop: Stop | undefined;
	for (let stops = 0; ; stops++) {
		stop = machine.run(100_000_000);
		if (stop?.reason !== "event") break;
		counts.set(stop.event, (counts.get(stop.event) ?? 0) + 1);
		assert.ok(vcpu!.linearInstructionPointer() < 0xffc00000n, stop.description);
		// Looking at everything each time would take too long.
		if (stops % 50 === 0) {
			assert.ok(vcpu!.registers().length > 0);
			assert.ok(vcpu!.register("esp")! < 0xffc00000n);
		}
	}
	assert.deepEqual(stop, { reason: "debug-exit", value: 0 });
	for (const event of ["hidden-page-fault", "callout", "translate", "interrupt"])
		assert.ok((counts.get(event) ?? 0) > 0, event);
	assert.equal(output(), plain.output());
	assert.equal(machine.instructionCount(), plain.machine.instructionCount());
	assert.equal(machine.memoryHash(), plain.machine.memoryHash());
});

test("stepping the vCPU goes through guest instructions, stepping the pCPU through the fragment", () => {
	const { machine } = start("isprime", "bt");
	machine.setExecutionBreakpoints([{ id: 7, address: { space: "lin", value: BEFORE } }]);
	assert.deepEqual(machine.run(1_000_000), { reason: "breakpoint", processor: 1, ids: [7] });
	const [vcpu, pcpu] = machine.processors();
	const seen: bigint[] = [];
	for (let step = 0; step < 8; step++) {
		assert.deepEqual(machine.step(1), { reason: "step", processor: 1 });
		seen.push(vcpu!.linearInstructionPointer());
	}
	assert.deepEqual(seen, [IS_PRIME, 0x10005en, 0x100063n, 0x100065n, NEXTI, 0x100069n, 0x10006an, 0x10006cn]);
	assert.equal(vcpu!.register("ecx"), 49n);
	assert.equal(vcpu!.register("edx"), 1n);
	// To the ret, whose translation is several host instructions long: the guest stays at it, its registers unharmed.
	machine.setExecutionBreakpoints([{ id: 8, address: { space: "lin", value: NOT_PRIME + 2n } }]);
	assert.equal(machine.run(1_000_000)!.reason, "breakpoint");
	const esp = vcpu!.register("esp");
	const ecx = vcpu!.register("ecx");
	for (let step = 0; step < 3; step++) {
		const before = pcpu!.linearInstructionPointer();
		assert.deepEqual(machine.step(2), { reason: "step", processor: 2 });
		assert.ok(pcpu!.linearInstructionPointer() > before);
		if (step < 2) {
			assert.equal(vcpu!.linearInstructionPointer(), NOT_PRIME + 2n);
			assert.equal(vcpu!.register("esp"), esp);
		}
		assert.equal(vcpu!.register("ecx"), ecx);
	}
	assert.notEqual(pcpu!.register("ecx"), ecx);
	// The return address is known: the guest stands behind the call, the host still looks for the fragment.
	assert.equal(vcpu!.linearInstructionPointer(), 0x100089n);
	assert.equal(vcpu!.register("esp"), esp! + 4n);
	assert.deepEqual(machine.step(1), { reason: "step", processor: 1 });
	assert.equal(vcpu!.linearInstructionPointer(), 0x10008an);
});

test("stepping a halted vCPU goes to the interrupt that wakes it", () => {
	const bytes = new Uint8Array(0x1000);
	const view = new DataView(bytes.buffer);
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), 0x100000, 0x100000, 0x101000, 0x101000, 0x100020].forEach(
		(word, n) => {
			view.setUint32(n * 4, word >>> 0, true);
		},
	);
	const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
	const code = [
		0xbc, 0x00, 0x10, 0x10, 0x00, 0x0f, 0x01, 0x15, 0xa0, 0x01, 0x10, 0x00, 0x0f, 0x01, 0x1d, 0xa8, 0x01, 0x10, 0x00,
	];
	for (const [port, value] of [
		[0x20, 0x11],
		[0x21, 0x20],
		[0x21, 4],
		[0x21, 1],
		[0x21, 0xfe],
		[0x43, 0x34],
		[0x40, 0],
		[0x40, 4],
	] as const)
		code.push(...out(port, value));
	const halt = 0x100020 + code.length + 1;
	code.push(0xfb, 0xf4, 0xeb, 0xfd);
	bytes.set(code, 0x20);
	const handler = 0x100180;
	bytes.set([0x90, 0xcf], 0x180);
	view.setUint32(0x190, 0x0000ffff, true);
	view.setUint32(0x194, 0x00cf9b00, true);
	view.setUint16(0x1a0, 0x0f, true);
	view.setUint32(0x1a2, 0x100188, true);
	view.setUint16(0x1a8, 0x1ff, true);
	view.setUint32(0x1aa, 0x100200, true);
	view.setUint32(0x200 + 0x20 * 8, 0x00080000 | (handler & 0xffff), true);
	view.setUint32(0x204 + 0x20 * 8, 0x00108e00, true);
	const machine = createMachine({ image: { name: "halt", bytes }, vmm: "bt", memory: 8 << 20 });
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: BigInt(halt) } }]);
	assert.equal(machine.run(100_000)!.reason, "breakpoint");
	const [vcpu] = machine.processors();
	assert.equal(machine.step(1).reason, "step");
	assert.equal(vcpu!.linearInstructionPointer(), BigInt(halt + 1));
	machine.setExecutionBreakpoints([]);
	assert.equal(machine.step(1).reason, "step");
	assert.ok([handler, handler + 1].includes(Number(vcpu!.linearInstructionPointer())));
});

test("a page walk shows guest and shadow side by side; memory is read in every space", () => {
	const { machine } = start("kernel32", "bt");
	machine.setEventFilters([{ id: 1, event: "true-page-fault" }]);
	const stop = machine.run(100_000_000);
	assert.equal(stop?.reason, "event");
	const [vcpu] = machine.processors();
	const eip = vcpu!.linearInstructionPointer();
	const [guest, shadow] = vcpu!.walk(eip, {});
	assert.deepEqual([guest!.table, shadow!.table], ["guest", "shadow"]);
	assert.equal(guest!.result!.address.space, "gpa");
	const fault = stop.reason === "event" ? stop.faultAddress! : 0n;
	const failed = vcpu!.walk(fault, { write: true })[0]!;
	assert.ok(failed.result === undefined || !failed.result.writable);
	const linear = vcpu!.readMemory({ space: "lin", value: eip }, 16);
	const physical = vcpu!.translate(eip, "gpa")!;
	const host = vcpu!.translate(eip, "hpa")!;
	assert.deepEqual(vcpu!.readMemory({ space: "gpa", value: physical }, 16), linear);
	assert.deepEqual(vcpu!.readMemory({ space: "hpa", value: host }, 16), linear);
	const readable = vcpu!.walk(fault, { user: false })[0]!.result !== undefined;
	assert.equal(vcpu!.readMemory({ space: "lin", value: fault & ~0xfffn }, 4) !== undefined, readable);
	assert.ok(vcpu!.mappings("shadow", 0n, 1000).length > 0);
	assert.ok(vcpu!.mappings("guest", 0n, 1000).length > 0);
});

test("a watchpoint names the guest instruction that wrote", () => {
	const { machine } = start("isprime", "bt");
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: BEFORE } }]);
	machine.run(1_000_000);
	const [vcpu] = machine.processors();
	const esp = vcpu!.register("esp")!;
	machine.setExecutionBreakpoints([]);
	machine.setWatchpoints([{ id: 3, address: { space: "lin", value: esp - 4n }, length: 4, access: "write" }]);
	const stop = machine.run(1_000_000)!;
	assert.equal(stop.reason, "watchpoint");
	if (stop.reason !== "watchpoint") return;
	assert.equal(stop.instruction, BEFORE);
	assert.equal(stop.newValue, BEFORE + 5n);
});

test("a watchpoint sees what the VMM writes for the guest", () => {
	const [counter] = symbols("kernel32", ["kernel_directory"]);
	const { machine } = start("kernel32", "bt");
	// The kernel's page directory is write-traced once paging is on: its writes are emulated.
	machine.setExecutionBreakpoints([
		{ id: 1, address: { space: "lin", value: symbols("kernel32", ["kernel_main"])[0]! } },
	]);
	assert.equal(machine.run(10_000_000)!.reason, "breakpoint");
	machine.setExecutionBreakpoints([]);
	machine.setWatchpoints([{ id: 2, address: { space: "lin", value: counter! }, length: 4096, access: "write" }]);
	const writes = (machine.statistics() as unknown as { mmu: { traceWrites: number } }).mmu.traceWrites;
	const stop = machine.run(100_000_000)!;
	assert.equal(stop.reason, "watchpoint");
	if (stop.reason !== "watchpoint") return;
	assert.ok(stop.instruction >= 0xc0100000n && stop.instruction < 0xc0200000n);
	assert.notEqual(stop.newValue, stop.oldValue);
	assert.ok((machine.statistics() as unknown as { mmu: { traceWrites: number } }).mmu.traceWrites > writes);
});

test("a guest without an interrupt table ends in a triple fault that says where", () => {
	const bytes = new Uint8Array(0x1000);
	const view = new DataView(bytes.buffer);
	// A multiboot image that is loaded at 1 MiB as it is and begins with UD2.
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), 0x100000, 0x100000, 0x101000, 0x101000, 0x100020].forEach(
		(word, n) => {
			view.setUint32(n * 4, word >>> 0, true);
		},
	);
	bytes.set([0x0f, 0x0b], 0x20);
	const machine = createMachine({ image: { name: "ud2", bytes }, vmm: "bt", memory: 8 << 20 });
	const stop = machine.run(1000)!;
	assert.equal(stop.reason, "triple-fault");
	assert.equal(machine.processors()[0]!.linearInstructionPointer(), 0x100020n);
	assert.equal(machine.run(1000)!.reason, "triple-fault");
	const [vcpu] = machine.processors();
	machine.reset();
	assert.equal(machine.processors()[0], vcpu);
	assert.equal(machine.run(1000)!.reason, "triple-fault");
});

test("registers and memory are changed between guest instructions; changed code is translated anew", () => {
	const { machine, output } = start("isprime", "bt");
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: NEXTI } }]);
	assert.equal(machine.run(1_000_000)!.reason, "breakpoint");
	const [vcpu] = machine.processors();
	// 47 is a prime, and the block that returns 1 is made to return 2.
	vcpu!.setRegister("ecx", 47n);
	assert.equal(vcpu!.register("ecx"), 47n);
	assert.equal(vcpu!.linearInstructionPointer(), NEXTI);
	assert.equal(vcpu!.writeMemory({ space: "lin", value: PRIME + 1n }, new Uint8Array([2])), 1);
	machine.setExecutionBreakpoints([]);
	assert.deepEqual(runToEnd(machine), { reason: "debug-exit", value: 0 });
	assert.equal(output(), "isPrime(49) = 2\n");
});

test("code that is translated already is translated anew when a debugger writes it", () => {
	const { machine } = start("isprime", "bt");
	machine.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: INC } }]);
	assert.equal(machine.run(1_000_000)!.reason, "breakpoint");
	machine.setExecutionBreakpoints([]);
	// inc %esi becomes nop: the loop never ends.
	const [vcpu] = machine.processors();
	vcpu!.writeMemory({ space: "lin", value: INC }, new Uint8Array([0x90]));
	assert.equal(machine.run(10_000), undefined);
	assert.equal(vcpu!.register("esi"), 2n);
});

test("memory sizes that cannot be are refused", () => {
	const image = { name: "x", bytes: new Uint8Array(64) };
	for (const memory of [0, 4097, 2 ** 32]) assert.throws(() => createMachine({ image, vmm: "bt", memory }), /memory/i);
});

/** Addresses of symbols of a 32-bit ELF image (System V ABI, "Symbol Table"). */
function symbols(sample: string, names: readonly string[]): bigint[] {
	const path = fileURLToPath(new URL(`../../extension/samples/${sample}/${sample}.elf`, import.meta.url));
	const bytes = readFileSync(path);
	const sections = bytes.readUInt32LE(32);
	const size = bytes.readUInt16LE(46);
	const found = new Map<string, bigint>();
	for (let index = 0; index < bytes.readUInt16LE(48); index++) {
		const header = sections + index * size;
		if (bytes.readUInt32LE(header + 4) !== 2) continue;
		const strings = bytes.readUInt32LE(sections + bytes.readUInt32LE(header + 24) * size + 16);
		const start = bytes.readUInt32LE(header + 16);
		for (let at = start; at < start + bytes.readUInt32LE(header + 20); at += 16) {
			const name = strings + bytes.readUInt32LE(at);
			found.set(bytes.toString("latin1", name, bytes.indexOf(0, name)), BigInt(bytes.readUInt32LE(at + 4)));
		}
	}
	return names.map((name) => found.get(name)!);
}

test("user-visible state at every system call of the sample is the same under none and bt", () => {
	const entries = symbols("kernel32", ["interrupt_128", "sysenter_entry"]);
	const seen = (vmm: "none" | "bt"): string[] => {
		const { machine } = start("kernel32", vmm);
		machine.setExecutionBreakpoints(entries.map((value, id) => ({ id, address: { space: "lin", value } as const })));
		const calls: string[] = [];
		for (;;) {
			const stop = machine.run(100_000_000);
			if (stop?.reason !== "breakpoint") break;
			const [vcpu] = machine.processors();
			const names = ["eip", "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "ds", "es", "fs", "gs", "cs", "ss", "cr3"];
			const registers = names.map((name) => `${name}=${vcpu!.register(name)!.toString(16)}`);
			// The frame of INT 0x80: EIP, CS, EFLAGS, ESP, SS of the user.
			const frame = vcpu!.readMemory({ space: "lin", value: vcpu!.register("esp")! }, 20)!;
			const user = vcpu!.linearInstructionPointer() === entries[0] ? Buffer.from(frame).toString("hex") : "";
			calls.push(`${registers.join(" ")} ${user}`);
		}
		return calls;
	};
	const native = seen("none");
	assert.ok(native.length > 20);
	assert.deepEqual(seen("bt"), native);
});

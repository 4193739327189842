import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { State } from "../../isa/state.ts";
import type { Stop } from "../../machine/virtual-machine.ts";
import { PageType } from "./memory/frame-table.ts";
import {
	CODE,
	COMPAT_BASE,
	callHypercall,
	DATA,
	HYPERCALL_PAGE,
	powerOff,
	TestMachine,
	WIDE_BASE,
} from "./test-kernel.ts";

const VCPU = 1;
const PCPU = 2;

/** mov $7, %eax; inc %eax (as add, which is the same in both sizes of code); a write to the data page; a hypercall; the end. */
function program(wide: boolean): number[] {
	const data = Number(BigInt.asUintN(32, (wide ? WIDE_BASE : COMPAT_BASE) + BigInt(DATA)));
	const address = [data & 255, (data >> 8) & 255, (data >> 16) & 255, data >>> 24];
	const store = wide ? [0x89, 0x04, 0x25, ...address] : [0x89, 0x05, ...address];
	return [0xb8, 7, 0, 0, 0, 0x83, 0xc0, 1, ...store, ...callHypercall(wide, "xen_version", 0, 0), ...powerOff(wide)];
}

function reasonOf(stop: Stop | undefined): string | undefined {
	return stop?.reason;
}

for (const wide of [true, false]) {
	describe(`a debugger sees a ${wide ? 64 : 32}-bit domain`, () => {
		const base = wide ? WIDE_BASE : COMPAT_BASE;
		const start = base + BigInt(CODE);
		const machine = () => new TestMachine({ wide, code: program(wide) });

		test("step by step: registers, memory in every address space, the hardware's walk", () => {
			const one = machine();
			const [vcpu, pcpu] = one.processors();
			assert.equal(vcpu!.kind, "vcpu");
			assert.equal(vcpu!.codeSize(), wide ? 64 : 32);
			assert.equal(vcpu!.linearInstructionPointer(), start);
			assert.match(vcpu!.describe(), /^vCPU 0 of domain 1 \(kernel, ring \d, CR3 0x/);
			assert.deepEqual(one.step(VCPU), { reason: "step", processor: VCPU });
			assert.equal(vcpu!.register("eax"), 7n);
			assert.equal(vcpu!.linearInstructionPointer(), start + 5n);
			vcpu!.setRegister("eax", 41n);
			one.step(VCPU);
			assert.equal(vcpu!.register("eax"), 42n);
			const physical = vcpu!.translate(start, "gpa")!;
			const host = vcpu!.translate(start, "hpa")!;
			assert.equal(physical, BigInt(CODE));
			assert.notEqual(host, physical);
			for (const address of [
				{ space: "lin" as const, value: start },
				{ space: "gpa" as const, value: physical },
				{ space: "hpa" as const, value: host },
			])
				assert.deepEqual([...vcpu!.readMemory(address, 5)!], [0xb8, 7, 0, 0, 0]);
			const [walk] = vcpu!.walk(start);
			assert.deepEqual(
				walk!.steps.map(({ level }) => level),
				["PML4E", "PDPTE", "PDE", "PTE"],
			);
			assert.deepEqual(walk!.result!.address, { space: "hpa", value: host });
			const mapping = vcpu!.mappings("guest", start, 1)[0]!;
			assert.ok(mapping.start <= start && mapping.end > start);
			assert.throws(() => vcpu!.mappings("shadow", 0n, 1), /There is no table "shadow" under "pv"/);
			assert.equal(pcpu!.kind, "pcpu");
			assert.throws(() => one.step(9), /There is no processor 9/);
		});

		test("stops at breakpoints and data breakpoints by any address", () => {
			const one = machine();
			const vcpu = one.processors()[0]!;
			const third = start + 8n;
			one.setExecutionBreakpoints([{ id: 3, address: { space: "gpa", value: BigInt(CODE + 5) } }]);
			assert.deepEqual(one.run(100), { reason: "breakpoint", processor: VCPU, ids: [3] });
			one.setExecutionBreakpoints([{ id: 4, address: { space: "lin", value: third } }]);
			assert.deepEqual(one.run(100), { reason: "breakpoint", processor: VCPU, ids: [4] });
			one.setExecutionBreakpoints([]);
			one.setWatchpoints([{ id: 5, address: { space: "gpa", value: BigInt(DATA) }, length: 4, access: "write" }]);
			const stop = one.run(100);
			assert.ok(stop?.reason === "watchpoint" && stop.id === 5 && stop.newValue === 8n && stop.oldValue === 0n);
			assert.equal(vcpu.readMemory({ space: "gpa", value: BigInt(DATA) }, 1)![0], 8);
			one.setWatchpoints([]);
			assert.equal(reasonOf(one.run(1000)), "poweroff");
		});

		test("stops at hypercalls by name, before they are done, with their arguments", () => {
			const one = machine();
			one.setEventFilters([
				{ id: 1, event: "hypercall", hypercall: "xen_version" },
				{ id: 2, event: "hypercall", hypercall: "mmu_update" },
			]);
			const stop = one.run(1000);
			assert.ok(stop?.reason === "event" && stop.event === "hypercall" && stop.hypercall === "xen_version");
			assert.deepEqual(stop.ids, [1]);
			assert.deepEqual(stop.arguments!.slice(0, 2), [0n, 0n]);
			const vcpu = one.processors()[0]!;
			const page = base + BigInt(HYPERCALL_PAGE);
			assert.ok(vcpu.linearInstructionPointer() >= page && vcpu.linearInstructionPointer() < page + 4096n);
			assert.deepEqual(one.events.read({ kinds: ["hypercall"], limit: 1 }), []);
			one.step(VCPU);
			assert.equal(vcpu.register("eax"), 0x40011n);
			const logged = one.events.read({ kinds: ["hypercall"], limit: 1 })[0]!;
			assert.deepEqual(logged.detail, [
				{ name: "command", value: "version" },
				{ name: "domain", value: 1 },
				{ name: "result", value: 0x40011 },
			]);
			assert.equal(reasonOf(one.run(1000)), "poweroff");
		});

		test("does the same whether it is watched or not", () => {
			const small = () => new TestMachine({ wide, code: program(wide) }, { memory: 4 << 20 });
			const plain = small();
			plain.run(1000);
			const stepped = small();
			while (stepped.step(VCPU).reason === "step") stepped.processors().forEach((one) => void one.registers());
			assert.equal(stepped.instructionCount(), plain.instructionCount());
			assert.equal(stepped.memoryHash(), plain.memoryHash());
			stepped.reset();
			stepped.run(1000);
			assert.equal(stepped.memoryHash(), plain.memoryHash());
		});

		test("domains are listed with their pages, types and counts", () => {
			const one = machine();
			const [domain] = one.domains.list();
			assert.equal(domain!.state, "running");
			assert.equal(domain!.pages, 2048);
			assert.equal(domain!.maximumPages, 2048);
			const tables = one.domains.pages(1, 0n, 5000, "L1 page table");
			assert.ok(
				tables.length > 0 && tables.every(({ typeCount, referenceCount }) => typeCount >= 1 && referenceCount >= 2),
			);
			const [first] = one.domains.pages(1, BigInt(CODE / 4096), 1);
			assert.deepEqual(first!.page, BigInt(CODE / 4096));
			assert.deepEqual(one.domains.pages(7, 0n, 1), []);
		});
	});
}

test("a step of either processor while every domain is blocked goes on to what wakes one", () => {
	// struct sched_poll: no ports, until 1,000,000 ns have passed.
	const poll = new Uint8Array(24);
	const view = new DataView(poll.buffer);
	view.setBigUint64(0, WIDE_BASE + BigInt(DATA), true);
	view.setBigUint64(16, 1_000_000n, true);
	const code = [...callHypercall(true, "sched_op", 3, WIDE_BASE + BigInt(DATA)), 0x90, ...powerOff(true)];
	for (const processor of [VCPU, PCPU]) {
		const machine = new TestMachine({ wide: true, code, data: poll });
		for (let steps = 0; machine.hypervisor.current !== undefined && steps < 50; steps++)
			assert.equal(machine.step(VCPU).reason, "step");
		assert.equal(machine.domains.list()[0]!.state, "blocked");
		assert.deepEqual(machine.step(processor), { reason: "step", processor });
		assert.equal(machine.domains.list()[0]!.state, "running");
		assert.ok(machine.host.now() >= 1_000_000);
		assert.deepEqual(machine.run(1000), { reason: "poweroff" });
	}
});

test("hypercalls that make much work use up the budget of a run", () => {
	// xen_version for ever.
	const call = callHypercall(true, "xen_version", 0, 0);
	const machine = new TestMachine({ wide: true, code: [...call, 0xeb, 0x100 - call.length - 2] });
	const { hypervisor } = machine;
	let calls = 0;
	hypervisor.hypercalls.register("xen_version", () => {
		calls++;
		hypervisor.tables.work += 1 << 20;
		return 0;
	});
	machine.run(1);
	calls = 0;
	assert.equal(machine.run(100_000), undefined);
	assert.ok(calls >= 1 && calls <= 3, `${calls} calls`);
});

describe("writes of a kernel to its own level-1 tables", () => {
	/** The entry of the data page, its linear address found by the test, is written by MOV or BTS as the code is given. */
	function machineWriting(target: "data page" | "foreign frame"): {
		machine: TestMachine;
		l1: number;
		index: number;
		value: bigint;
	} {
		// mov %rax, (%rbx); then the end.
		const machine = new TestMachine({ wide: true, code: [0x48, 0x89, 0x03, 0x90, ...powerOff(true)] });
		const { hypervisor } = machine;
		const domain = hypervisor.domains.get(1)!;
		const l1 = [...Array(2048).keys()]
			.map((page) => domain.physicalToMachine[page]!)
			.find((frame) => hypervisor.frames.type[frame] === PageType.l1 && leadsTo(hypervisor.memory.read(frame, 0)))!;
		function leadsTo(low: number): boolean {
			return low >>> 12 === domain.physicalToMachine[0];
		}
		const index = 0x102;
		const page = hypervisor.control.machineToPhysical(l1);
		const frame = target === "data page" ? domain.physicalToMachine[0x123]! : 3;
		const value = BigInt(frame) * 4096n + 0x63n;
		const { state } = hypervisor.control;
		state.i64[(State.gpr >> 3) + 0] = value;
		state.i64[(State.gpr >> 3) + 3] = BigInt.asIntN(64, WIDE_BASE + BigInt(page) * 4096n + BigInt(index * 8));
		return { machine, l1, index, value };
	}

	test("are done and counted when the entry is allowed", () => {
		const { machine, l1, index, value } = machineWriting("data page");
		machine.step(VCPU);
		const low = machine.hypervisor.memory.read(l1, index * 2);
		assert.equal(low >>> 12, Number(value >> 12n));
		assert.equal(low & 4, 4, "it is a user page for the hardware");
		assert.equal(machine.processors()[0]!.linearInstructionPointer(), WIDE_BASE + BigInt(CODE + 3));
		assert.equal(machine.hypervisor.pageTableWrites.count, 1);
		assert.equal(machine.hypervisor.pageTableWrites.isOpen, false);
		const leaf = machine.processors()[0]!.walk(WIDE_BASE + BigInt(DATA))[0]!.result!;
		assert.equal(leaf.address.value >> 12n, value >> 12n);
	});

	test("give the guest a page fault, and change nothing, when it is not", () => {
		const { machine, l1, index } = machineWriting("foreign frame");
		const before = machine.hypervisor.memory.read(l1, index * 2);
		const stop = machine.run(20);
		assert.ok(stop?.reason === "halted");
		assert.match(
			stop.description,
			/domain 1 crashed: #PF on 0xffffffff8\w+ at 0xffffffff80100000, for which it has no handler/,
		);
		assert.equal(machine.hypervisor.memory.read(l1, index * 2), before);
		assert.equal(machine.processors()[PCPU - 1]!.kind, "pcpu");
	});
});

describe("a frame that the processor refuses", () => {
	const data = WIDE_BASE + BigInt(DATA);
	/** The frame of an iret hypercall at `data`: RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS. */
	function badFrame(): Uint8Array {
		const words = [0n, 0n, 0n, 0n, 1n << 63n, 0xe030n, 0x202n, data + 0x800n, 0xe02bn];
		const bytes = new Uint8Array(words.length * 8);
		const view = new DataView(bytes.buffer);
		words.forEach((word, index) => {
			view.setBigUint64(index * 8, word, true);
		});
		return bytes;
	}
	const quad = (value: bigint) => Array.from({ length: 8 }, (_, byte) => Number((value >> BigInt(byte * 8)) & 255n));
	/** mov $data, %rsp; mov $23, %eax; syscall */
	const jump = [0x48, 0xbc, ...quad(data), 0xb8, 23, 0, 0, 0, 0x0f, 0x05];

	test("ends a domain without failsafe callback", () => {
		const stop = new TestMachine({ wide: true, code: jump, data: badFrame() }).run(100);
		assert.ok(stop?.reason === "halted");
		assert.match(stop.description, /domain 1 crashed: it cannot go on at e033:0x8000000000000000 \(exception 13\)/);
	});

	test("goes to the failsafe callback of one that has it, any number of times", () => {
		const begin = callHypercall(true, "set_callbacks", 0, WIDE_BASE + BigInt(CODE + 0x200), 0);
		// dec %ebp; jnz 1f; then the end; 1: the same again.
		const end = powerOff(true);
		const handler = [0xff, 0xcd, 0x75, end.length, ...end, ...jump];
		const code = [0xbd, 20, 0, 0, 0, ...begin, ...jump];
		const whole = [...code, ...new Array(0x200 - code.length).fill(0x90), ...handler];
		const machine = new TestMachine({ wide: true, code: whole, data: badFrame() });
		assert.deepEqual(machine.run(2000), { reason: "poweroff" });
		assert.equal((machine.statistics().hypercalls as Record<string, number>).iret, 20);
	});
});

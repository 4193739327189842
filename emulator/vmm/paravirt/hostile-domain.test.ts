// A domain that does anything: random instructions and hypercalls in the ring of its kernel and of its users. Whatever happens, the
// hypervisor goes on, its own pages and its neighbour's keep their bytes, and every count is what a recount gives.
// HYPERSCOPE_CASES: fragments for each kind of kernel; HYPERSCOPE_SEED: which ones, printed when an assertion fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HostMachine } from "../../machine/host-machine.ts";
import type { Domain } from "./domain.ts";
import { DomainBuilder } from "./domain-builder.ts";
import { InformationHypercalls } from "./hypercalls/information-hypercalls.ts";
import { MemoryHypercalls } from "./hypercalls/memory-hypercalls.ts";
import { PageTableHypercalls } from "./hypercalls/page-table-hypercalls.ts";
import { ProcessorHypercalls } from "./hypercalls/processor-hypercalls.ts";
import { SchedulingHypercalls } from "./hypercalls/scheduling-hypercalls.ts";
import { Hypervisor } from "./hypervisor.ts";
import { recount } from "./memory/test-domain.ts";
import { parsePvImage } from "./pv-image.ts";
import { CODE, COMPAT_BASE, DATA, testKernelFile, WIDE_BASE } from "./test-kernel.ts";
import { VMM_LINEAR, VmmArea } from "./vmm-layout.ts";

const CASES = Number(process.env.HYPERSCOPE_CASES ?? 1500);
const SEED = Number(process.env.HYPERSCOPE_SEED ?? 0);
/** Fragments for which one machine is used: a domain that has spoilt its own tables is of no further use. */
const PER_MACHINE = 100;
const INSTRUCTIONS = 200;
const PAGES = 0x600;
/** Offset in the code page of what every trap leads to. */
const HANDLER = 0x800;

class Random {
	constructor(private state: number) {}

	below(limit: number): number {
		this.state = (Math.imul(this.state, 1103515245) + 12345) & 0x7fffffff;
		return (this.state >>> 7) % limit;
	}

	pick<T>(list: readonly T[]): T {
		return list[this.below(list.length)]!;
	}
}

/** Instructions that go deep into the hypervisor, as bytes; of both sizes of code unless they begin with REX. */
const DEEP: readonly (readonly number[])[] = [
	[0x0f, 0x22, 0xd8], // mov %eax, %cr3
	[0x0f, 0x20, 0xd8],
	[0x0f, 0x22, 0xc0],
	[0x0f, 0x23, 0xf8], // mov %eax, %dr7
	[0x0f, 0x23, 0xc0],
	[0x0f, 0x06], // clts
	[0x0f, 0x32], // rdmsr
	[0x0f, 0x30],
	[0x0f, 0x01, 0xf8], // swapgs
	[0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2], // forced cpuid
	[0x8e, 0xd0], // mov %eax, %ss
	[0x8e, 0xd8],
	[0x8e, 0xe8],
	[0x0f, 0x00, 0xd0], // lldt
	[0x0f, 0x01, 0x13], // lgdt
	[0xcf], // iret
	[0x48, 0xcf],
	[0xcb], // lret
	[0x9d], // popf
	[0xfb],
	[0xf4],
	[0xee],
	[0x6d],
	[0xf3, 0x6e],
	[0xf1],
	[0xcc],
	[0xcd, 0x80],
	[0xcd, 0x82],
	[0xcd, 0x0e],
	[0xcd, 0xe0],
	[0x0f, 0x05], // syscall
	[0x0f, 0x05],
	[0x0f, 0x34], // sysenter
	[0x89, 0x03], // mov %eax, (%ebx)
	[0x87, 0x03],
	[0xf0, 0x0f, 0xb1, 0x0b],
	[0x0f, 0xc7, 0x0b],
	[0x0f, 0xae, 0x03], // fxsave (%ebx)
	[0xdd, 0x33], // fnsave
	[0xf3, 0xab],
	[0xf3, 0xa4],
	[0x60],
	[0xc8, 16, 0, 3],
	[0xea, 0, 0, 0, 0, 0x33, 0xe0],
];

/** A host with two domains: the hostile one, and one that only has memory. */
class Bench {
	readonly hypervisor: Hypervisor;
	readonly domain: Domain;
	readonly base: bigint;
	private readonly neighbour: number[] = [];
	private readonly own: readonly (readonly [frame: number, bytes: Uint8Array])[];

	constructor(readonly wide: boolean) {
		const host = new HostMachine({
			memoryBytes: 16 << 20,
			onSerial: () => {},
			onDebugConsole: () => {},
			onReset: () => {},
		});
		this.hypervisor = new Hypervisor(host, {
			event: () => false,
			record: () => {},
			domainEnded: () => {},
			halted: () => {},
		});
		const { hypervisor } = this;
		for (const part of [
			new PageTableHypercalls(hypervisor),
			new ProcessorHypercalls(hypervisor),
			new MemoryHypercalls(hypervisor),
			new SchedulingHypercalls(hypervisor),
			new InformationHypercalls(hypervisor),
		])
			hypervisor.hypercalls.registerAll(part.handlers);
		this.base = wide ? WIDE_BASE : COMPAT_BASE;
		this.domain = hypervisor.createDomain(1, "domain 1", wide, false, PAGES);
		const image = parsePvImage({ name: "hostile.elf", bytes: testKernelFile({ wide, code: [0xeb, 0xfe] }) });
		const builder = new DomainBuilder(hypervisor, this.domain, image);
		builder.build({});
		builder.finish();
		const other = hypervisor.createDomain(2, "domain 2", !wide, false, 64);
		other.state = "blocked";
		for (let page = 0; page < 64; page++) {
			const frame = hypervisor.allocate(other);
			hypervisor.memory.store(frame, 0, new Uint8Array(4096).fill(page + 1));
			this.neighbour.push(frame);
		}
		hypervisor.start();
		if (wide) hypervisor.loadGuestRoot(this.domain, this.domain.vcpu.root, true);
		this.own = [VmmArea.entry, VmmArea.entry + 4096, VmmArea.interruptDescriptorTable, VmmArea.taskState].map(
			(offset) => {
				const high = Number(BigInt.asIntN(32, VMM_LINEAR >> 32n));
				const frame = host.processor.core.paging.translateFrame(offset, high, 256);
				return [frame, hypervisor.memory.bytes(frame).slice()] as const;
			},
		);
	}

	/** Runs a fragment from the start of the code page, in the kernel's or the users' ring; every trap goes to another one. */
	run(code: readonly number[], handler: readonly number[], registers: readonly bigint[], user: boolean): void {
		const { hypervisor, domain, base, wide } = this;
		const { host, frame } = hypervisor;
		const page = domain.physicalToMachine[CODE / 4096]!;
		if (page >= 0 && hypervisor.frames.owner[page] === 1) {
			const whole = new Uint8Array(4096).fill(0x90);
			whole.set(code.slice(0, HANDLER));
			whole.set(handler.slice(0, HANDLER), HANDLER);
			hypervisor.memory.store(page, 0, whole);
		}
		const { vcpu } = domain;
		const to = { selector: wide ? 0xe033 : 0xe019, address: base + BigInt(CODE + HANDLER), dpl: 3, masksEvents: false };
		for (const vector of [...Array(20).keys(), 0x80]) vcpu.traps[vector] ??= to;
		vcpu.syscallCallback ??= to;
		vcpu.failsafeCallback ??= to;
		vcpu.kernelSp = base + BigInt(DATA + 0xa00);
		if (!wide) vcpu.kernelSs = 0xe021;
		domain.state = hypervisor.current === domain ? "running" : "runnable";
		hypervisor.scheduler.wanted = true;
		if (hypervisor.current === undefined) hypervisor.start();
		const { state } = hypervisor.control;
		registers.forEach((value, register) => {
			state.setGpr64(register, BigInt.asIntN(64, wide ? value : value & 0xffffffffn));
		});
		hypervisor.control.enterRing0();
		hypervisor.inside = true;
		if (wide) hypervisor.entry.switchMode(domain, !(user && vcpu.userRoot >= 0));
		const selectors = wide ? [0xe033, 0xe02b] : user ? [0xe02b, 0xe033] : [0xe019, 0xe021];
		Object.assign(frame, {
			rip: base + BigInt(CODE),
			cs: selectors[0],
			ss: selectors[1],
			rflags: 0x202,
			rsp: base + BigInt(DATA + 0x800),
		});
		hypervisor.start();
		for (let entries = 0, end = host.engine.retired + INSTRUCTIONS; host.engine.retired < end && entries < 60; ) {
			const stop = host.run(end - host.engine.retired);
			if (stop?.kind === "host-entry") {
				hypervisor.enter();
				entries++;
			} else if (stop?.kind === "halted" || domain.ended) break;
			else assert.equal(stop, undefined);
		}
		if (!hypervisor.inside && host.processor.core.state.cpl === 0 && hypervisor.current !== undefined)
			hypervisor.enter();
	}

	check(where: string): void {
		const { hypervisor, domain } = this;
		for (const [frame, bytes] of this.own)
			assert.deepEqual(hypervisor.memory.bytes(frame), bytes, `the hypervisor's page, ${where}`);
		this.neighbour.forEach((frame, page) => {
			assert.ok(
				hypervisor.memory.bytes(frame).every((byte) => byte === page + 1),
				`page ${page} of the neighbour, ${where}`,
			);
		});
		const held = new Map<number, number>();
		const hold = (frame: number) => frame >= 0 && held.set(frame, (held.get(frame) ?? 0) + 1);
		const { vcpu } = domain;
		for (const frame of [vcpu.root, vcpu.userRoot, ...vcpu.gdtFrames, ...vcpu.ldtFrames]) hold(frame);
		if (vcpu.infoFrame !== domain.sharedInfoFrame) hold(vcpu.infoFrame);
		if (!hypervisor.pageTableWrites.isOpen)
			assert.deepEqual(recount(hypervisor.memory, hypervisor.frames, hypervisor.domains, held), [], where);
	}
}

for (const wide of [true, false]) {
	test(`random code of a ${wide ? 64 : 32}-bit domain harms neither the hypervisor nor a neighbour`, () => {
		const random = new Random(SEED * 100 + (wide ? 64 : 32));
		let bench = new Bench(wide);
		let hypercalls = 0;
		for (let fragment = 0; fragment < CASES; fragment++) {
			if (fragment % PER_MACHINE === 0) {
				hypercalls += [...bench.hypervisor.hypercalls.counts.values()].reduce((sum, count) => sum + count, 0);
				bench = new Bench(wide);
			}
			const { domain, base, hypervisor } = bench;
			const value = (): bigint => {
				const frame = BigInt(random.pick(domain.physicalToMachine) ?? 5);
				switch (random.below(8)) {
					case 0:
						return base + BigInt(random.below(PAGES) * 4096 + random.below(512) * 8);
					case 1:
						return frame;
					case 2:
						return frame * 4096n + BigInt(random.below(4096));
					case 3:
						return base + BigInt(DATA + random.below(64) * 8);
					case 4:
						return 0xffff828000000000n + BigInt(random.below(0x6000));
					case 5:
						return BigInt(random.pick(wide ? [vcpuRoot(domain), 0x7ff0] : [0xf5800000, 0xfffff000, vcpuRoot(domain)]));
					default:
						return BigInt(random.below(40));
				}
			};
			const fragmentOf = (parts: number): number[] => {
				const code: number[] = [];
				for (let part = parts; part > 0; part--) {
					if (random.below(3) === 0)
						for (let byte = random.below(6) + 1; byte > 0; byte--) code.push(random.below(256));
					else if (random.below(2) === 0)
						code.push(0xb8, random.below(42), 0, 0, 0, ...(wide ? [0x0f, 0x05] : [0xcd, 0x82]));
					else code.push(...random.pick(DEEP));
				}
				return code;
			};
			const code = fragmentOf(random.below(8) + 1);
			const handler = fragmentOf(random.below(6) + 1);
			const data = domain.physicalToMachine[DATA / 4096]!;
			if (data >= 0 && hypervisor.frames.owner[data] === 1 && hypervisor.frames.type[data] === 6)
				for (let index = 0; index < 64; index++) {
					const word = value();
					hypervisor.memory.writeEntry(
						data,
						index,
						Number(BigInt.asIntN(32, word)),
						Number(BigInt.asIntN(32, word >> 32n)),
					);
				}
			bench.run(code, handler, Array.from({ length: 16 }, value), random.below(3) === 0);
			if (fragment % 20 === 19) bench.check(`HYPERSCOPE_SEED=${SEED}, fragment ${fragment}`);
		}
		assert.ok(hypercalls > CASES, `${hypercalls} hypercalls were made`);
	});
}

function vcpuRoot(domain: Domain): number {
	return domain.vcpu.root;
}

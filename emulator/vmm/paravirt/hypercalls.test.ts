import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Domain } from "./domain.ts";
import { HypercallContext } from "./hypercall.ts";
import { FrameFlag, PageType } from "./memory/frame-table.ts";
import { findLeaf } from "./memory/page-tables.ts";
import { recount } from "./memory/test-domain.ts";
import { COMPAT_BASE, callHypercall, DATA, powerOff, TestMachine, WIDE_BASE } from "./test-kernel.ts";
import { VMM_LINEAR } from "./vmm-layout.ts";
import { Errno, Hypercall, type HypercallName } from "./xen-abi.ts";

const FOREVER = [0xeb, 0xfe];

/** A machine whose kernel does nothing, and hypercalls on its behalf. */
class Bench {
	readonly machine: TestMachine;
	readonly domain: Domain;
	readonly base: bigint;

	constructor(readonly wide: boolean) {
		this.machine = new TestMachine({ wide, code: FOREVER });
		this.machine.run(10);
		this.domain = this.hypervisor.domains.get(1)!;
		this.base = wide ? WIDE_BASE : COMPAT_BASE;
	}

	get hypervisor() {
		return this.machine.hypervisor;
	}

	call(name: HypercallName, ...args: readonly (number | bigint)[]): number | bigint {
		let values: readonly bigint[] = args.map((value) => BigInt.asUintN(this.wide ? 64 : 32, BigInt(value)));
		for (;;) {
			const context = new HypercallContext(this.domain, this.hypervisor.guestMemory, values);
			const result = this.hypervisor.hypercalls.find(Hypercall[name])!(context);
			if (!context.continuation) return result;
			values = context.continuation;
		}
	}

	/** Linear address in the data page, where words are put. */
	put(offset: number, ...words: readonly (number | bigint)[]): bigint {
		const at = this.base + BigInt(DATA + offset);
		assert.ok(this.hypervisor.guestMemory.writeWords(at, this.wide ? 8 : 4, ...words));
		return at;
	}

	bytes(offset: number, bytes: readonly number[]): bigint {
		const at = this.base + BigInt(DATA + offset);
		assert.ok(this.hypervisor.guestMemory.write(at, Uint8Array.from(bytes)));
		return at;
	}

	read(offset: number, length: number): DataView {
		return this.hypervisor.guestMemory.view(this.base + BigInt(DATA + offset), length)!;
	}

	/** Machine frame of a pseudo-physical page. */
	frame(page: number): number {
		return this.domain.physicalToMachine[page]!;
	}

	/** The level-1 entry that maps a pseudo-physical page at the kernel's base: [frame, index]. */
	leaf(page: number): readonly [number, number] {
		const root = this.wide ? this.domain.vcpu.root : this.domain.monitorRoot;
		return findLeaf(this.hypervisor.memory, root, this.base + BigInt(page) * 4096n)!;
	}

	/** mmu_update with one request; the words are 64 bits wide in both ABIs. */
	update(pointer: number | bigint, value: number | bigint, domain = 0x7ff0): number | bigint {
		const bytes = new Uint8Array(16);
		const view = new DataView(bytes.buffer);
		view.setBigUint64(0, BigInt(pointer), true);
		view.setBigUint64(8, BigInt(value), true);
		return this.call("mmu_update", this.bytes(0, [...bytes]), 1, 0, domain);
	}

	extended(command: number, first: number | bigint, second: number | bigint = 0): number | bigint {
		return this.call("mmuext_op", this.put(0, command, first, second), 1, 0, 0x7ff0);
	}

	recount(): string[] {
		const { domain, hypervisor } = this;
		const held = new Map<number, number>();
		const hold = (frame: number) => frame >= 0 && held.set(frame, (held.get(frame) ?? 0) + 1);
		const { vcpu } = domain;
		for (const frame of [vcpu.root, vcpu.userRoot, ...vcpu.gdtFrames, ...vcpu.ldtFrames]) hold(frame);
		// What xenstore and the console write to.
		for (const { frame } of [domain.store, domain.console]) hold(frame);
		if (vcpu.infoFrame !== domain.sharedInfoFrame) hold(vcpu.infoFrame);
		return recount(hypervisor.memory, hypervisor.frames, hypervisor.domains, held);
	}
}

for (const wide of [true, false]) {
	describe(`hypercalls of a ${wide ? 64 : 32}-bit kernel`, () => {
		test("a kernel prints and powers off", () => {
			const base = wide ? WIDE_BASE : COMPAT_BASE;
			const text = "good morning\n";
			const data = new TextEncoder().encode(text);
			const code = [...callHypercall(wide, "console_io", 0, text.length, base + BigInt(DATA)), ...powerOff(wide)];
			const machine = new TestMachine({ wide, code, data });
			assert.deepEqual(machine.run(10_000), { reason: "poweroff" });
			assert.equal(machine.output, "good morning\r\n");
			assert.deepEqual(machine.statistics().hypercalls, { console_io: 1, sched_op: 1 });
			const logged = machine.events.read({ kinds: ["hypercall"], limit: 9 }).map(({ reason }) => reason);
			assert.deepEqual(logged, ["sched_op", "console_io"]);
		});

		test("what the builder makes is counted right, and its page tables are mapped read-only", () => {
			const bench = new Bench(wide);
			assert.deepEqual(bench.recount(), []);
			const types = bench.machine.domains.list()[0]!.pageTypes;
			assert.ok(
				types.some(
					({ type, pages, pinned }) =>
						type === (wide ? "L4 page table" : "L3 page table") && pages === 1 && pinned === 1,
				),
			);
			const [table] = bench.leaf(0x100);
			assert.equal(bench.hypervisor.frames.type[table], PageType.l1);
			const page = bench.hypervisor.control.machineToPhysical(table);
			const [l1, index] = bench.leaf(page);
			assert.equal(bench.hypervisor.memory.read(l1, index * 2) & 3, 1);
		});

		test("mmu_update changes entries, refuses what a table may not hold, and writes the machine-to-physical table", () => {
			const bench = new Bench(wide);
			const [l1, index] = bench.leaf(0x200);
			const pointer = BigInt(l1) * 4096n + BigInt(index * 8);
			assert.equal(bench.update(pointer, 0), 0);
			assert.equal(bench.hypervisor.memory.read(l1, index * 2), 0);
			assert.equal(bench.update(pointer, BigInt(bench.frame(0x201)) * 4096n + 3n), 0);
			assert.equal(bench.update(pointer, BigInt(l1) * 4096n + 3n), -Errno.EINVAL, "its own table, writable");
			assert.equal(bench.update(pointer, 3n), -Errno.EINVAL, "a frame of the hypervisor's");
			assert.equal(bench.update(pointer, 1n << 45n), 0, "not present: any value");
			assert.equal(bench.update((BigInt(bench.frame(0x300)) * 4096n) | 1n, 0x777), 0);
			assert.equal(bench.domain.physicalToMachine[0x777], bench.frame(0x777));
			assert.equal(bench.hypervisor.control.machineToPhysical(bench.frame(0x777)), 0x777);
			assert.equal(bench.update(1n << 40n, 0), -Errno.EINVAL);
			assert.deepEqual(bench.recount(), []);
		});

		test("mmuext_op pins and unpins, loads roots, clears and copies pages", () => {
			const bench = new Bench(wide);
			const { frames } = bench.hypervisor;
			const free = bench.frame(0x240);
			const [l1, index] = bench.leaf(0x240);
			assert.equal(bench.extended(0, free), -Errno.EINVAL, "it is mapped writable");
			assert.equal(bench.extended(16, free), 0, "clear page");
			assert.equal(bench.extended(17, free, bench.frame(0x100)), 0, "copy page");
			assert.deepEqual(
				bench.hypervisor.memory.bytes(free, 0, 16),
				bench.hypervisor.memory.bytes(bench.frame(0x100), 0, 16),
			);
			assert.equal(bench.extended(16, free), 0);
			assert.equal(bench.update(BigInt(l1) * 4096n + BigInt(index * 8), BigInt(free) * 4096n + 1n), 0);
			assert.equal(bench.extended(0, free), 0);
			assert.equal(frames.type[free], PageType.l1);
			assert.equal(bench.extended(16, free), -Errno.EINVAL, "a table cannot be cleared");
			assert.equal(bench.extended(4, free), 0);
			assert.equal(bench.extended(5, bench.domain.vcpu.root), 0);
			assert.equal(bench.extended(5, bench.frame(0x241)), -Errno.EINVAL);
			assert.equal(bench.extended(3, bench.domain.vcpu.root), -Errno.EINVAL, "pinned already, or no level 4");
			assert.equal(bench.extended(15, bench.domain.vcpu.root), wide ? 0 : -Errno.EOPNOTSUPP);
			assert.equal(bench.extended(13, 0, 9000), -Errno.EINVAL);
			for (const flush of [6, 8, 10]) assert.equal(bench.extended(flush, 0), 0);
			for (const flush of [7, 9, 11]) assert.equal(bench.extended(flush, bench.base), 0);
			assert.equal(bench.extended(99, 0), -Errno.ENOSYS);
			assert.deepEqual(bench.recount(), []);
		});

		test("a batch stops at the first request that fails, and says how many were done", () => {
			const bench = new Bench(wide);
			const size = wide ? 24 : 12;
			const word = wide ? 8 : 4;
			bench.put(0, 6, 0, 0);
			bench.put(size, 99, 0, 0);
			bench.put(2 * size, 6, 0, 0);
			const at = bench.base + BigInt(DATA);
			assert.equal(bench.call("mmuext_op", at, 3, at + 256n, 0x7ff0), -Errno.ENOSYS);
			assert.equal(bench.read(256, word).getUint32(0, true), 1);
			assert.equal(bench.call("mmuext_op", at, 1, 0x1000, 0x7ff0), -Errno.EFAULT, "a wild pointer for the count");
			assert.equal(bench.call("mmuext_op", 0x10, 1, 0, 0x7ff0), -Errno.EFAULT, "a wild pointer for the requests");
		});

		test("update_va_mapping changes the entry that maps an address", () => {
			const bench = new Bench(wide);
			const address = bench.base + 0x250000n;
			const value = BigInt(bench.frame(0x123)) * 4096n + 1n;
			const map = (to: bigint) =>
				wide
					? bench.call("update_va_mapping", address, to, 2)
					: bench.call("update_va_mapping", address, to & 0xffffffffn, to >> 32n, 2);
			assert.equal(map(value), 0);
			const [l1, index] = bench.leaf(0x250);
			assert.equal(bench.hypervisor.memory.read(l1, index * 2) >>> 12, bench.frame(0x123));
			assert.equal(map(5n * 4096n + 1n), -Errno.EINVAL);
			assert.equal(bench.call("update_va_mapping", 0x123456000, 0, 0, 0), -Errno.EINVAL, "nothing maps it");
			assert.deepEqual(bench.recount(), []);
		});

		test("traps, callbacks and stacks are kept; a trap without handler ends the domain", () => {
			const bench = new Bench(wide);
			const entry = wide
				? [14, 4, 0x33, 0xe0, 0, 0, 0, 0, ...[0x00, 0x10, 0x00, 0x81, 0xff, 0xff, 0xff, 0xff], ...new Array(16).fill(0)]
				: [14, 4, 0x19, 0xe0, 0x00, 0x10, 0x00, 0xc1, ...new Array(8).fill(0)];
			assert.equal(bench.call("set_trap_table", bench.bytes(0, entry)), 0);
			assert.deepEqual(bench.domain.vcpu.traps[14], {
				selector: wide ? 0xe033 : 0xe019,
				address: wide ? 0xffffffff81001000n : 0xc1001000n,
				dpl: 0,
				masksEvents: true,
			});
			assert.equal(bench.call("set_trap_table", 0), 0);
			assert.equal(bench.domain.vcpu.traps[14], undefined);
			assert.equal(bench.call("set_trap_table", 0x20), -Errno.EFAULT);
			assert.equal(bench.call("stack_switch", 0xe020, bench.base + 0x3000n), 0);
			assert.equal(bench.domain.vcpu.kernelSs & 3, wide ? 3 : 1);
			const machine = new TestMachine({ wide, code: [0x0f, 0x0b] });
			const stop = machine.run(100);
			assert.equal(stop?.reason, "halted");
			assert.match(
				stop?.reason === "halted" ? stop.description : "",
				/domain 1 crashed: #UD at 0x\w+, for which it has no handler/,
			);
			assert.equal(machine.domains.list()[0]!.state, "crashed");
		});

		test("descriptor tables: set_gdt takes frames of descriptors, update_descriptor checks one", () => {
			const bench = new Bench(wide);
			const page = 0x180;
			const frame = bench.frame(page);
			assert.equal(bench.call("set_gdt", bench.put(0, frame), 16), -Errno.EINVAL, "it is mapped writable");
			const [l1, index] = bench.leaf(page);
			bench.update(BigInt(l1) * 4096n + BigInt(index * 8), BigInt(frame) * 4096n + 1n);
			assert.equal(bench.call("set_gdt", bench.put(0, frame), 16), 0);
			assert.equal(bench.hypervisor.frames.type[frame], PageType.descriptors);
			assert.equal(bench.call("set_gdt", bench.put(0, frame), 8000), -Errno.EINVAL);
			const address = BigInt(frame) * 4096n + 24n;
			const set = (low: number, high: number, at = address) =>
				wide
					? bench.call("update_descriptor", at, (BigInt(high) << 32n) | BigInt(low))
					: bench.call("update_descriptor", at, 0, low, high);
			assert.equal(set(0xffff, 0x00cf9300), 0);
			assert.equal(bench.hypervisor.memory.read(frame, 7) & 0x6000, wide ? 0x6000 : 0x2000, "the DPL is put right");
			assert.equal(set(0x100000, 0xec00), -Errno.EINVAL, "a call gate");
			assert.equal(set(0xffff, 0x00cf9300, address + 4n), -Errno.EINVAL, "not aligned");
			assert.deepEqual(bench.recount(), []);
		});

		test("memory_op gives and takes frames within the quota", () => {
			const bench = new Bench(wide);
			const { domain } = bench;
			const [l1, index] = bench.leaf(0x260);
			const frame = bench.frame(0x260);
			const reservation = (...extents: number[]): bigint => {
				const list = bench.put(512, ...extents);
				if (wide) return bench.put(0, list, extents.length, 0, 0x7ff0);
				return bench.put(0, list, extents.length, 0, 0, 0x7ff0);
			};
			const before = domain.pages;
			assert.equal(bench.call("memory_op", 1, reservation(frame)), 1);
			assert.equal(domain.pages, before, "it is still mapped");
			assert.equal(bench.update(BigInt(l1) * 4096n + BigInt(index * 8), 0), 0);
			assert.equal(domain.pages, before - 1);
			assert.equal(domain.physicalToMachine[0x260], -1);
			assert.equal(bench.call("memory_op", 1, reservation(frame)), 0, "it is no longer its own");
			assert.equal(bench.call("memory_op", 6, reservation(0x260, 0x261)), 1, "one fits in the quota");
			assert.equal(domain.pages, before);
			assert.ok(bench.frame(0x260) >= 0);
			assert.equal(bench.call("memory_op", 1, reservation(domain.sharedInfoFrame)), 0, "the hypervisor uses it");
			assert.equal(bench.call("memory_op", 12, bench.put(0, 0, 0, 0)), 0);
			assert.equal(bench.call("memory_op", 55, 0), -Errno.ENOSYS);
			assert.deepEqual(bench.recount(), []);
		});

		test("vcpu_info can be moved once, and only to a frame of the domain's", () => {
			const bench = new Bench(wide);
			const register = (frame: number, offset: number) =>
				bench.call(
					"vcpu_op",
					10,
					0,
					bench.bytes(0, [
						frame & 255,
						(frame >> 8) & 255,
						(frame >> 16) & 255,
						0,
						0,
						0,
						0,
						0,
						offset & 255,
						offset >> 8,
						0,
						0,
					]),
				);
			assert.equal(register(3, 0), -Errno.EINVAL);
			assert.equal(register(bench.frame(0x650), 4090), -Errno.EINVAL);
			assert.equal(register(bench.frame(0x650), 64), 0);
			assert.equal(register(bench.frame(0x651), 64), -Errno.EINVAL);
			assert.equal(bench.domain.vcpu.infoFrame, bench.frame(0x650));
			assert.deepEqual(bench.recount(), []);
		});

		test("random hypercalls with random arguments keep to the domain's memory and its counts", () => {
			const bench = new Bench(wide);
			const { hypervisor, domain } = bench;
			const neighbour = hypervisor.createDomain(2, "domain 2", wide, false, 64);
			const foreign: number[] = [];
			for (let page = 0; page < 64; page++) {
				const frame = hypervisor.allocate(neighbour);
				if (frame < 0) break;
				hypervisor.memory.store(frame, 0, new Uint8Array(4096).fill(page + 1));
				hypervisor.setPhysical(neighbour, frame, page);
				foreign.push(frame);
			}
			assert.ok(foreign.length > 8);
			const vmm = Array.from({ length: 4 }, (_, page) =>
				Math.floor(
					hypervisor.host.processor.core.paging.translate(
						page * 4096,
						Number(BigInt.asIntN(32, VMM_LINEAR >> 32n)),
						256,
					) / 4096,
				),
			);
			const vmmBytes = vmm.map((frame) => hypervisor.memory.bytes(frame).slice());
			const first = wide ? 4711 : 815;
			let seed = first;
			const random = (below: number): number => {
				seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
				return (seed >>> 7) % below;
			};
			const frames = [...domain.physicalToMachine, ...foreign, 3, 0xfffff];
			const word = (): bigint => {
				switch (random(9)) {
					case 0:
						return bench.base + BigInt(DATA + random(512) * 8);
					case 1:
						return BigInt(frames[random(frames.length)]!);
					case 2:
						return BigInt(frames[random(frames.length)]!) * 4096n + BigInt(random(4096));
					case 3:
						return bench.base + BigInt(random(0x800)) * 4096n;
					case 4:
						return BigInt.asUintN(64, BigInt(random(1 << 24)) * 0x1_0001_0001_0001n);
					case 5:
						return 0x7ff0n;
					default:
						return BigInt(random(64));
				}
			};
			const names = (Object.keys(Hypercall) as HypercallName[]).filter((name) =>
				hypervisor.hypercalls.find(Hypercall[name]),
			);
			const cut = wide ? 64 : 32;
			for (let step = 0; step < 4000 && !domain.ended; step++) {
				for (let offset = 0; offset < 256; offset += 8)
					bench.hypervisor.guestMemory.writeWords(bench.base + BigInt(DATA + offset), 8, word());
				const name = names[random(names.length)]!;
				// What ends the domain or changes where it goes on is not asked for here.
				if (name === "iret" || name === "sched_op" || name === "sched_op_compat") continue;
				const args = Array.from({ length: 6 }, () => BigInt.asUintN(cut, word()));
				const context = new HypercallContext(domain, hypervisor.guestMemory, args);
				const result = hypervisor.hypercalls.find(Hypercall[name])!(context);
				assert.ok(typeof result === "number" || typeof result === "bigint", `seed ${first}, step ${step}: ${name}`);
				if (step % 200 === 0) assert.deepEqual(grantFree(bench), [], `seed ${first}, step ${step}: ${name}`);
			}
			assert.deepEqual(grantFree(bench), [], `seed ${first}`);
			foreign.forEach((frame, page) => {
				assert.ok(
					hypervisor.memory.bytes(frame).every((byte) => byte === page + 1),
					`seed ${first}: page ${page} of the neighbour`,
				);
				assert.equal(hypervisor.frames.owner[frame], 2);
			});
			vmm.forEach((frame, page) => {
				const bytes = hypervisor.memory.bytes(frame);
				assert.deepEqual(bytes, vmmBytes[page], `seed ${first}: the hypervisor's page ${page}`);
			});
			assert.ok(domain.pages <= domain.maximumPages);
		});
	});
}

/** What a recount finds wrong, but for what grants in use hold. */
function grantFree(bench: Bench): string[] {
	const { frames } = bench.hypervisor;
	return bench.recount().filter((line) => !frames.has(Number(/frame (\d+)/.exec(line)![1]), FrameFlag.shared));
}

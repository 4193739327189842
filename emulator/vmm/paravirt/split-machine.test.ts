// The machine with Domain 0 and a guest: what views and the log show of their channels and grants, what is left after a crash,
// and that no grant or event operation of the guest reaches what is not its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import fc from "fast-check";
import { GrantStatus } from "./grant-tables.ts";
import { HypercallContext } from "./hypercall.ts";
import { FrameFlag } from "./memory/frame-table.ts";
import { ParavirtualMachine } from "./paravirtual-machine.ts";

const sample = (name: string) => ({
	name: `${name}.elf`,
	bytes: new Uint8Array(readFileSync(new URL(`../../../extension/samples/${name}/${name}.elf`, import.meta.url))),
});

function start(domain0Append?: string) {
	const disk = new Uint8Array(2048 * 512);
	disk.set(new TextEncoder().encode("a disk"));
	const machine = new ParavirtualMachine({
		image: sample("xen32"),
		vmm: "pv",
		io: "split",
		memory: 16 << 20,
		disks: [{ name: "disk.img", bytes: disk }],
		domain0: sample("dom0"),
		...(domain0Append === undefined ? {} : { domain0Append }),
	});
	let output = "";
	machine.onSerialOutput((bytes) => {
		output += new TextDecoder("latin1").decode(bytes);
	});
	const until = (text: string) => {
		for (let tries = 0; tries < 400 && !output.includes(text); tries++) if (machine.run(50_000)) break;
		assert.ok(output.includes(text), output);
	};
	return { machine, until };
}

describe("Domain 0 and a guest", () => {
	const { machine, until } = start();
	const [domain0, guest] = [() => machine.domains.list()[0]!, () => machine.domains.list()[1]!];

	before(() => until("disk: connected"));

	test("the view shows both ends of the channel, the line of the disk and the granted ring", () => {
		const disk = guest().eventChannels.find(({ kind }) => kind === "interdomain")!;
		const back = domain0().eventChannels.find(({ kind }) => kind === "interdomain")!;
		assert.equal(disk.target, `domain 0 port ${back.port}`);
		assert.equal(back.target, `domain 1 port ${disk.port}`);
		assert.equal(domain0().eventChannels.find(({ kind }) => kind === "pirq")?.target, "interrupt line 14");
		assert.ok(guest().eventChannels.some(({ kind }) => kind === "xenstore"));
		const ring = guest().grants.find(({ mapped }) => mapped > 0)!;
		assert.deepEqual(
			{ domain: ring.domain, writable: ring.writable, mapped: ring.mapped },
			{ domain: 0, writable: true, mapped: 1 },
		);
		const mapped = domain0().detail.find(({ name }) => name === "mapped grants");
		assert.deepEqual(mapped?.value, [{ name: `domain 1 reference ${ring.reference}`, value: Number(ring.frame) }]);
		assert.equal(domain0().detail.find(({ name }) => name === "interrupt lines")?.value, "14");
	});

	test("hypercalls of grants and events are decoded in the log", () => {
		const decoded = (reason: string) => machine.events.read({ kinds: ["hypercall"], reason, limit: 400 });
		const maps = decoded("grant_table_op").filter(({ detail }) => detail[0]?.value === "map_grant_ref");
		const first = maps.at(-1)!.detail;
		assert.ok(Array.isArray(first[2]?.value) && first[2].value.some(({ name }) => name === "ref"));
		const bind = decoded("event_channel_op").find(({ detail }) => detail[0]?.value === "bind_pirq")!;
		assert.deepEqual(bind.detail.slice(0, 2), [
			{ name: "command", value: "bind_pirq" },
			{ name: "pirq", value: 14 },
		]);
	});

	test("whatever the guest asks of grants and events, what is not its own stays as it is", () => {
		const { hypervisor } = machine;
		for (let tries = 0; tries < 10_000 && hypervisor.current?.id !== 1; tries++) machine.run(100);
		const caller = hypervisor.domains.get(1)!;
		const { frames, memory } = hypervisor;
		assert.equal(hypervisor.current, caller);
		const granted = new Set(guest().grants.map(({ frame }) => Number(frame)));
		const other = hypervisor.domains.get(0)!;
		const foreign = Array.from({ length: frames.frames }, (_, frame) => frame).filter(
			(frame) =>
				frames.owner[frame] === 0 &&
				!frames.has(frame, FrameFlag.shared) &&
				!granted.has(frame) &&
				frame !== other.store.frame,
		);
		const before = foreign.map((frame) => Buffer.from(memory.bytes(frame)).toString("base64"));
		const page = 0xc0002000n;
		const small = fc.oneof(fc.nat(40), fc.constantFrom(0x7ff0, 4096, 0xffff_ffff), fc.nat(0xffff_ffff));
		fc.assert(
			fc.property(
				fc.constantFrom("grant_table_op", "event_channel_op", "set_timer_op"),
				fc.nat(13),
				fc.array(small, { minLength: 12, maxLength: 12 }),
				fc.oneof(fc.nat(3), small),
				fc.oneof({ weight: 9, arbitrary: fc.constant(page) }, { weight: 1, arbitrary: fc.bigInt(0n, 0xffff_ffffn) }),
				(name, command, words, count, pointer) => {
					hypervisor.guestMemory.write(page, new Uint8Array(Uint32Array.from(words).buffer));
					const numbers = { grant_table_op: 20, event_channel_op: 32, set_timer_op: 15 } as const;
					const handler = hypervisor.hypercalls.find(numbers[name as keyof typeof numbers])!;
					const args = [BigInt(command), pointer, BigInt(count), 0n, 0n, 0n];
					const result = Number(handler(new HypercallContext(caller, hypervisor.guestMemory, args)));
					assert.ok(result <= 0 && result > -200, `${name} ${command}: ${result}`);
				},
			),
			{ seed: 99, numRuns: 4000 },
		);
		const after = foreign.map((frame) => Buffer.from(memory.bytes(frame)).toString("base64"));
		assert.ok(foreign.length > 3000);
		assert.deepEqual(
			foreign.filter((_, i) => before[i] !== after[i]),
			[],
		);
		assert.doesNotThrow(() => machine.run(100_000));
	});
});

test("a back end that is sent anything at all answers all of it, and touches nothing but what is granted", () => {
	const { machine, until } = start();
	until("disk: connected");
	const { hypervisor, services } = machine;
	const { memory, frames, host } = hypervisor;
	const port = services.eventChannels(1).find(({ kind }) => kind === "interdomain")!.port;
	const ring = Number(services.grants(1).find(({ mapped, writable }) => mapped > 0 && writable)!.frame) * 4096;
	const granted = new Set(services.grants(1).map(({ frame }) => Number(frame)));
	const [domain0, guest] = [hypervisor.domains.get(0)!, hypervisor.domains.get(1)!];
	for (let tries = 0; tries < 100 && domain0.state !== "blocked"; tries++) machine.run(20_000);
	// The guest never runs again: what changes from now on is what Domain 0 and the disk do.
	guest.state = "shut down";
	// Something is always to come, so that a machine that only waits is not at its end.
	const beat = (): unknown => host.clock.at(host.now() + 1_000_000, beat);
	beat();
	machine.run(200);
	const own = Array.from({ length: frames.frames }, (_, frame) => frame).filter(
		(frame) => frames.owner[frame] === 1 && !granted.has(frame) && !frames.has(frame, FrameFlag.shared),
	);
	const image = () => own.map((frame) => Buffer.from(memory.bytes(frame)).toString("base64"));
	const before = image();
	const [requests, responses] = [ring, ring + 8];
	const byte = fc.oneof(fc.nat(15), fc.nat(255));
	/** A slot of a 32-bit front end: operation, segments, handle, id, sector, then references and sectors (io/blkif.h). */
	const request = fc
		.tuple(
			fc.constantFrom(0, 0, 1, 1, 3, 7),
			byte,
			fc.oneof(fc.nat(2100), fc.nat(0xffff_ffff)),
			fc.array(fc.tuple(fc.oneof(fc.integer({ min: 8, max: 20 }), fc.nat(0xffff_ffff)), byte, byte), {
				minLength: 11,
				maxLength: 11,
			}),
		)
		.map(([operation, segments, sector, pages]) => {
			const slot = new Uint8Array(108);
			const view = new DataView(slot.buffer);
			slot[0] = operation;
			slot[1] = segments;
			view.setUint32(12, sector, true);
			pages.forEach(([reference, first, last], i) => {
				view.setUint32(20 + 8 * i, reference, true);
				slot[24 + 8 * i] = first;
				slot[25 + 8 * i] = last;
			});
			return slot;
		});
	fc.assert(
		fc.property(fc.array(request, { minLength: 1, maxLength: 32 }), (slots) => {
			const producer = host.physical.read(responses, 4);
			slots.forEach((slot, i) => {
				memory.store(ring / 4096, 64 + ((producer + i) & 31) * 108, slot);
			});
			host.physical.write(requests, 4, producer + slots.length);
			services.channels.send(1, port);
			for (let tries = 0; tries < 50 && host.physical.read(responses, 4) !== producer + slots.length; tries++)
				machine.run(50_000);
			assert.equal(host.physical.read(responses, 4), producer + slots.length);
		}),
		{ seed: 3, numRuns: 40 },
	);
	// More requests than the ring holds: the connection ends, Domain 0 goes on.
	host.physical.write(requests, 4, host.physical.read(responses, 4) + 33);
	services.channels.send(1, port);
	until("lies about its ring");
	for (let tries = 0; tries < 100 && domain0.state !== "blocked"; tries++) machine.run(20_000);
	assert.equal(services.store.text("/local/domain/0/backend/vbd/1/51712/state"), "6");
	assert.equal(domain0.state, "blocked");
	const after = image();
	assert.deepEqual(
		own.filter((_, i) => before[i] !== after[i]),
		[],
	);
});

test("a grant of a page table is not mapped writable, and a granted page does not become one", () => {
	const { machine, until } = start();
	until("disk: connected");
	const { hypervisor, services } = machine;
	const guest = hypervisor.domains.get(1)!;
	const root = guest.vcpu.root;
	services.grantTables.prepare(1, 20, 0, root);
	assert.equal(services.grantTables.map(0, 1, 20, 1, 0n).status, GrantStatus.badPage);
	assert.equal(services.grantTables.map(0, 1, 20, 1 | 4, 0n).status, GrantStatus.okay, "to read it is allowed");
	const ring = services.grantTables.view(1).find(({ mapped, writable }) => mapped > 0 && writable)!;
	assert.ok(hypervisor.tables.pin(Number(ring.frame), guest, 1) < 0, "it is mapped writable elsewhere");
});

test("the pages of console and xenstore stay the domain's although it gives them back", () => {
	const { machine, until } = start();
	until("disk: connected");
	const { hypervisor } = machine;
	for (let tries = 0; tries < 10_000 && hypervisor.current?.id !== 1; tries++) machine.run(100);
	const guest = hypervisor.domains.get(1)!;
	const frames = [guest.store.frame, guest.console.frame];
	const page = 0xc0002000n;
	const { guestMemory } = hypervisor;
	// struct xen_memory_reservation of a 32-bit guest: extents, count, order, flags, domain.
	guestMemory.writeWords(page, 4, Number(page) + 64, 2, 0, 0, 0x7ff0);
	guestMemory.writeWords(page + 64n, 4, ...frames);
	const call = (number: number, ...args: bigint[]) =>
		Number(hypervisor.hypercalls.find(number)!(new HypercallContext(guest, guestMemory, args)));
	for (const frame of frames) {
		const linear = 0xc0000000n + BigInt(guest.physicalToMachine.indexOf(frame)) * 4096n;
		assert.equal(call(14, linear, 0n, 0n, 2n), 0, "unmapped");
	}
	assert.equal(call(12, 1n, page, 0n, 0n, 0n), 2, "given back");
	for (const frame of frames) assert.equal(hypervisor.frames.owner[frame], 1);
	const free = new Set(Array.from({ length: 64 }, () => hypervisor.allocator.take()));
	for (const frame of frames) assert.ok(!free.has(frame));
});

test("after a crash of Domain 0 everything can still be looked at", () => {
	const { machine, until } = start("fault=2");
	until("SAMPLE DONE");
	assert.deepEqual(machine.run(10_000_000), { reason: "poweroff" });
	const [domain0, guest] = machine.domains.list();
	assert.equal(domain0?.state, "crashed");
	assert.equal(guest?.state, "shut down");
	assert.ok(domain0.detail.some(({ name }) => name === "crashed"));
	assert.ok(domain0.pages > 0 && machine.domains.pages(0, 0n, 10).length === 10);
	assert.equal(machine.services.interrupts.linesOf(0).length, 0, "its interrupt line is closed");
	assert.equal(machine.services.store.text("/local/domain/0/backend/vbd/1/51712/state"), "6");
	const crash = machine.events.read({ kinds: ["exception"], reason: "domain crashed", limit: 1 });
	assert.deepEqual(crash[0]?.detail[0], { name: "domain", value: 0 });
	for (const processor of machine.processors()) assert.ok(processor.registers().length > 0);
});

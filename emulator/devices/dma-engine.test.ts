import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { VirtualClock } from "./clock.ts";
import {
	DmaEngineControl as Control,
	DmaEngine,
	DmaEngineError,
	DmaEngineRegister as Register,
	DmaEngineStatus as Status,
} from "./dma-engine.ts";
import { type DmaAccess, DmaPath, sourceId } from "./dma-port.ts";

const MEMORY = 0x10000;

function make(clock = new VirtualClock()) {
	const bytes = new Uint8Array(MEMORY);
	const messages: [number, number][] = [];
	const path = new DmaPath(
		{
			read: (address, length) => (address + length <= MEMORY ? bytes.slice(address, address + length) : undefined),
			write: (address, written) => {
				if (address + written.length > MEMORY) return false;
				bytes.set(written, address);
				return true;
			},
		},
		(address, data) => messages.push([address, data]),
	);
	const line = new RecordingLine();
	const mapper = { map: () => true, unmap: () => {} };
	const engine = new DmaEngine(mapper, clock, path.port(sourceId(4, 0), "DMA engine"), line);
	engine.configuration.write(4, 2, 0x6);
	const transfer = (source: number, destination: number, length: number, control: number) => {
		engine.write(Register.source, 4, source);
		engine.write(Register.destination, 4, destination);
		engine.write(Register.length, 4, length);
		engine.write(Register.control, 4, control | Control.start);
	};
	return { bytes, messages, path, clock, line, engine, transfer };
}

test("a copy takes a nanosecond a byte, moves page by page, and ends with INTx until the status is cleared", () => {
	const { bytes, clock, line, engine, transfer } = make();
	for (let i = 0; i < 6000; i++) bytes[0x100 + i] = i;
	transfer(0x100, 0x8000, 6000, Control.interruptEnable);
	assert.equal(engine.read(Register.status, 4), Status.busy);
	clock.advanceTo(4096);
	assert.equal(engine.read(Register.moved, 4), 4096);
	assert.deepEqual(bytes.subarray(0x8000, 0x9000), bytes.subarray(0x100, 0x1100));
	assert.equal(line.level, false);
	clock.advanceTo(6000);
	assert.equal(engine.read(Register.status, 4), Status.done);
	assert.deepEqual(bytes.subarray(0x8000, 0x8000 + 6000), bytes.subarray(0x100, 0x100 + 6000));
	assert.equal(line.level, true);
	engine.write(Register.status, 4, Status.done);
	assert.equal(line.level, false);
});

test("a fill repeats the pattern; registers stand still while it is busy", () => {
	const { bytes, clock, engine, transfer } = make();
	engine.write(Register.pattern, 4, 0x44332211);
	transfer(0, 0x2001, 10, Control.fill);
	engine.write(Register.destination, 4, 0x9000);
	clock.advanceTo(10);
	assert.deepEqual([...bytes.subarray(0x2000, 0x200c)], [0, 17, 34, 51, 68, 17, 34, 51, 68, 17, 34, 0]);
});

test("a message-signalled interrupt goes out once a transfer and keeps INTx quiet", () => {
	const { messages, clock, line, engine, transfer } = make();
	engine.configuration.write(0x54, 4, 0xfee01000);
	engine.configuration.write(0x5c, 2, 0x41);
	engine.configuration.write(0x52, 2, 1);
	transfer(0, 0x1000, 4, Control.interruptEnable);
	clock.advanceTo(10);
	engine.write(Register.control, 4, Control.interruptEnable);
	assert.deepEqual(messages, [[0xfee01000, 0x41]]);
	assert.equal(line.edges, 0);
});

test("errors: nothing at the address, a length of 0, bus mastering off", () => {
	const { clock, engine, transfer } = make();
	const error = () => {
		clock.advanceTo(clock.now() + 10_000);
		return [engine.read(Register.status, 4), engine.read(Register.error, 4)];
	};
	transfer(MEMORY, 0, 4, 0);
	assert.deepEqual(error(), [Status.error, DmaEngineError.readAborted]);
	assert.equal(engine.configuration.bytes[7]! & 0x20, 0x20);
	transfer(0, MEMORY - 2, 4, 0);
	assert.deepEqual(error(), [Status.error, DmaEngineError.writeAborted]);
	transfer(0, 0, 0, 0);
	assert.deepEqual(error(), [Status.error, DmaEngineError.badLength]);
	engine.configuration.write(4, 2, 0x2);
	transfer(0, 0x1000, 4, 0);
	assert.deepEqual(error(), [Status.error, DmaEngineError.notBusMaster]);
});

test("who watches the path sees each access with what was there before", () => {
	const { bytes, path, clock, transfer } = make();
	const seen: DmaAccess[] = [];
	path.onAccess = (access) => seen.push(access);
	bytes.set([1, 2], 0x10);
	bytes.set([8, 9], 0x20);
	transfer(0x10, 0x20, 2, 0);
	clock.advanceTo(10);
	assert.deepEqual(
		seen.map(({ write, address, device, before }) => [write, address, device, before && [...before]]),
		[
			[false, 0x10, "DMA engine", undefined],
			[true, 0x20, "DMA engine", [8, 9]],
		],
	);
});

test("a transfer under way is saved and goes on after it was restored", () => {
	const first = make();
	first.bytes.fill(7, 0, 8000);
	first.transfer(0, 0x8000, 8000, 0);
	first.clock.advanceTo(5000);
	const second = make();
	second.bytes.set(first.bytes);
	second.clock.restore(5000);
	second.engine.restore(first.engine.save());
	second.clock.advanceTo(8000);
	assert.equal(second.engine.read(Register.status, 4), Status.done);
	assert.equal(second.bytes[0x8000 + 7999], 7);
});

test("no sequence of accesses breaks the engine", () => {
	checkHostileGuest((clock) => {
		const { engine } = make(clock);
		const blocks = [
			{ block: engine, length: 0x40 },
			{ block: engine.configuration, length: 0x100 },
		];
		return { device: engine, blocks };
	});
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { DmaPath } from "../devices/dma-port.ts";
import { DmaWatchpoints } from "./dma-watchpoints.ts";
import type { Stop, Watchpoint } from "./virtual-machine.ts";

/** 64 KiB of memory; linear pages lie in memory in reverse order. */
function start(...watchpoints: Watchpoint[]) {
	const memory = new Uint8Array(0x10000);
	const path = new DmaPath(
		{
			read: (address, length) => memory.slice(address, address + length),
			write: (address, bytes) => {
				memory.set(bytes, address);
				return true;
			},
		},
		() => {},
	);
	const stops: Extract<Stop, { reason: "watchpoint" }>[] = [];
	const set = new DmaWatchpoints({
		physical: ({ space, value }) => {
			if (space !== "lin") return value;
			const page = 15n - (value >> 12n);
			return page < 0n ? undefined : (page << 12n) | (value & 0xfffn);
		},
		instruction: () => 0x1234n,
		hit: (stop) => stop.reason === "watchpoint" && stops.push(stop),
	});
	set.set(watchpoints);
	set.attach(path);
	return { port: path.port(0x20, "DMA engine"), stops, path, set };
}

const watch = (address: Watchpoint["address"], length: number, more: Partial<Watchpoint> = {}): Watchpoint => ({
	id: 1,
	address,
	length,
	access: "write",
	...more,
});

test("a write by DMA stops with the device, old and new value, at the bytes that are watched", () => {
	const { port, stops } = start(watch({ space: "gpa", value: 0x2004n }, 4));
	port.write(0x1ff0n, new Uint8Array(32).fill(7));
	assert.deepEqual(stops, [
		{
			reason: "watchpoint",
			processor: 1,
			id: 1,
			access: "write",
			address: { space: "gpa", value: 0x2004n },
			length: 4,
			oldValue: 0n,
			newValue: 0x07070707n,
			instruction: 0x1234n,
			device: "DMA engine",
		},
	]);
	port.write(0x2008n, new Uint8Array(8));
	port.read(0x2004n, 4);
	assert.equal(stops.length, 1, "neither beside the range nor for the other kind of access");
});

test("reads, and ranges of which an access touches the middle", () => {
	const { port, stops } = start(watch({ space: "hpa", value: 0x3000n }, 0x100, { access: "readWrite" }));
	port.read(0x3010n, 4);
	assert.deepEqual(
		stops.map(({ access, address, length }) => [access, address.value, length]),
		[["read", 0x3010n, 4]],
	);
});

test("a linear range is found where its pages lie", () => {
	const { port, stops } = start(watch({ space: "lin", value: 0x1ffcn }, 8));
	port.write(0xd000n, new Uint8Array(4).fill(1));
	port.write(0xeffcn, new Uint8Array(4).fill(2));
	assert.deepEqual(
		stops.map(({ address, newValue }) => [address.value, newValue]),
		[
			[0x2000n, 0x01010101n],
			[0x1ffcn, 0x02020202n],
		],
	);
});

test("a device address is watched of one device or of all; the processor's watchpoints are none", () => {
	const { port, stops, path, set } = start(watch({ space: "iova", value: 0x4000n, source: 0x28 }, 4));
	port.write(0x4000n, new Uint8Array(4));
	assert.equal(stops.length, 0);
	set.set([watch({ space: "iova", value: 0x4000n }, 4)]);
	port.write(0x4000n, new Uint8Array(4));
	assert.equal(stops.length, 1);
	set.set([watch({ space: "gpa", value: 0x4000n }, 4, { by: "cpu" })]);
	assert.equal(path.onAccess, undefined, "nothing is asked of the path while nothing is watched");
});

// INIT and start-up IPIs of the one processor: what it is afterwards, and where it goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { exit, initRom } from "../../test/tools/init-rom.ts";
import { DeliveryMode } from "../devices/apic-bus.ts";
import { State } from "../isa/state.ts";
import { FirmwareRom } from "./firmware-rom.ts";
import { HostMachine } from "./host-machine.ts";

const BEGUN = 0x500;

function start(clear = 0): HostMachine {
	const nothing = () => {};
	const firmware = new FirmwareRom("init.bin", initRom(clear));
	return new HostMachine({
		memoryBytes: 1 << 20,
		firmware,
		onSerial: nothing,
		onDebugConsole: nothing,
		onReset: nothing,
	});
}

test("the bootstrap processor begins anew at its reset vector; memory, x87, MSRs and the cache bits stay", () => {
	const host = start();
	assert.deepEqual(host.run(1000), { kind: "debug-exit", value: 7 });
	const { state } = host.processor.core;
	assert.equal(host.physical.read(BEGUN, 1), 1);
	assert.equal(state.i32[State.x87Tag >> 2], 0x80, "the register that FLD1 has filled");
	assert.equal(state.cr0 >>> 0, 0x6000_0010);
	assert.equal(host.processor.modelSpecific.read(0x176), 0x1234n);
	assert.equal(host.processor.modelSpecific.read(0x1b), 0xfee0_0d00n, "x2APIC mode stays, and the BSP flag");
	assert.equal(host.devices.localApic.read(0xf0, 4), 0xff, "the local APIC is as after reset");
});

test("another processor waits for a start-up IPI, deaf to interrupts and NMIs, and begins at its page", () => {
	const host = start(1);
	const { apicBus } = host.devices.expansion;
	const send = (deliveryMode: number, vector: number) =>
		assert.ok(apicBus.deliver({ destination: 0, logical: false, deliveryMode, vector, levelTriggered: false }));
	send(DeliveryMode.startUp, 0x8);
	host.run(1000);
	assert.equal(host.processor.halted, true, "a start-up IPI that came before is lost");
	const { retired } = host.engine;
	send(DeliveryMode.nonMaskable, 0);
	host.run(1000);
	assert.equal(host.engine.retired, retired);
	// The NMI comes with the first instruction; its handler is there as well.
	host.physical.write(2 * 4, 4, 0x9a00_0000);
	host.physical.poke(0x9a000, Uint8Array.from([0x8c, 0xc8, 0xa3, 0x02, 0x05, ...exit(9)]));
	send(DeliveryMode.startUp, 0x9a);
	assert.deepEqual(host.run(2), undefined);
	const { state } = host.processor.core;
	assert.equal(state.rip, 5n, "behind mov ax, cs; mov [0x502], ax");
	assert.equal(host.physical.read(0x502, 2), 0x9a00);
	assert.equal(state.gpr32(4) & 0xffff, 0xfffa, "the NMI has pushed its frame");
});

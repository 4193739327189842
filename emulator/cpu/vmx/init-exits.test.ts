// INIT and start-up IPIs under VMX: blocked in root operation, VM exits in a guest (SDM Vol. 3C §24.8, §26.2).
import assert from "node:assert/strict";
import { test } from "node:test";
import { At, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { DeliveryMode } from "../../devices/apic-bus.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";
import { GuestActivity } from "./guest-checks.ts";

const NOP = 0x90;

function send(machine: VmxMachine, deliveryMode: number, vector = 0): void {
	const message = { destination: 0, logical: false, deliveryMode, vector, levelTriggered: false };
	assert.ok(machine.host.devices.expansion.apicBus.deliver(message));
}

test("INIT in root operation waits; in a guest it is an exit before the next instruction, and is done with", () => {
	const machine = new VmxMachine();
	machine.operate().code(NOP, NOP);
	send(machine, DeliveryMode.init);
	assert.equal(machine.enter(), Reason.initSignal);
	assert.equal(machine.get("exitQualification"), 0n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest), "no instruction of the guest");
	assert.equal(machine.host.devices.localApic.read(0xf0, 4), 0x1ff, "the local APIC stays as it is");
	assert.equal(machine.enter(), Reason.vmcall, "the guest goes on");
});

test("INIT that was blocked in root operation comes right behind VMXOFF", () => {
	const machine = new VmxMachine();
	machine.operate();
	send(machine, DeliveryMode.init);
	// vmxoff; inc dword [data], which no processor executes
	const bytes = [0x0f, 0x01, 0xc4, 0xff, 0x04, 0x25, At.data & 0xff, At.data >> 8, 0, 0];
	machine.write32(At.data, 7);
	machine.execute(bytes, 2);
	assert.equal(machine.read32(At.data), 7);
	assert.equal(machine.state.modeName, "real", "the processor is as after INIT");
});

test("INIT while the guest runs", () => {
	const machine = new VmxMachine();
	// jmp $
	machine.operate().code(0xeb, 0xfe);
	machine.host.clock.at(machine.host.now() + 50, () => send(machine, DeliveryMode.init));
	assert.equal(machine.enter(), Reason.initSignal);
	assert.equal(machine.get("guestRip"), BigInt(At.guest));
});

test("a guest in wait-for-SIPI: INIT is blocked, a start-up IPI exits with its vector; elsewhere start-up IPIs are lost", () => {
	const machine = new VmxMachine();
	machine.operate().code(NOP);
	send(machine, DeliveryMode.startUp, 0x11);
	machine.set({ guestActivity: GuestActivity.waitForSipi });
	const { clock } = machine.host;
	clock.at(machine.host.now() + 50, () => send(machine, DeliveryMode.init));
	clock.at(machine.host.now() + 200, () => send(machine, DeliveryMode.startUp, 0x9a));
	assert.equal(machine.enter(), Reason.startUpIpi);
	assert.equal(machine.get("exitQualification"), 0x9an);
	assert.equal(machine.get32("guestActivity"), GuestActivity.waitForSipi);
	assert.equal(machine.get("guestRip"), BigInt(At.guest), "registers are as they were");
	machine.set({ guestActivity: GuestActivity.active });
	assert.equal(machine.enter(), Reason.initSignal, "the INIT signal that was blocked");
});

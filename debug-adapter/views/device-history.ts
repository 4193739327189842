import type { DeviceView, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";

type Values = readonly (readonly (number | bigint)[])[];

/** Register values of devices at the stop before, to mark what changed. */
export class DeviceHistory {
	private machine: VirtualMachine | undefined;
	private stopCount = -1;
	private before: Values = [];
	private now: Values = [];

	/** Takes the values as those of a stop; the result says of a device's register, by their indices, whether it changed. */
	compare(
		machine: VirtualMachine,
		stopCount: number,
		devices: readonly DeviceView[],
	): (device: number, register: number) => boolean {
		if (this.machine !== machine) {
			this.machine = machine;
			this.now = [];
		}
		if (this.stopCount !== stopCount) this.before = this.now;
		this.stopCount = stopCount;
		const now = devices.map(({ registers }) => registers.map(({ value }) => value));
		this.now = now;
		const { before } = this;
		return (device, register) => {
			const old = before[device]?.[register];
			return old !== undefined && old !== now[device]![register];
		};
	}
}

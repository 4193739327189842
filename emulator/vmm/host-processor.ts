// The physical CPU under "bt" and "trap": what the hardware runs, translated fragments or the kernel itself, and user code.

import type { HostMachine } from "../machine/host-machine.ts";
import type { RemappingView } from "../machine/remapping-view.ts";
import { PhysicalProcessor } from "./physical-processor.ts";

export class HostProcessor extends PhysicalProcessor {
	protected readonly table = "shadow";
	protected readonly hint = 'it walks the shadow table ("shadow")';
	/** What the host runs in ring 1. */
	private kernel = "translation cache";

	/** Shows another host from now on: the machine was reset. @param remapping of the host, when it has a unit. */
	attach(host: HostMachine, kernel = this.kernel, remapping?: RemappingView): void {
		this.kernel = kernel;
		this.show(host, remapping);
	}

	describe(): string {
		const { cpl } = this.host.processor.core.state;
		const what = cpl === 0 ? "VMM" : cpl === 1 ? this.kernel : "user code, directly";
		return `pCPU 0 (CPL ${cpl}, CR3 0x${this.register("cr3")!.toString(16)}, ${what})`;
	}

	override codeSize(): 32 {
		return 32;
	}
}

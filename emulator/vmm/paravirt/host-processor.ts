// The physical CPU under "pv": what the hardware runs, whichever domain it is for.

import type { RemappingView } from "../../machine/remapping-view.ts";
import { PhysicalProcessor } from "../physical-processor.ts";
import type { Hypervisor } from "./hypervisor.ts";

export class HostProcessor extends PhysicalProcessor {
	protected readonly table = "host";
	protected readonly hint = 'it walks the table in its CR3 ("host")';

	/** @param remapping of the host, when it has a unit. */
	constructor(
		private readonly hypervisor: Hypervisor,
		remapping: RemappingView | undefined,
	) {
		super();
		this.show(hypervisor.host, remapping);
	}

	describe(): string {
		const { current, inside } = this.hypervisor;
		const what = current === undefined ? "idle" : inside ? "hypervisor" : current.name;
		const { cpl } = this.host.processor.core.state;
		return `pCPU 0 (CPL ${cpl}, CR3 0x${this.register("cr3")!.toString(16)}, ${what})`;
	}
}

// The physical CPU under VT-x: what the hardware runs, the guest in VMX non-root operation or the VMM's few instructions.

import type { HostMachine } from "../../machine/host-machine.ts";
import type { RemappingView } from "../../machine/remapping-view.ts";
import type { AddressSpace, Mapping, Walk } from "../../machine/virtual-machine.ts";
import type { Inspected } from "../guest/guest-memory-view.ts";
import { PhysicalProcessor } from "../physical-processor.ts";
import type { GuestProcessor } from "./guest-processor.ts";

export class HostProcessor extends PhysicalProcessor {
	protected readonly table = "host";
	protected readonly hint = 'in VMX root operation choose "host"';

	/** @param guest says where the guest's addresses lead while it runs. */
	constructor(private readonly guest: GuestProcessor) {
		super();
	}

	/** Shows another host from now on: the machine was reset. */
	attach(host: HostMachine, remapping?: RemappingView): void {
		this.show(host, remapping);
	}

	describe(): string {
		const { state } = this.host.processor.core;
		const what = this.host.processor.runsGuest ? "VMX non-root operation" : "VMX root operation";
		return `pCPU 0 (${what}, ${state.modeName}, CPL ${state.cpl}, CR3 0x${this.register("cr3")!.toString(16)})`;
	}

	/** In the guest: the guest's tables and what translates them further; else the VMM's own tables. */
	override walk(linear: bigint, access: Inspected = {}): Walk[] {
		return this.host.processor.runsGuest ? this.guest.walk(linear, access) : super.walk(linear, access);
	}

	override mappings(table: string, from: bigint, limit: number): Mapping[] {
		return this.host.processor.runsGuest ? this.guest.mappings(table, from, limit) : super.mappings(table, from, limit);
	}

	override translate(linear: bigint, space: AddressSpace): bigint | undefined {
		return this.host.processor.runsGuest ? this.guest.translate(linear, space) : super.translate(linear, space);
	}
}

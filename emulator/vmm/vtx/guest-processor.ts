// The vCPU as a debugger's thread: its registers are the host's while the guest runs, and those of the VMCS after an exit.

import { inspectedTables } from "../../cpu/page-walk-view.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import { Segment, SegmentSlot, State, segmentSlot } from "../../isa/state.ts";
import { memoryBehindDevices, readDeviceAddresses, writeDeviceAddresses } from "../../machine/device-addresses.ts";
import type { NestedWalk } from "../../machine/hypervisor-views.ts";
import { nestedWalk } from "../../machine/nested-walk.ts";
import { RegisterFile } from "../../machine/register-file.ts";
import type { RemappingView } from "../../machine/remapping-view.ts";
import {
	type Address,
	type AddressSpace,
	MachineError,
	type Mapping,
	type Processor,
	type RegisterValue,
	type Walk,
} from "../../machine/virtual-machine.ts";
import { GuestMemoryView, type Inspected } from "../guest/guest-memory-view.ts";
import { VCPU } from "../hosted-machine.ts";
import type { Monitor } from "./monitor.ts";
import { VirtualProcessor } from "./virtual-processor.ts";

export class GuestProcessor implements Processor {
	readonly id = VCPU;
	readonly kind = "vcpu";
	private monitor!: Monitor;
	private virtual: VirtualProcessor | undefined;
	private file!: RegisterFile;
	private memory!: GuestMemoryView;
	private remapping: RemappingView | undefined;

	/** Shows another VMM from now on: the machine was reset. @param remapping of the host, when it has a unit. */
	attach(monitor: Monitor, remapping?: RemappingView): void {
		this.monitor = monitor;
		this.remapping = remapping;
		this.virtual = new VirtualProcessor(monitor.host, monitor.vmcs, monitor.mmu, {}, this.virtual?.physical.recyclable);
		this.file = new RegisterFile(this.virtual.processor);
		this.memory = new GuestMemoryView(monitor.physical, () => inspectedTables(this.current().state));
	}

	/** The guest's state now, in a processor of the view's own. */
	private current(): VirtualProcessor {
		const { monitor } = this;
		const virtual = this.virtual!;
		virtual.adopt(monitor.emulator);
		if (monitor.control.inGuest) virtual.loadRunning();
		else virtual.load();
		return virtual;
	}

	describe(): string {
		const { state } = this.current();
		return `vCPU 0 (${state.modeName}, CPL ${state.cpl}, CR3 0x${this.file.read("cr3")!.toString(16)})`;
	}

	/** "protected", "64-bit", ... */
	get mode(): string {
		return this.current().state.modeName;
	}

	get cpl(): number {
		const { control, vmcs } = this.monitor;
		return control.inGuest ? control.state.cpl : (vmcs.read32(Vmcs.guestSsAccess) >> 5) & 3;
	}

	codeSize(): 16 | 32 | 64 {
		return (8 << this.current().state.i32[State.codeSize >> 2]!) as 16 | 32 | 64;
	}

	instructionPointer(): bigint {
		const { control, vmcs } = this.monitor;
		return control.inGuest ? control.state.rip : vmcs.read(Vmcs.guestRip);
	}

	linearInstructionPointer(): bigint {
		const { control, vmcs } = this.monitor;
		if (control.inGuest) {
			const { state } = control;
			const base = state.i64[(segmentSlot(Segment.cs) + SegmentSlot.effectiveBase) >> 3]!;
			return BigInt.asUintN(state.mode64 ? 64 : 32, base + state.rip);
		}
		const wide = (vmcs.read32(Vmcs.guestCsAccess) & (1 << 13)) !== 0;
		const rip = vmcs.read(Vmcs.guestRip);
		return wide ? rip : BigInt.asUintN(32, vmcs.read(Vmcs.guestCsBase) + rip);
	}

	registers(): RegisterValue[] {
		this.current();
		return this.file.list();
	}

	register(name: string): bigint | undefined {
		this.current();
		return this.file.read(name);
	}

	setRegister(name: string, value: bigint): void {
		this.current();
		const { mmu } = this.monitor;
		if (mmu.kind === "shadow" && this.monitor.control.inGuest && /^(cr[034]|efer)$/i.test(name))
			throw new MachineError(
				`Register ${name} cannot be changed while the guest runs above shadow page tables: stop at a VM exit.`,
			);
		this.file.write(name, value);
		const { control } = this.monitor;
		if (!control.inGuest) {
			this.virtual!.store();
			return;
		}
		new RegisterFile(this.monitor.host.processor).write(name, value);
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		if (address.space === "iova")
			return readDeviceAddresses(this.remapping, memoryBehindDevices(this.monitor.host), address, length);
		return this.memory.read(address, length);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		if (address.space === "iova")
			return writeDeviceAddresses(this.remapping, memoryBehindDevices(this.monitor.host), address, bytes);
		return this.memory.write(address, bytes);
	}

	walk(linear: bigint, access: Inspected = {}): Walk[] {
		const asked = { ...access, user: access.user ?? this.cpl === 3 };
		const guest = this.memory.walk(linear, asked);
		const second = this.monitor.mmu.walk(linear, guest.result?.address.value, asked);
		return second ? [guest, second] : [guest];
	}

	/** Under EPT: every memory reference of the two-dimensional walk. */
	nestedWalk(linear: bigint, access: Inspected = {}): NestedWalk | undefined {
		const { mmu, host } = this.monitor;
		const ept = mmu.extendedPageTables;
		if (!ept) return undefined;
		const guest = inspectedTables(this.current().state);
		const asked = { ...access, user: access.user ?? this.cpl === 3 };
		return nestedWalk({ physical: host.physical, guest, ept }, linear, asked);
	}

	mappings(table: string, from: bigint, limit: number): Mapping[] {
		const { mmu } = this.monitor;
		if (table === "guest") return this.memory.mappings(from, limit);
		if (table === mmu.kind) return mmu.mappings(from, limit);
		throw new MachineError(`There is no table "${table}" under "hvm" here: choose "guest" or "${mmu.kind}".`);
	}

	translate(linear: bigint, space: AddressSpace): bigint | undefined {
		return this.memory.translate(linear, space);
	}
}

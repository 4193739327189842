// The tables that translate addresses under `--vmm none`. Without VMX there are the guest's alone. A guest that is a hypervisor has
// its own ("host"), and those that its current VMCS names for its guest: "guest" and "ept".

import { inspectedTables, type Tables, tablesOf } from "../cpu/page-walk-view.ts";
import { EntryControl, ExitControl, Primary, Secondary } from "../cpu/vmx/controls.ts";
import { ExtendedPageTables } from "../cpu/vmx/extended-page-tables.ts";
import { Efer } from "../isa/register-bits.ts";
import type { HostMachine } from "./host-machine.ts";
import { VmcsBytes } from "./vmcs/vmcs-bytes.ts";

/** The tables on both sides of a VM entry. */
export interface NestedSpaces {
	/** The hypervisor's own. */
	readonly host: Tables;
	/** Its guest's, in guest-physical memory. */
	readonly guest: Tables;
	readonly ept: ExtendedPageTables;
}

function usesEpt(vmcs: VmcsBytes): boolean {
	if (!(vmcs.word("primaryControls") & Primary.activateSecondaryControls)) return false;
	return (vmcs.word("secondaryControls") & Secondary.enableEpt) !== 0;
}

/** IA32_EFER after an entry or an exit: the field if it is loaded or saved, with LMA as the control says. */
function eferOf(field: bigint, valid: boolean, now: number, long: boolean): number {
	const efer = valid ? Number(BigInt.asIntN(32, field)) : now;
	return long ? efer | Efer.LMA : efer & ~Efer.LMA;
}

function guestTables(vmcs: VmcsBytes, efer: number): Tables {
	const entry = vmcs.word("entryControls");
	const valid = (entry & EntryControl.loadEfer) !== 0 || (vmcs.word("exitControls") & ExitControl.saveEfer) !== 0;
	const pdptes = new BigInt64Array([
		vmcs.read("guestPdpte0"),
		vmcs.read("guestPdpte1"),
		vmcs.read("guestPdpte2"),
		vmcs.read("guestPdpte3"),
	]);
	return tablesOf({
		cr0: vmcs.word("guestCr0"),
		cr3: vmcs.read("guestCr3"),
		cr4: vmcs.word("guestCr4"),
		efer: eferOf(vmcs.read("guestEfer"), valid, efer, (entry & EntryControl.ia32eModeGuest) !== 0),
		pdptes: new Int32Array(pdptes.buffer),
	});
}

function hostTables(vmcs: VmcsBytes, efer: number): Tables {
	const exit = vmcs.word("exitControls");
	const valid = (exit & ExitControl.loadEfer) !== 0;
	return tablesOf({
		cr0: vmcs.word("hostCr0"),
		cr3: vmcs.read("hostCr3"),
		cr4: vmcs.word("hostCr4"),
		efer: eferOf(vmcs.read("hostEfer"), valid, efer, (exit & ExitControl.hostAddressSpaceSize) !== 0),
	});
}

export class NativeTables {
	constructor(private readonly host: HostMachine) {}

	/** The tables that the processor uses now. */
	get running(): Tables {
		return inspectedTables(this.host.processor.core.state);
	}

	/** The EPT that translates now: in VMX non-root operation. */
	get runningEpt(): ExtendedPageTables | undefined {
		const { ept } = this.host.processor.core.paging;
		return ept instanceof ExtendedPageTables ? ept : undefined;
	}

	/** Undefined unless the current VMCS has EPT enabled. */
	nested(): NestedSpaces | undefined {
		const { processor, physical } = this.host;
		const unit = processor.vmx?.unit;
		const current = unit?.vmcs;
		const vmcs = current && VmcsBytes.at(physical, BigInt(current.address));
		if (!unit || !vmcs || !usesEpt(vmcs)) return undefined;
		const { efer } = processor.core.state;
		const { running, runningEpt } = this;
		if (unit.nonRoot) return runningEpt && { host: hostTables(vmcs, efer), guest: running, ept: runningEpt };
		const ept = new ExtendedPageTables(physical, vmcs.read("eptPointer"), {
			modeBasedExecute: (vmcs.word("secondaryControls") & Secondary.modeBasedExecute) !== 0,
		});
		return { host: running, guest: guestTables(vmcs, efer), ept };
	}
}

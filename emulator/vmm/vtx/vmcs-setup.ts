// The control fields of the VMM's VMCS and the bitmaps that they point to (SDM Vol. 3C §25.6 to §25.8). What the MMU needs is its own to add.

import {
	allowedOf,
	type ControlWord,
	controlWords,
	EntryControl,
	ExitControl,
	Pin,
	Primary,
	requiredOf,
	Secondary,
} from "../../cpu/vmx/controls.ts";
import { Vmcs } from "../../cpu/vmx/vmcs-fields.ts";
import type { HostControl } from "./host-control.ts";
import { Area } from "./layout.ts";

const PIN = Pin.externalInterruptExiting | Pin.nmiExiting | Pin.virtualNmis;
const PRIMARY =
	Primary.hltExiting |
	Primary.useTscOffsetting |
	Primary.cr8LoadExiting |
	Primary.cr8StoreExiting |
	Primary.useIoBitmaps |
	Primary.useMsrBitmaps |
	Primary.activateSecondaryControls;
const SECONDARY = Secondary.enableRdtscp | Secondary.enableVpid;
const EXIT =
	ExitControl.saveDebugControls |
	ExitControl.hostAddressSpaceSize |
	ExitControl.acknowledgeInterruptOnExit |
	ExitControl.savePat |
	ExitControl.loadPat |
	ExitControl.saveEfer |
	ExitControl.loadEfer;
const ENTRY = EntryControl.loadDebugControls | EntryControl.loadPat | EntryControl.loadEfer;
const VPID = 1;
const NO_LINK = 0xffff_ffff_ffff_ffffn;

/** MSRs that the guest reads without an exit: their values lie in the processor or in the VMCS. */
const READABLE = [
	0x10, // IA32_TIME_STAMP_COUNTER, with the TSC offset
	0x174, // IA32_SYSENTER_CS, _ESP, _EIP
	0x175,
	0x176,
	0x1d9, // IA32_DEBUGCTL
	0x277, // IA32_PAT
	0xc0000080, // IA32_EFER
	0xc0000081, // IA32_STAR, IA32_LSTAR, IA32_CSTAR, IA32_FMASK
	0xc0000082,
	0xc0000083,
	0xc0000084,
	0xc0000100, // IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE, IA32_TSC_AUX
	0xc0000101,
	0xc0000102,
	0xc0000103,
];
/** Of these, the ones whose writing needs the VMM. */
const NOT_WRITABLE = [0x10];

function word(controls: ControlWord, wanted: number): number {
	return (requiredOf(controls) | wanted) & allowedOf(controls);
}

export function writeControls(control: HostControl): void {
	const { vmcs } = control;
	vmcs.write32(Vmcs.pinControls, word(controlWords.pin, PIN));
	vmcs.write32(Vmcs.primaryControls, word(controlWords.primary, PRIMARY));
	vmcs.write32(Vmcs.secondaryControls, word(controlWords.secondary, SECONDARY));
	vmcs.write32(Vmcs.exitControls, word(controlWords.exit, EXIT));
	vmcs.write32(Vmcs.entryControls, word(controlWords.entry, ENTRY));
	vmcs.write32(Vmcs.vpid, VPID);
	vmcs.write32(Vmcs.exceptionBitmap, 0);
	vmcs.write(Vmcs.vmcsLinkPointer, NO_LINK);
	vmcs.write(Vmcs.ioBitmapA, BigInt(control.at(Area.ioBitmapA)));
	vmcs.write(Vmcs.ioBitmapB, BigInt(control.at(Area.ioBitmapB)));
	vmcs.write(Vmcs.msrBitmap, BigInt(control.at(Area.msrBitmap)));
	const { physical } = control.host;
	// Every port belongs to a device of the guest's own, and every MSR that is not said otherwise to the VMM.
	for (const area of [Area.ioBitmapA, Area.ioBitmapB, Area.msrBitmap])
		physical.poke(control.at(area), new Uint8Array(4096).fill(0xff));
	for (const msr of READABLE) {
		allowMsr(control, msr, false);
		if (!NOT_WRITABLE.includes(msr)) allowMsr(control, msr, true);
	}
}

/** §25.6.9: low MSRs in bytes 0 to 1023, high ones (C0000000H) behind them, writes 2 KBytes further. */
function allowMsr(control: HostControl, msr: number, write: boolean): void {
	const at = control.at(Area.msrBitmap) + (write ? 0x800 : 0) + (msr > 0x1fff ? 0x400 : 0) + ((msr & 0x1fff) >> 3);
	const { physical } = control.host;
	physical.write(at, 1, physical.read(at, 1) & ~(1 << (msr & 7)) & 0xff);
}

// VMX controls, bit by bit (SDM Vol. 3C §25.6 to §25.8), and the capability MSRs that say which may be set (Vol. 3D Appendix A).

import { VMCS_ENUM } from "./vmcs-fields.ts";

export const Pin = {
	externalInterruptExiting: 1 << 0,
	nmiExiting: 1 << 3,
	virtualNmis: 1 << 5,
	preemptionTimer: 1 << 6,
	processPostedInterrupts: 1 << 7,
} as const;

export const Primary = {
	interruptWindowExiting: 1 << 2,
	useTscOffsetting: 1 << 3,
	hltExiting: 1 << 7,
	invlpgExiting: 1 << 9,
	mwaitExiting: 1 << 10,
	rdpmcExiting: 1 << 11,
	rdtscExiting: 1 << 12,
	cr3LoadExiting: 1 << 15,
	cr3StoreExiting: 1 << 16,
	cr8LoadExiting: 1 << 19,
	cr8StoreExiting: 1 << 20,
	useTprShadow: 1 << 21,
	nmiWindowExiting: 1 << 22,
	movDrExiting: 1 << 23,
	unconditionalIoExiting: 1 << 24,
	useIoBitmaps: 1 << 25,
	monitorTrapFlag: 1 << 27,
	useMsrBitmaps: 1 << 28,
	monitorExiting: 1 << 29,
	pauseExiting: 1 << 30,
	activateSecondaryControls: 1 << 31,
} as const;

export const Secondary = {
	virtualizeApicAccesses: 1 << 0,
	enableEpt: 1 << 1,
	descriptorTableExiting: 1 << 2,
	enableRdtscp: 1 << 3,
	virtualizeX2apicMode: 1 << 4,
	enableVpid: 1 << 5,
	wbinvdExiting: 1 << 6,
	unrestrictedGuest: 1 << 7,
	apicRegisterVirtualization: 1 << 8,
	virtualInterruptDelivery: 1 << 9,
	enableInvpcid: 1 << 12,
	enableVmFunctions: 1 << 13,
	vmcsShadowing: 1 << 14,
	enablePml: 1 << 17,
	modeBasedExecute: 1 << 22,
} as const;

export const ExitControl = {
	saveDebugControls: 1 << 2,
	hostAddressSpaceSize: 1 << 9,
	acknowledgeInterruptOnExit: 1 << 15,
	savePat: 1 << 18,
	loadPat: 1 << 19,
	saveEfer: 1 << 20,
	loadEfer: 1 << 21,
	savePreemptionTimer: 1 << 22,
} as const;

export const EntryControl = {
	loadDebugControls: 1 << 2,
	ia32eModeGuest: 1 << 9,
	loadPat: 1 << 14,
	loadEfer: 1 << 15,
} as const;

/** Bit of VM-function controls. */
export const VmFunction = { eptpSwitching: 1 << 0 } as const;

export interface ControlWord {
	readonly name: string;
	/** The bits that have a meaning here, by name. */
	readonly bits: Readonly<Record<string, number>>;
	/** Reserved bits that are 1 (Appendix A.2). */
	readonly default1: number;
	/** Of these, bits that may be 0 all the same, as the TRUE capability MSRs say. */
	readonly mayBeZero: number;
}

export const controlWords = {
	pin: { name: "pin-based", bits: Pin, default1: 0x16, mayBeZero: 0 },
	primary: {
		name: "primary processor-based",
		bits: Primary,
		default1: 0x0401e172,
		mayBeZero: Primary.cr3LoadExiting | Primary.cr3StoreExiting,
	},
	secondary: { name: "secondary processor-based", bits: Secondary, default1: 0, mayBeZero: 0 },
	exit: { name: "VM-exit", bits: ExitControl, default1: 0x00036dff, mayBeZero: ExitControl.saveDebugControls },
	entry: { name: "VM-entry", bits: EntryControl, default1: 0x000011ff, mayBeZero: EntryControl.loadDebugControls },
} as const satisfies Record<string, ControlWord>;

const union = (bits: Readonly<Record<string, number>>): number =>
	Object.values(bits).reduce((all, bit) => all | bit, 0);

/** Bits that must be 1, with the TRUE capability MSRs in force. */
export const requiredOf = (word: ControlWord): number => word.default1 & ~word.mayBeZero;
/** Bits that may be 1. */
export const allowedOf = (word: ControlWord): number => word.default1 | union(word.bits);

const capability = (zeros: number, ones: number): bigint => (BigInt(ones >>> 0) << 32n) | BigInt(zeros >>> 0);

/** The revision identifier of this layout of the VMCS region: 31 bits. */
export const VMCS_REVISION = 0x48590001;
/** The preemption timer counts down when this bit of the time-stamp counter changes. */
export const PREEMPTION_TIMER_SHIFT = 0;
const CR3_TARGETS = 4;
/** Most entries of an MSR list (Appendix A.6). */
export const MSR_LIST_LIMIT = 512;

/** Bits of CR0 and CR4 that are fixed in VMX operation (Appendix A.7, A.8): PE, NE, PG; VMXE. */
export const CR0_FIXED0 = 0x80000021 | 0;
export const CR4_FIXED0 = 0x2000;

/** IA32_VMX_EPT_VPID_CAP: bits with a name. */
export const EptVpidCapability = {
	executeOnly: 1n << 0n,
	walkLength4: 1n << 6n,
	uncacheable: 1n << 8n,
	writeBack: 1n << 14n,
	pages2M: 1n << 16n,
	pages1G: 1n << 17n,
	invept: 1n << 20n,
	accessedDirty: 1n << 21n,
	inveptSingle: 1n << 25n,
	inveptAll: 1n << 26n,
	invvpid: 1n << 32n,
	invvpidAddress: 1n << 40n,
	invvpidSingle: 1n << 41n,
	invvpidAll: 1n << 42n,
	invvpidRetainingGlobals: 1n << 43n,
} as const;

/** Addresses of the capability MSRs (SDM Vol. 4 Table 2-2) with their values. `cr4` are the bits that CR4 may have. */
export function capabilityMsrs(cr4: number): readonly { name: string; address: number; value: bigint }[] {
	const { pin, primary, secondary, exit, entry } = controlWords;
	const plain = (word: ControlWord): bigint => capability(word.default1, allowedOf(word));
	const exact = (word: ControlWord): bigint => capability(requiredOf(word), allowedOf(word));
	return [
		{
			name: "IA32_VMX_BASIC",
			address: 0x480,
			// Region of 4096 bytes, write-back; INS/OUTS information; TRUE controls; any exception with or without an error code.
			value: BigInt(VMCS_REVISION) | (4096n << 32n) | (6n << 50n) | (1n << 54n) | (1n << 55n) | (1n << 56n),
		},
		{ name: "IA32_VMX_PINBASED_CTLS", address: 0x481, value: plain(pin) },
		{ name: "IA32_VMX_PROCBASED_CTLS", address: 0x482, value: plain(primary) },
		{ name: "IA32_VMX_EXIT_CTLS", address: 0x483, value: plain(exit) },
		{ name: "IA32_VMX_ENTRY_CTLS", address: 0x484, value: plain(entry) },
		{
			name: "IA32_VMX_MISC",
			address: 0x485,
			// EFER.LMA is stored on exit; activity states HLT, shutdown, wait-for-SIPI; VMWRITE to any field; injection with instruction
			// length 0.
			value:
				BigInt(PREEMPTION_TIMER_SHIFT) |
				(1n << 5n) |
				(7n << 6n) |
				(BigInt(CR3_TARGETS) << 16n) |
				(1n << 29n) |
				(1n << 30n),
		},
		{ name: "IA32_VMX_CR0_FIXED0", address: 0x486, value: BigInt(CR0_FIXED0 >>> 0) },
		{ name: "IA32_VMX_CR0_FIXED1", address: 0x487, value: 0xffffffffn },
		{ name: "IA32_VMX_CR4_FIXED0", address: 0x488, value: BigInt(CR4_FIXED0) },
		{ name: "IA32_VMX_CR4_FIXED1", address: 0x489, value: BigInt(cr4 >>> 0) },
		{ name: "IA32_VMX_VMCS_ENUM", address: 0x48a, value: VMCS_ENUM },
		{ name: "IA32_VMX_PROCBASED_CTLS2", address: 0x48b, value: plain(secondary) },
		{
			name: "IA32_VMX_EPT_VPID_CAP",
			address: 0x48c,
			value: Object.values(EptVpidCapability).reduce((all, bit) => all | bit, 0n),
		},
		{ name: "IA32_VMX_TRUE_PINBASED_CTLS", address: 0x48d, value: exact(pin) },
		{ name: "IA32_VMX_TRUE_PROCBASED_CTLS", address: 0x48e, value: exact(primary) },
		{ name: "IA32_VMX_TRUE_EXIT_CTLS", address: 0x48f, value: exact(exit) },
		{ name: "IA32_VMX_TRUE_ENTRY_CTLS", address: 0x490, value: exact(entry) },
		{ name: "IA32_VMX_VMFUNC", address: 0x491, value: BigInt(VmFunction.eptpSwitching) },
	];
}

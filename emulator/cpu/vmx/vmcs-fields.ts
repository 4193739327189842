// The fields of the VMCS, one row each (SDM Vol. 3D Appendix B). Width, type and index follow from the encoding (Vol. 3C §25.11.2).
//
// Layout of the region, which the architecture leaves to the processor (Vol. 3C §25.2): revision identifier, VMX-abort indicator,
// launch state, and from byte 16 on eight bytes for each field in the order of this table.

export type VmcsGroup = "control" | "exit information" | "guest state" | "host state";
export type VmcsWidth = 16 | 32 | 64 | "natural";

export interface VmcsField {
	readonly name: string;
	readonly encoding: number;
	readonly width: VmcsWidth;
	readonly group: VmcsGroup;
	/** Byte offset in the region. */
	readonly offset: number;
}

/** Byte offsets of what is no field. */
export const VmcsRegion = { revision: 0, abort: 4, launchState: 8, fields: 16, bytes: 4096 } as const;

const NAMES = {
	vpid: 0x0000,
	postedInterruptVector: 0x0002,
	eptpIndex: 0x0004,
	guestEs: 0x0800,
	guestCs: 0x0802,
	guestSs: 0x0804,
	guestDs: 0x0806,
	guestFs: 0x0808,
	guestGs: 0x080a,
	guestLdtr: 0x080c,
	guestTr: 0x080e,
	guestInterruptStatus: 0x0810,
	pmlIndex: 0x0812,
	hostEs: 0x0c00,
	hostCs: 0x0c02,
	hostSs: 0x0c04,
	hostDs: 0x0c06,
	hostFs: 0x0c08,
	hostGs: 0x0c0a,
	hostTr: 0x0c0c,
	ioBitmapA: 0x2000,
	ioBitmapB: 0x2002,
	msrBitmap: 0x2004,
	exitMsrStoreAddress: 0x2006,
	exitMsrLoadAddress: 0x2008,
	entryMsrLoadAddress: 0x200a,
	executiveVmcsPointer: 0x200c,
	pmlAddress: 0x200e,
	tscOffset: 0x2010,
	virtualApicAddress: 0x2012,
	apicAccessAddress: 0x2014,
	postedInterruptDescriptor: 0x2016,
	vmFunctionControls: 0x2018,
	eptPointer: 0x201a,
	eoiExitBitmap0: 0x201c,
	eoiExitBitmap1: 0x201e,
	eoiExitBitmap2: 0x2020,
	eoiExitBitmap3: 0x2022,
	eptpListAddress: 0x2024,
	vmreadBitmap: 0x2026,
	vmwriteBitmap: 0x2028,
	guestPhysicalAddress: 0x2400,
	vmcsLinkPointer: 0x2800,
	guestDebugctl: 0x2802,
	guestPat: 0x2804,
	guestEfer: 0x2806,
	guestPdpte0: 0x280a,
	guestPdpte1: 0x280c,
	guestPdpte2: 0x280e,
	guestPdpte3: 0x2810,
	hostPat: 0x2c00,
	hostEfer: 0x2c02,
	pinControls: 0x4000,
	primaryControls: 0x4002,
	exceptionBitmap: 0x4004,
	pageFaultErrorCodeMask: 0x4006,
	pageFaultErrorCodeMatch: 0x4008,
	cr3TargetCount: 0x400a,
	exitControls: 0x400c,
	exitMsrStoreCount: 0x400e,
	exitMsrLoadCount: 0x4010,
	entryControls: 0x4012,
	entryMsrLoadCount: 0x4014,
	entryInterruptionInformation: 0x4016,
	entryExceptionErrorCode: 0x4018,
	entryInstructionLength: 0x401a,
	tprThreshold: 0x401c,
	secondaryControls: 0x401e,
	pleGap: 0x4020,
	pleWindow: 0x4022,
	instructionError: 0x4400,
	exitReason: 0x4402,
	exitInterruptionInformation: 0x4404,
	exitInterruptionErrorCode: 0x4406,
	idtVectoringInformation: 0x4408,
	idtVectoringErrorCode: 0x440a,
	exitInstructionLength: 0x440c,
	exitInstructionInformation: 0x440e,
	guestEsLimit: 0x4800,
	guestCsLimit: 0x4802,
	guestSsLimit: 0x4804,
	guestDsLimit: 0x4806,
	guestFsLimit: 0x4808,
	guestGsLimit: 0x480a,
	guestLdtrLimit: 0x480c,
	guestTrLimit: 0x480e,
	guestGdtrLimit: 0x4810,
	guestIdtrLimit: 0x4812,
	guestEsAccess: 0x4814,
	guestCsAccess: 0x4816,
	guestSsAccess: 0x4818,
	guestDsAccess: 0x481a,
	guestFsAccess: 0x481c,
	guestGsAccess: 0x481e,
	guestLdtrAccess: 0x4820,
	guestTrAccess: 0x4822,
	guestInterruptibility: 0x4824,
	guestActivity: 0x4826,
	guestSmbase: 0x4828,
	guestSysenterCs: 0x482a,
	preemptionTimer: 0x482e,
	hostSysenterCs: 0x4c00,
	cr0Mask: 0x6000,
	cr4Mask: 0x6002,
	cr0ReadShadow: 0x6004,
	cr4ReadShadow: 0x6006,
	cr3Target0: 0x6008,
	cr3Target1: 0x600a,
	cr3Target2: 0x600c,
	cr3Target3: 0x600e,
	exitQualification: 0x6400,
	ioRcx: 0x6402,
	ioRsi: 0x6404,
	ioRdi: 0x6406,
	ioRip: 0x6408,
	guestLinearAddress: 0x640a,
	guestCr0: 0x6800,
	guestCr3: 0x6802,
	guestCr4: 0x6804,
	guestEsBase: 0x6806,
	guestCsBase: 0x6808,
	guestSsBase: 0x680a,
	guestDsBase: 0x680c,
	guestFsBase: 0x680e,
	guestGsBase: 0x6810,
	guestLdtrBase: 0x6812,
	guestTrBase: 0x6814,
	guestGdtrBase: 0x6816,
	guestIdtrBase: 0x6818,
	guestDr7: 0x681a,
	guestRsp: 0x681c,
	guestRip: 0x681e,
	guestRflags: 0x6820,
	guestPendingDebug: 0x6822,
	guestSysenterEsp: 0x6824,
	guestSysenterEip: 0x6826,
	hostCr0: 0x6c00,
	hostCr3: 0x6c02,
	hostCr4: 0x6c04,
	hostFsBase: 0x6c06,
	hostGsBase: 0x6c08,
	hostTrBase: 0x6c0a,
	hostGdtrBase: 0x6c0c,
	hostIdtrBase: 0x6c0e,
	hostSysenterEsp: 0x6c10,
	hostSysenterEip: 0x6c12,
	hostRsp: 0x6c14,
	hostRip: 0x6c16,
} as const;

export type VmcsFieldName = keyof typeof NAMES;

const GROUPS: readonly VmcsGroup[] = ["control", "exit information", "guest state", "host state"];
const WIDTHS: readonly VmcsWidth[] = [16, 64, 32, "natural"];

export const vmcsFields: readonly VmcsField[] = Object.entries(NAMES).map(([name, encoding], index) => {
	const type = (encoding >> 10) & 3;
	return {
		name,
		encoding,
		width: WIDTHS[(encoding >> 13) & 3]!,
		group: GROUPS[type]!,
		offset: VmcsRegion.fields + index * 8,
	};
});

/** Byte offsets in the region by name. */
export const Vmcs = Object.fromEntries(vmcsFields.map(({ name, offset }) => [name, offset])) as Readonly<
	Record<VmcsFieldName, number>
>;

const byEncoding = new Map(vmcsFields.map((field) => [field.encoding, field]));

/**
 * The field of a VMREAD or VMWRITE encoding; `high` is set for the upper half of a 64-bit field (access type 1). Undefined when there is
 * none (Vol. 3C §25.11.2).
 */
export function vmcsFieldOf(encoding: number): { readonly field: VmcsField; readonly high: boolean } | undefined {
	const high = (encoding & 1) === 1;
	const field = byEncoding.get(high ? encoding & ~1 : encoding);
	if (field === undefined || (high && field.width !== 64)) return undefined;
	return { field, high };
}

/** IA32_VMX_VMCS_ENUM: the highest index of any field, in bits 9:1 (Vol. 3D A.9). */
export const VMCS_ENUM = BigInt(Math.max(...vmcsFields.map(({ encoding }) => (encoding >> 1) & 0x1ff)) << 1);

// Model-specific registers of a paravirtual guest: the bases of its segments are its own, a few others are shown, the rest raises #GP
// (xen/arch/x86/pv/emul-priv-op.c, read_msr and write_msr).

import { Segment } from "../../isa/state.ts";
import type { Domain } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";

const APIC_BASE = 0x1b;
const EFER = 0xc0000080;
const FS_BASE = 0xc0000100;
const GS_BASE = 0xc0000101;
const OTHER_GS_BASE = 0xc0000102;
/** LME and LMA, which a 32-bit guest does not have. */
const LONG_MODE = 0x500n;
/** Platform id, microcode, machine check, miscellaneous features, PAT. */
const SHOWN: ReadonlySet<number> = new Set([0x10, 0x17, 0x8b, 0x179, 0x17a, 0x1a0, 0x277]);
const IGNORED: ReadonlySet<number> = new Set([0x8b, 0x1a0]);

export function isCanonicalAddress(value: bigint): boolean {
	return BigInt.asUintN(64, BigInt.asIntN(48, value)) === BigInt.asUintN(64, value);
}

/** undefined: #GP. */
export function readGuestMsr(hypervisor: Hypervisor, domain: Domain, address: number): bigint | undefined {
	const { modelSpecific } = hypervisor.host.processor;
	const { state } = hypervisor.control;
	switch (address) {
		case APIC_BASE:
			// The local APIC is the VMM's: bootstrap processor, not enabled.
			return 0xfee00100n;
		case EFER: {
			const efer = modelSpecific.read(EFER)!;
			return domain.wide ? efer : efer & ~LONG_MODE;
		}
		case FS_BASE:
			return domain.wide ? state.base(Segment.fs) : undefined;
		case GS_BASE:
			return domain.wide ? state.base(Segment.gs) : undefined;
		case OTHER_GS_BASE:
			return domain.wide ? domain.vcpu.otherGsBase : undefined;
		default:
			return SHOWN.has(address) ? modelSpecific.read(address) : undefined;
	}
}

/** False: #GP. */
export function writeGuestMsr(hypervisor: Hypervisor, domain: Domain, address: number, value: bigint): boolean {
	const { state } = hypervisor.control;
	switch (address) {
		case FS_BASE:
		case GS_BASE:
		case OTHER_GS_BASE:
			if (!domain.wide || !isCanonicalAddress(value)) return false;
			if (address === OTHER_GS_BASE) domain.vcpu.otherGsBase = value;
			else state.setSegmentBase(address === FS_BASE ? Segment.fs : Segment.gs, value);
			return true;
		case EFER:
		case APIC_BASE:
		case 0x277:
			return readGuestMsr(hypervisor, domain, address) === value;
		default:
			return IGNORED.has(address);
	}
}

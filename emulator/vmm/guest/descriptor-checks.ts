// What the guest's descriptors allow, asked without any effect but that of reading the tables (SDM Vol. 3A Chapter 5).

import { type DescriptorWords, descriptorLimit } from "../segments/shadow-descriptor.ts";
import { type GuestContext, High, privilegeOf, Vector } from "./guest-context.ts";
import { GuestFault } from "./guest-fault.ts";

/** Types of system descriptors that LAR and LSL accept (SDM Vol. 2A Tables 3-53, 3-57). */
const LAR_TYPES = [1, 2, 3, 4, 5, 9, 11, 12];
const LSL_TYPES = [1, 2, 3, 9, 11];
export const LAR = 0x0f02;

/** The descriptor that LAR, LSL, VERR and VERW may see. @throws {GuestFault} #PF */
function visible(guest: GuestContext, selector: number, systemTypes: readonly number[]): DescriptorWords | undefined {
	if ((selector & ~3) === 0) return undefined;
	const found = guest.descriptors.descriptor(selector);
	if (found === undefined) return undefined;
	const system = (found[1] & High.s) === 0;
	if (system && !systemTypes.includes((found[1] >> 8) & 15)) return undefined;
	const conforming = !system && (found[1] & (High.code | High.conforming)) === (High.code | High.conforming);
	const privilege = privilegeOf(found);
	if (!conforming && (privilege < guest.vcpu.cpl || privilege < (selector & 3))) return undefined;
	return found;
}

/** What LAR or LSL gives for a selector; undefined when it clears ZF. @throws {GuestFault} #PF */
export function accessRights(guest: GuestContext, opcode: number, selector: number): number | undefined {
	const found = visible(guest, selector, opcode === LAR ? LAR_TYPES : LSL_TYPES);
	if (found === undefined) return undefined;
	return opcode === LAR ? found[1] & 0x00f0ff00 : descriptorLimit(found);
}

/** ZF as VERR or VERW sets it. @throws {GuestFault} #PF */
export function verifies(guest: GuestContext, writing: boolean, selector: number): boolean {
	const found = visible(guest, selector, []);
	if (found === undefined) return false;
	const code = (found[1] & High.code) !== 0;
	const bit = (found[1] & High.writable) !== 0;
	return writing ? !code && bit : !code || bit;
}

/** The descriptor that a load of ES, DS, FS or GS finds; undefined for a null selector. @throws {GuestFault} #GP, #NP, #PF */
export function dataDescriptor(guest: GuestContext, selector: number): DescriptorWords | undefined {
	const { cpl } = guest.vcpu;
	if ((selector & ~3) === 0) return undefined;
	const found = guest.findDescriptor(selector, Vector.generalProtection);
	const readable = (found[1] & High.code) === 0 || (found[1] & High.writable) !== 0;
	const conforming = (found[1] & (High.code | High.conforming)) === (High.code | High.conforming);
	const allowed = conforming || (privilegeOf(found) >= cpl && privilegeOf(found) >= (selector & 3));
	if ((found[1] & High.s) === 0 || !readable || !allowed)
		throw new GuestFault(Vector.generalProtection, selector & 0xfffc);
	if ((found[1] & High.present) === 0) throw new GuestFault(Vector.segmentNotPresent, selector & 0xfffc);
	return found;
}

/** Where a far JMP or CALL may go without a gate. @throws {GuestFault} #GP, #PF */
export function checkFarTarget(guest: GuestContext, selector: number): void {
	const found = guest.findDescriptor(selector, Vector.generalProtection);
	if ((found[1] & High.s) === 0) return;
	const { cpl } = guest.vcpu;
	const dpl = privilegeOf(found);
	const conforming = (found[1] & High.conforming) !== 0;
	const allowed = conforming ? dpl <= cpl : dpl === cpl && (selector & 3) <= cpl;
	if ((found[1] & High.code) === 0 || !allowed) throw new GuestFault(Vector.generalProtection, selector & 0xfffc);
}

/** Where a far RET or IRET may go. @throws {GuestFault} #GP, #PF */
export function checkFarReturn(guest: GuestContext, selector: number): void {
	const found = guest.findDescriptor(selector, Vector.generalProtection);
	const rpl = selector & 3;
	const isCode = (found[1] & (High.s | High.code)) === (High.s | High.code);
	const allowed = (found[1] & High.conforming) !== 0 ? privilegeOf(found) <= rpl : privilegeOf(found) === rpl;
	if (!isCode || rpl < guest.vcpu.cpl || !allowed) throw new GuestFault(Vector.generalProtection, selector & 0xfffc);
}

// The instructions that the translator leaves to the VMM: privileged and sensitive ones, I/O, far transfers. Each changes
// the vCPU and moves EIP, or throws the fault that the processor would raise (SDM Vol. 2, "Operation" of each).

import { isXcr0 } from "../../cpu/extended-state.ts";
import { Segment, type SegmentIndex, State } from "../../isa/state.ts";
import type { InstructionBytes } from "../translate/instruction-bytes.ts";
import { GUEST_CR4 } from "../virtual-cpu.ts";
import type { ControlTransfer } from "./control-transfer.ts";
import { LOADABLE } from "./control-transfer.ts";
import { accessRights, dataDescriptor, verifies } from "./descriptor-checks.ts";
import { accessOf, type GuestContext, High, refuse, Vector } from "./guest-context.ts";
import { guestCpuid } from "./guest-cpuid.ts";
import { GuestFault } from "./guest-fault.ts";
import { Cr0, Cr4, Efer, type PagingControls } from "./guest-page-walk.ts";
import type { InstructionEmulator } from "./instruction-emulator.ts";
import { LOADS_PDPTES, loadPdptes } from "./pdpte-registers.ts";
import type { PortInstructions } from "./port-instructions.ts";

/** Types of INVPCID, and the bits of its descriptor that hold an identifier (SDM Vol. 2A). */
const Invalidation = { address: 0, context: 1, everything: 2, allContexts: 3 } as const;
const PCID = 0xfff;

/** What the instructions need of the VMM around them. */
export interface PrivilegedSurroundings {
	/** CR0, CR3, CR4 or EFER was written; the bits of CR0 and CR4 that changed. */
	controlsChanged(cr0Changed: number, cr4Changed: number): void;
	/** IOPL was changed, so that code translated under another is no longer right. */
	privilegeLevelChanged(): void;
	invalidatePage(linear: number): void;
	invalidateAll(): void;
	localTableLoaded(length: number): void;
	stackSegmentLoaded(): void;
	/** Loads ES, DS or FS of the host with a checked selector whose descriptor has no lasting shadow. */
	loadHostSegment(segment: SegmentIndex, selector: number): void;
	/** The host's answer to CPUID with EAX and ECX as they are in the registers: changes EAX, EBX, ECX, EDX. */
	executeCpuid(): void;
	timestamp(): number;
	/** Bits that the host's processor lets CR4 have. */
	hostCr4Bits(): number;
	/** Raises a software interrupt, or INT3, INTO, INT1, whose return address is `next`. */
	softwareInterrupt(vector: number, next: number): void;
}

const { generalProtection, invalidOpcode, segmentNotPresent } = Vector;
const [EAX, ECX, EDX, EBX] = [0, 1, 2, 3] as const;
const ZF = 0x40;
const POPPED = new Map<number, SegmentIndex>([
	[0x07, Segment.es],
	[0x1f, Segment.ds],
	[0x0fa1, Segment.fs],
]);
const FAR_POINTERS = new Map<number, SegmentIndex>([
	[0xc4, Segment.es],
	[0xc5, Segment.ds],
	[0x0fb4, Segment.fs],
]);
const TWO_32 = 0x100000000;
const EFER = 0xc0000080;

export class PrivilegedInstructions {
	constructor(
		private readonly guest: GuestContext,
		private readonly operands: InstructionEmulator,
		private readonly transfer: ControlTransfer,
		private readonly ports: PortInstructions,
		private readonly surroundings: PrivilegedSurroundings,
	) {}

	/**
	 * Executes the instruction at the guest's EIP; `next` is the address behind it. False when it is none of those known here.
	 * @throws {GuestFault} with nothing changed
	 */
	execute(i: InstructionBytes, next: number): boolean {
		const { registers } = this.guest;
		this.operands.begin(i);
		this.moved = false;
		const known = i.opcode < 0x100 ? this.oneByte(i, next) : this.longer(i);
		if (known && !this.moved) registers.eip = next;
		return known;
	}

	/** The instruction set EIP itself, perhaps to its own address. */
	private moved = false;

	private requirePrivilege(): void {
		if (this.guest.user) throw new GuestFault(generalProtection, 0);
	}

	private oneByte(i: InstructionBytes, next: number): boolean {
		const { guest, operands, transfer } = this;
		const { registers } = guest;
		switch (i.opcode) {
			case 0x17:
				this.loadStackSegment(guest.peekStack(0, i.operandSize16 ? 2 : 4) & 0xffff);
				registers.esp = (registers.esp + (i.operandSize16 ? 2 : 4)) >>> 0;
				return true;
			case 0x6c:
			case 0x6d:
			case 0x6e:
			case 0x6f:
				this.moved = !this.ports.string(i);
				return true;
			case 0x8c:
				this.storeSelector(i);
				return true;
			case 0x8e: {
				const selector = operands.readOperand(2);
				if (i.reg === Segment.ss) this.loadStackSegment(selector);
				else this.loadGs(selector);
				return true;
			}
			case 0x9a:
			case 0xea: {
				const size = i.operandSize16 ? 2 : 4;
				const offset = size === 2 ? i.immediate(2) & 0xffff : i.immediate(4) >>> 0;
				this.moved = true;
				transfer.farTransfer(i.immediate(2, size) & 0xffff, offset, i.opcode === 0x9a, i.operandSize16, next);
				return true;
			}
			case 0x9c:
				operands.pushValue(guest.flagsImage());
				return true;
			case 0x9d:
				this.popFlags(i);
				return true;
			case 0xca:
			case 0xcb:
				this.moved = true;
				transfer.farReturn(i.operandSize16, i.opcode === 0xca ? i.immediate(2) & 0xffff : 0);
				return true;
			case 0xcc:
				return this.software(3, next);
			case 0xcd:
				return this.software(i.immediate(1) & 0xff, next);
			case 0xce:
				return (registers.eflags & 0x800) === 0 || this.software(4, next);
			case 0xf1:
				return this.software(1, next);
			case 0xcf:
				this.moved = true;
				this.interruptReturn(i);
				return true;
			case 0xe4:
			case 0xe5:
			case 0xe6:
			case 0xe7:
			case 0xec:
			case 0xed:
			case 0xee:
			case 0xef:
				this.ports.single(i);
				return true;
			case 0xf4:
				this.requirePrivilege();
				guest.vcpu.halted = true;
				return true;
			case 0xfa:
			case 0xfb:
				if (guest.vcpu.iopl < guest.vcpu.cpl) throw new GuestFault(generalProtection, 0);
				guest.vcpu.interruptFlag = i.opcode === 0xfb;
				return true;
			case 0xff: {
				if (i.reg !== 3 && i.reg !== 5) return false;
				const size = i.operandSize16 ? 2 : 4;
				const at = operands.operandAddress(size + 2, false);
				const offset = guest.read(at, size);
				const selector = guest.read((at + size) >>> 0, 2);
				this.moved = true;
				transfer.farTransfer(selector, offset, i.reg === 3, i.operandSize16, next);
				return true;
			}
			default:
				return false;
		}
	}

	private software(vector: number, next: number): true {
		this.moved = true;
		this.surroundings.softwareInterrupt(vector, next);
		return true;
	}

	private interruptReturn(i: InstructionBytes): void {
		const { vcpu } = this.guest;
		const { iopl } = vcpu;
		this.transfer.interruptReturn(i.operandSize16);
		if (vcpu.iopl !== iopl) this.surroundings.privilegeLevelChanged();
	}

	private popFlags(i: InstructionBytes): void {
		const { guest } = this;
		const { vcpu, registers } = guest;
		const size = i.operandSize16 ? 2 : 4;
		const image = guest.peekStack(0, size);
		let mask = (size === 4 ? LOADABLE : LOADABLE & 0xffff) & ~0x10000;
		if (vcpu.cpl === 0) mask |= 0x3000;
		if (vcpu.cpl <= vcpu.iopl) mask |= 0x200;
		const { iopl } = vcpu;
		guest.loadEflags(image, mask, vcpu.cpl);
		registers.esp = (registers.esp + size) >>> 0;
		if (vcpu.iopl !== iopl) this.surroundings.privilegeLevelChanged();
	}

	private storeSelector(i: InstructionBytes): void {
		const selector = this.guest.selector(i.reg as SegmentIndex);
		if (i.inMemory) this.operands.writeOperand(2, selector);
		else this.operands.writeOperand(i.operandSize16 ? 2 : 4, selector);
	}

	private loadStackSegment(selector: number): void {
		const { guest } = this;
		const stack = guest.stackDescriptor(selector, guest.vcpu.cpl, generalProtection);
		guest.fillSegment(guest.vcpu.ss, selector, stack);
		this.surroundings.stackSegmentLoaded();
	}

	private loadGs(selector: number): void {
		const { guest } = this;
		const found = dataDescriptor(this.guest, selector);
		if (found === undefined) {
			guest.vcpu.gs.selector = selector;
			guest.vcpu.gs.access |= 0x10000;
		} else guest.fillSegment(guest.vcpu.gs, selector, found);
	}

	/**
	 * Loads of a segment register that translated and directly running code do by themselves as long as the descriptor has a
	 * shadow: MOV, POP, LES, LDS, LFS, and of GS where the host's is the guest's. False for other instructions.
	 * @throws {GuestFault} with nothing changed
	 */
	loadSegment(i: InstructionBytes, next: number): boolean {
		const { guest, operands } = this;
		const { registers } = guest;
		operands.begin(i);
		const size = i.operandSize16 ? 2 : 4;
		const ownGs = guest.user || guest.kernelRunsDirectly;
		const popped = i.opcode === 0x0fa9 && ownGs ? Segment.gs : POPPED.get(i.opcode);
		const far = i.opcode === 0x0fb5 && ownGs ? Segment.gs : FAR_POINTERS.get(i.opcode);
		const moved =
			i.reg === Segment.es || i.reg === Segment.ds || i.reg === Segment.fs || (ownGs && i.reg === Segment.gs);
		if (popped !== undefined) {
			this.surroundings.loadHostSegment(popped, this.checked(guest.peekStack(0, size) & 0xffff));
			registers.esp = (registers.esp + size) >>> 0;
		} else if (far !== undefined && i.inMemory) {
			const at = operands.operandAddress(size + 2, false);
			const offset = guest.read(at, size);
			this.surroundings.loadHostSegment(far, this.checked(guest.read((at + size) >>> 0, 2)));
			registers.write(i.reg, size, offset);
		} else if (i.opcode === 0x8e && moved) {
			this.surroundings.loadHostSegment(i.reg as SegmentIndex, this.checked(operands.readOperand(2)));
		} else return false;
		registers.eip = next >>> 0;
		return true;
	}

	private checked(selector: number): number {
		const found = dataDescriptor(this.guest, selector);
		if (found !== undefined && (found[1] & High.accessed) === 0)
			this.guest.descriptors.setHighBits(selector, High.accessed);
		return selector;
	}

	private longer(i: InstructionBytes): boolean {
		const { guest, operands, transfer } = this;
		const { vcpu, registers } = guest;
		switch (i.opcode) {
			case 0x0f00:
				return this.group6(i);
			case 0x0f01:
				return this.group7(i);
			case 0x0f02:
			case 0x0f03:
				this.loadRights(i);
				return true;
			case 0x0f06:
				this.requirePrivilege();
				this.writeCr0(vcpu.cr0 & ~Cr0.ts);
				return true;
			case 0x0f08:
			case 0x0f09:
				this.requirePrivilege();
				return true;
			case 0x0f20:
				this.requirePrivilege();
				registers.write32(i.rm, this.readControl(i.reg));
				return true;
			case 0x0f21:
				this.requirePrivilege();
				registers.write32(i.rm, vcpu.dr[this.debugRegister(i.reg)]!);
				return true;
			case 0x0f22:
				this.requirePrivilege();
				this.writeControl(i.reg, registers.read32(i.rm) | 0);
				return true;
			case 0x0f23: {
				this.requirePrivilege();
				const number = this.debugRegister(i.reg);
				const value = registers.read32(i.rm) | 0;
				// Reserved bits read as they are fixed (SDM Vol. 3B §17.2).
				vcpu.dr[number] =
					number === 6 ? (value & 0xe00f) | 0xffff0ff0 : number === 7 ? (value & 0xffff23ff) | 0x400 : value;
				return true;
			}
			case 0x0f30:
				this.requirePrivilege();
				this.writeMsr(registers.read32(ECX), registers.read32(EAX), registers.read32(EDX));
				return true;
			case 0x0f32: {
				this.requirePrivilege();
				const [low, high] = this.readMsr(registers.read32(ECX));
				registers.write32(EAX, low);
				registers.write32(EDX, high);
				return true;
			}
			case 0x0f33:
				throw new GuestFault(generalProtection, 0);
			case 0x0f34:
				this.moved = true;
				transfer.systemEnter();
				return true;
			case 0x0f35:
				this.moved = true;
				transfer.systemExit();
				return true;
			case 0x0fa2:
				this.cpuid();
				return true;
			case 0x0fa9: {
				const size = i.operandSize16 ? 2 : 4;
				this.loadGs(guest.peekStack(0, size) & 0xffff);
				registers.esp = (registers.esp + size) >>> 0;
				return true;
			}
			case 0x0fb2:
			case 0x0fb5: {
				const size = i.operandSize16 ? 2 : 4;
				const at = operands.operandAddress(size + 2, false);
				const offset = guest.read(at, size);
				const selector = guest.read((at + size) >>> 0, 2);
				if (i.opcode === 0x0fb2) this.loadStackSegment(selector);
				else this.loadGs(selector);
				registers.write(i.reg, size, offset);
				return true;
			}
			case 0x0f3882:
				this.invalidateContext(i);
				return true;
			default:
				return false;
		}
	}

	/** INVPCID (SDM Vol. 2A) without process-context identifiers, which need IA-32e mode. */
	private invalidateContext(i: InstructionBytes): void {
		const { guest, operands } = this;
		// Translated code asks a CPUID that does not announce it; kernel code that runs directly asks the host's.
		if (!guest.kernelRunsDirectly || !i.operandSize16 || !i.inMemory) throw new GuestFault(invalidOpcode);
		this.requirePrivilege();
		const type = guest.registers.read32(i.reg) >>> 0;
		const at = operands.operandAddress(16, false);
		const context = guest.read(at, 4);
		const reserved = (context & ~PCID) | guest.read((at + 4) >>> 0, 4);
		const single = type === Invalidation.address || type === Invalidation.context;
		if (type > Invalidation.allContexts || reserved !== 0 || (single && context !== 0))
			throw new GuestFault(generalProtection, 0);
		if (type === Invalidation.address) this.surroundings.invalidatePage(guest.read((at + 8) >>> 0, 4));
		else this.surroundings.invalidateAll();
	}

	/** SLDT STR LLDT LTR VERR VERW. */
	private group6(i: InstructionBytes): boolean {
		const { guest, operands } = this;
		const { vcpu } = guest;
		switch (i.reg) {
			case 0:
			case 1: {
				const { selector } = i.reg === 0 ? vcpu.ldtr : vcpu.tr;
				if (i.inMemory) operands.writeOperand(2, selector);
				else operands.writeOperand(i.operandSize16 ? 2 : 4, selector);
				return true;
			}
			case 2:
				this.requirePrivilege();
				this.loadLocalTable(operands.readOperand(2));
				return true;
			case 3:
				this.requirePrivilege();
				this.loadTaskRegister(operands.readOperand(2));
				return true;
			case 4:
			case 5:
				this.setZero(verifies(guest, i.reg === 5, operands.readOperand(2)));
				return true;
			default:
				throw new GuestFault(invalidOpcode);
		}
	}

	private setZero(set: boolean): void {
		const { registers } = this.guest;
		registers.eflags = set ? registers.eflags | ZF : registers.eflags & ~ZF;
	}

	private loadRights(i: InstructionBytes): void {
		const { guest, operands } = this;
		const selector = operands.readOperand(2);
		const value = accessRights(guest, i.opcode, selector);
		this.setZero(value !== undefined);
		if (value !== undefined) guest.registers.write(i.reg, i.operandSize16 ? 2 : 4, value);
	}

	private loadLocalTable(selector: number): void {
		const { guest } = this;
		const { ldtr } = guest.vcpu;
		if ((selector & ~3) === 0) {
			Object.assign(ldtr, { selector, access: 0x10000, base: 0, limit: 0 });
		} else {
			if (selector & 4) throw new GuestFault(generalProtection, selector & 0xfffc);
			const found = guest.findDescriptor(selector, generalProtection);
			if ((found[1] & 0x1f00) !== 0x0200) throw new GuestFault(generalProtection, selector & 0xfffc);
			if ((found[1] & High.present) === 0) throw new GuestFault(segmentNotPresent, selector & 0xfffc);
			guest.fillSegment(ldtr, selector, found);
			ldtr.access = accessOf(found);
		}
		const length = ldtr.access & 0x10000 ? 0 : ldtr.limit + 1;
		guest.descriptors.loadLocal(ldtr.base, length);
		this.surroundings.localTableLoaded(length);
	}

	private loadTaskRegister(selector: number): void {
		const { guest } = this;
		if ((selector & ~3) === 0) throw new GuestFault(generalProtection, 0);
		if (selector & 4) throw new GuestFault(generalProtection, selector & 0xfffc);
		const found = guest.findDescriptor(selector, generalProtection);
		const type = (found[1] >> 8) & 0x1f;
		if (type === 1) refuse("loads a 16-bit TSS", guest.registers.eip);
		if (type !== 9) throw new GuestFault(generalProtection, selector & 0xfffc);
		if ((found[1] & High.present) === 0) throw new GuestFault(segmentNotPresent, selector & 0xfffc);
		guest.descriptors.setHighBits(selector, 0x200);
		guest.fillSegment(guest.vcpu.tr, selector, found);
		guest.vcpu.tr.access = accessOf(found) | 2;
	}

	/** SGDT SIDT LGDT LIDT SMSW LMSW INVLPG XGETBV XSETBV. */
	private group7(i: InstructionBytes): boolean {
		const { guest, operands, surroundings } = this;
		const { vcpu } = guest;
		if (!i.inMemory && i.reg === 2 && i.rm < 2) {
			this.extendedControl(i.rm === 1);
			return true;
		}
		if (!i.inMemory && i.reg !== 4 && i.reg !== 6) throw new GuestFault(invalidOpcode);
		switch (i.reg) {
			case 0:
			case 1: {
				const table = i.reg === 0 ? vcpu.gdtr : vcpu.idtr;
				const at = operands.operandAddress(6, true);
				guest.write(at, 2, table.limit);
				guest.write((at + 2) >>> 0, 4, table.base);
				return true;
			}
			case 2:
			case 3: {
				this.requirePrivilege();
				const at = operands.operandAddress(6, false);
				const limit = guest.read(at, 2);
				const wide = guest.read((at + 2) >>> 0, 4);
				// With a 16-bit operand size the base has 24 bits (SDM Vol. 2A, LGDT).
				const base = i.operandSize16 ? wide & 0xffffff : wide;
				Object.assign(i.reg === 2 ? vcpu.gdtr : vcpu.idtr, { base, limit });
				if (i.reg === 2) guest.descriptors.loadGlobal(base, limit);
				return true;
			}
			case 4:
				if (i.inMemory) operands.writeOperand(2, vcpu.cr0 & 0xffff);
				else operands.writeOperand(i.operandSize16 ? 2 : 4, vcpu.cr0);
				return true;
			case 6: {
				this.requirePrivilege();
				const value = operands.readOperand(2);
				// LMSW cannot clear PE (SDM Vol. 2A).
				this.writeCr0((vcpu.cr0 & ~0xe) | (value & 0xf));
				return true;
			}
			case 7:
				this.requirePrivilege();
				surroundings.invalidatePage((guest.segment(i.segment).base + operands.operandOffset()) >>> 0);
				return true;
			default:
				throw new GuestFault(invalidOpcode);
		}
	}

	/** XGETBV, XSETBV: XCR0 is always the guest's (SDM Vol. 2). */
	private extendedControl(writes: boolean): void {
		const { vcpu, registers, host } = this.guest;
		if ((vcpu.cr4 & Cr4.osxsave) === 0) throw new GuestFault(invalidOpcode);
		if (writes) this.requirePrivilege();
		if (registers.read32(ECX) !== 0) throw new GuestFault(generalProtection, 0);
		if (!writes) {
			registers.write32(EAX, host.i32[State.xcr0 >> 2]!);
			registers.write32(EDX, 0);
			return;
		}
		const value = registers.read32(EAX);
		if (!isXcr0(value, registers.read32(EDX))) throw new GuestFault(generalProtection, 0);
		host.i32[State.xcr0 >> 2] = value;
	}

	private readControl(number: number): number {
		const { vcpu } = this.guest;
		switch (number) {
			case 0:
				return vcpu.cr0;
			case 2:
				return vcpu.cr2;
			case 3:
				return vcpu.cr3;
			case 4:
				return vcpu.cr4;
			default:
				throw new GuestFault(invalidOpcode);
		}
	}

	private writeControl(number: number, value: number): void {
		const { guest } = this;
		const { vcpu } = guest;
		switch (number) {
			case 0:
				this.writeCr0(value);
				return;
			case 2:
				vcpu.cr2 = value >>> 0;
				return;
			case 3:
				this.loadPaging({ cr3: value >>> 0 }, true);
				this.surroundings.controlsChanged(0, 0);
				return;
			case 4: {
				this.checkCr4(value);
				const changed = vcpu.cr4 ^ value;
				this.loadPaging({ cr4: value }, (changed & LOADS_PDPTES.cr4) !== 0);
				this.surroundings.controlsChanged(0, changed | Cr4.pge);
				return;
			}
			default:
				throw new GuestFault(invalidOpcode);
		}
	}

	/** Where CPUID runs untrapped it announces what only the host has: a guest that believes it cannot go on. */
	private checkCr4(value: number): void {
		const more = value & ~GUEST_CR4;
		if (more === 0) return;
		const { guest } = this;
		if (guest.kernelRunsDirectly && (more & ~this.surroundings.hostCr4Bits()) === 0)
			refuse(`sets bits 0x${(more >>> 0).toString(16)} of CR4, which only the host has,`, guest.registers.eip);
		throw new GuestFault(generalProtection, 0);
	}

	/** Changes a control register, and the PDPTE registers with it. @throws {GuestFault} #GP(0), and nothing is changed */
	private loadPaging(change: Partial<PagingControls>, loads: boolean): void {
		const { vcpu, physical } = this.guest;
		const { cr0, cr3, cr4, efer, pdptes } = vcpu;
		if (loads && !loadPdptes(physical, { cr0, cr3, cr4, efer, pdptes, ...change }))
			throw new GuestFault(generalProtection, 0);
		Object.assign(vcpu, change);
	}

	private writeCr0(value: number): void {
		const { guest } = this;
		const { vcpu } = guest;
		const defined = value & 0xe005003f;
		const [nw, cd] = [0x20000000, 0x40000000];
		if ((defined & Cr0.pg) !== 0 && (defined & Cr0.pe) === 0) throw new GuestFault(generalProtection, 0);
		if ((defined & nw) !== 0 && (defined & cd) === 0) throw new GuestFault(generalProtection, 0);
		if ((defined & Cr0.pe) === 0) refuse("goes to real-address mode", guest.registers.eip);
		const cr0 = defined | Cr0.et;
		const changed = vcpu.cr0 ^ cr0;
		this.loadPaging({ cr0 }, (changed & LOADS_PDPTES.cr0) !== 0);
		if (changed !== 0) this.surroundings.controlsChanged(changed, 0);
	}

	/** DR4 and DR5 are DR6 and DR7 unless CR4.DE is set (SDM Vol. 3B §17.2.2). */
	private debugRegister(number: number): number {
		if (number !== 4 && number !== 5) return number;
		if (this.guest.vcpu.cr4 & Cr4.de) throw new GuestFault(invalidOpcode);
		return number + 2;
	}

	private cpuid(): void {
		const { registers } = this.guest;
		const leaf = registers.read32(EAX);
		this.surroundings.executeCpuid();
		const host = [EAX, EBX, ECX, EDX].map((register) => registers.read32(register));
		const [eax, ebx, ecx, edx] = guestCpuid(
			leaf,
			host as [number, number, number, number],
			this.guest.vcpu.msrs.apicEnabled,
		);
		registers.write32(EAX, eax);
		registers.write32(EBX, ebx);
		registers.write32(ECX, ecx);
		registers.write32(EDX, edx);
	}

	private readMsr(number: number): readonly [number, number] {
		const { vcpu } = this.guest;
		switch (number >>> 0) {
			case 0x10: {
				const ticks = this.surroundings.timestamp();
				return [ticks % TWO_32, Math.floor(ticks / TWO_32)];
			}
			case 0x174:
				return [vcpu.sysenterCs, 0];
			case 0x175:
				return [vcpu.sysenterEsp, 0];
			case 0x176:
				return [vcpu.sysenterEip, 0];
			case EFER:
				return [vcpu.efer, 0];
			default: {
				const value = vcpu.msrs.read(number >>> 0);
				if (value === undefined) throw new GuestFault(generalProtection, 0);
				return [Number(value & 0xffffffffn), Number(value >> 32n)];
			}
		}
	}

	private writeMsr(number: number, low: number, high: number): void {
		const { vcpu } = this.guest;
		switch (number >>> 0) {
			case 0x174:
				vcpu.sysenterCs = low;
				return;
			case 0x175:
				vcpu.sysenterEsp = low;
				return;
			case 0x176:
				vcpu.sysenterEip = low;
				return;
			case EFER:
				if (high !== 0 || low & ~Efer.nxe) throw new GuestFault(generalProtection, 0);
				vcpu.efer = low;
				this.surroundings.controlsChanged(0, 0);
				return;
			default: {
				const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
				if (!vcpu.msrs.write(number >>> 0, value)) throw new GuestFault(generalProtection, 0);
			}
		}
	}
}

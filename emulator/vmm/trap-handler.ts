// Exceptions that guest code raised on the host: the guest's own, or work that the VMM's tables made for the VMM.

import { State } from "../isa/state.ts";
import { type GuestContext, refuse, Vector } from "./guest/guest-context.ts";
import { GuestFault } from "./guest/guest-fault.ts";
import { Access } from "./guest/guest-page-walk.ts";
import type { InstructionEmulator } from "./guest/instruction-emulator.ts";
import type { PrivilegedInstructions } from "./guest/privileged-instructions.ts";
import type { GuestCode } from "./guest-code.ts";
import type { HostFrame } from "./host-control.ts";
import type { KernelExecution } from "./kernel-execution.ts";
import { FillResult } from "./shadow/shadow-page-tables.ts";
import type { InstructionBytes } from "./translate/instruction-bytes.ts";

/** Times in a row that an access may be let through by dropping a trace before the VMM gives up. */
const UNTRACE_LIMIT = 16;

/** How the VMM goes on: with the guest at registers.eip, or with an exception raised in the vCPU. */
export interface WayBack {
	resume(): void;
	raise(fault: GuestFault): void;
}

export class TrapHandler {
	/** Writes to write-traced pages that were emulated. */
	traceWrites = 0;
	private untraced = 0;

	constructor(
		private readonly guest: GuestContext,
		private readonly code: GuestCode,
		private readonly emulator: InstructionEmulator,
		private readonly privileged: PrivilegedInstructions,
		private readonly kernel: KernelExecution,
		private readonly way: WayBack,
	) {}

	/** An exception of the guest instruction at registers.eip: the guest's own, or work for the VMM. */
	handle(frame: HostFrame): void {
		const { vector, errorCode } = frame;
		switch (vector) {
			case Vector.pageFault:
				this.pageFault(frame);
				return;
			case Vector.generalProtection:
			case Vector.stackFault:
			case Vector.segmentNotPresent:
			case Vector.invalidTss:
				this.protectionFault(frame);
				return;
			case Vector.doubleFault:
				throw new Error(`Double fault of the host at 0x${frame.eip.toString(16)}.`);
			default:
				this.way.raise(new GuestFault(vector, vector === 17 ? errorCode : undefined));
		}
	}

	private pageFault(frame: HostFrame): void {
		const address = this.guest.host.i32[State.cr2 >> 2]! >>> 0;
		const access = (frame.errorCode & (Access.write | Access.fetch)) | (this.guest.user ? Access.user : 0);
		const result = this.guest.shadow.fill(address, access);
		if (result === FillResult.filled) {
			this.way.resume();
			return;
		}
		if (result === FillResult.fault) {
			this.way.raise(new GuestFault(Vector.pageFault, this.guest.shadow.walk.errorCode, address));
			return;
		}
		const page = Math.floor(this.guest.shadow.walk.physical / 4096);
		if (result === FillResult.traced) this.traceWrites++;
		this.emulate(result === FillResult.traced ? page : -1);
	}

	/** Executes the guest instruction at registers.eip in the VMM. @param traced the write-traced page that it writes, -1 for none */
	private emulate(traced: number): void {
		const { registers } = this.guest;
		const { eip } = registers;
		const { instruction, next } = this.code.instructionAt(eip);
		if (this.emulator.execute(instruction, next)) {
			this.untraced = 0;
			if (!this.guest.user) this.kernel.emulated(eip, instruction, traced >= 0);
			this.way.resume();
			return;
		}
		if (traced < 0 || ++this.untraced > UNTRACE_LIMIT) this.refuseInstruction(instruction);
		this.untrace(traced);
		this.way.resume();
	}

	refuseInstruction(instruction: InstructionBytes): never {
		const bytes = [...instruction.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
		refuse(`uses the instruction ${bytes} on memory that the VMM has to emulate`, this.guest.registers.eip);
	}

	/** Lets a page be written once without the VMM: what it was traced for is forgotten and found again when it is used. */
	private untrace(page: number): void {
		this.guest.shadow.forgetTables(page);
		this.kernel.translations?.codeChanged(page, 0, 4096);
		this.guest.descriptors.untracePage(page);
	}

	/** #GP, #SS, #NP, #TS of the host: a sensitive instruction, a truncated segment, a descriptor without shadow, or the guest's own. */
	private protectionFault(frame: HostFrame): void {
		const { vector, errorCode } = frame;
		const { registers } = this.guest;
		const { eip } = registers;
		const ofSelector = errorCode !== 0 && (errorCode & 2) === 0;
		if (ofSelector && this.shadowDescriptorMissing(errorCode)) {
			this.way.resume();
			return;
		}
		const { instruction, next } = this.code.instructionAt(registers.eip);
		const directKernel = this.guest.kernelRunsDirectly && !this.guest.user;
		if (ofSelector && (directKernel || !this.guest.descriptors.isTraced(errorCode))) {
			if (this.privileged.loadSegment(instruction, next)) {
				this.way.resume();
				return;
			}
		}
		if (directKernel && this.kernel.emulatePrivileged(instruction, next)) return;
		if (this.guest.user && (errorCode === 0 || errorCode & 2) && this.userTraps(instruction)) {
			this.privileged.execute(instruction, next);
			this.way.resume();
			return;
		}
		if (errorCode === 0 && this.emulator.execute(instruction, next)) {
			if (!this.guest.user) this.kernel.emulated(eip, instruction, false);
			this.way.resume();
			return;
		}
		this.way.raise(new GuestFault(vector, errorCode));
	}

	/** Instructions that trap at CPL 3 and that the guest may be allowed: I/O, CLI, STI, HLT, INT n, SYSENTER, far transfers. */
	private userTraps({ opcode }: InstructionBytes): boolean {
		return (
			(opcode >= 0x6c && opcode <= 0x6f) ||
			(opcode >= 0xe4 && opcode <= 0xe7) ||
			(opcode >= 0xec && opcode <= 0xef) ||
			(opcode >= 0xcc && opcode <= 0xce) ||
			opcode === 0xf1 ||
			opcode === 0xfa ||
			opcode === 0xfb ||
			opcode === 0x0f34
		);
	}

	/** A load found no shadow descriptor although the guest has one: makes it and says true. */
	shadowDescriptorMissing(errorCode: number): boolean {
		const selector = errorCode & 0xfffc;
		if (this.guest.descriptors.isShadowed(selector) || !this.guest.descriptors.isTraced(selector)) return false;
		const guest = this.guest.descriptors.descriptor(selector);
		const isSegment = guest !== undefined && (guest[1] & 0x1000) !== 0;
		if (!isSegment || (guest[1] & 0x8000) === 0) return false;
		if (((guest[1] >> 13) & 3) < this.guest.vcpu.cpl && (guest[1] & 0xc00) !== 0xc00) return false;
		this.guest.descriptors.setHighBits(selector, 0x100);
		return this.guest.descriptors.isShadowed(selector);
	}
}

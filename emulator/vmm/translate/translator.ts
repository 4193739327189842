// The translator: reads one translation unit (TU) of guest code and writes one compiled code fragment (CCF). Adams & Agesen,
// "A Comparison of Software and Hardware Techniques for x86 Virtualization" (ASPLOS 2006), §3.2.

import { Decoder, DecoderOptions } from "iced-x86";
import { Segment } from "../../isa/state.ts";
import { Area, HostVector, INTERRUPTS_OFF, VcpuBlock } from "../layout.ts";
import { CodeBuffer, Register32 } from "./code-buffer.ts";
import { type CalloutSite, type Exit, Fragment, type Tag, Undo } from "./fragment.ts";
import { InstructionBytes } from "./instruction-bytes.ts";
import { classify, type InstructionClass } from "./instruction-class.ts";

/** Instructions of a translation unit at most. */
export const UNIT_LIMIT = 12;
/** Bytes of the longest unit. */
const LONGEST_UNIT = UNIT_LIMIT * 15;
/** A fragment is never shorter: its entry has to hold a forwarding jump. */
const SHORTEST_FRAGMENT = 5;

/** What the translator needs of the machine. */
export interface TranslationSource {
	/**
	 * Code bytes from a guest-linear address to the end of its page, and the guest-physical address of the first.
	 * @throws {GuestFault} when the guest may not fetch there
	 */
	fetch(linear: number): { readonly bytes: Uint8Array; readonly physical: number };
	/** True when the instruction at this address is to be translated in its SIMULATE form. */
	isSimulated(linear: number): boolean;
	/** True when the guest's IOPL is 0, so that PUSHF and POPF have a short form. */
	readonly shortFlagForms: boolean;
	/** Linear address of a free continuation slot. */
	allocateContinuation(): number;
}

export interface Translation {
	readonly fragment: Fragment;
	readonly code: Uint8Array;
	/** Callout sites by the linear address of their INT. */
	readonly sites: readonly { readonly address: number; readonly site: CalloutSite }[];
}

interface Decoded {
	readonly instruction: InstructionBytes;
	readonly guest: number;
	readonly next: number;
	/** Target of a direct branch. */
	readonly target: number;
}

/** Translates the unit at a guest-linear address for a place in the translation cache. @throws {GuestFault} of the first fetch */
export function translateUnit(
	source: TranslationSource,
	guest: number,
	origin: number,
	id: number,
	generation: number,
): Translation {
	return new UnitTranslator(source, guest, origin, id, generation).translate();
}

class UnitTranslator {
	private readonly code: CodeBuffer;
	private readonly fragment: Fragment;
	private readonly sites: { address: number; site: CalloutSite }[] = [];
	/** The instruction before holds interrupts off for one instruction. */
	private shadowed = false;

	constructor(
		private readonly source: TranslationSource,
		private readonly guest: number,
		origin: number,
		id: number,
		generation: number,
	) {
		this.code = new CodeBuffer(origin);
		this.fragment = new Fragment(id, guest, origin, generation);
	}

	translate(): Translation {
		const { fragment, code } = this;
		const page = this.source.fetch(this.guest);
		const decoder = new Decoder(32, page.bytes.subarray(0, LONGEST_UNIT), DecoderOptions.ForceReservedNop);
		decoder.ip = BigInt(this.guest);
		let end = this.guest;
		let ended = false;
		for (let count = 0; count < UNIT_LIMIT && !ended; count++) {
			const decoded = this.decode(decoder, page, end, count === 0);
			if (decoded === undefined) break;
			end = decoded.next;
			ended = this.instruction(decoded);
		}
		decoder.free();
		this.recordPage(page.physical, Math.min(end - this.guest, page.bytes.length));
		fragment.guestEnd = end;
		if (!ended) {
			this.recover(end, { glue: true, boundary: true });
			this.exit("fallthrough", end);
		}
		while (code.length < SHORTEST_FRAGMENT) code.emit(0xcc);
		fragment.translatedEnd = code.here;
		return { fragment, code: code.take(), sites: this.sites };
	}

	private recordPage(physical: number, length: number): void {
		this.fragment.pages.push([physical >>> 12, physical & 0xfff, (physical & 0xfff) + length]);
	}

	/** The next instruction; undefined when it lies (in part) on the next page and is not the unit's first. */
	private decode(decoder: Decoder, page: { bytes: Uint8Array }, at: number, first: boolean): Decoded | undefined {
		const offset = at - this.guest;
		if (offset >= page.bytes.length) return undefined;
		const decoded = decoder.decode();
		let { length } = decoded;
		let invalid = decoded.isInvalid;
		const ranOut = invalid && decoder.lastError === 2;
		let target = decoded.isInvalid ? 0 : branchTarget(decoded.nearBranchTarget);
		decoded.free();
		let bytes = page.bytes.slice(offset, offset + length);
		if (ranOut) {
			if (!first) return undefined;
			const rest = this.source.fetch(at + page.bytes.length);
			const joined = new Uint8Array(page.bytes.length + 15);
			joined.set(page.bytes);
			joined.set(rest.bytes.subarray(0, 15), page.bytes.length);
			const crossing = new Decoder(32, joined, DecoderOptions.ForceReservedNop);
			crossing.ip = BigInt(at);
			const whole = crossing.decode();
			length = whole.length;
			invalid = whole.isInvalid;
			target = invalid ? 0 : branchTarget(whole.nearBranchTarget);
			whole.free();
			crossing.free();
			bytes = joined.slice(0, length);
			this.recordPage(rest.physical, length - page.bytes.length);
		}
		// An undefined opcode becomes UD2, which raises the same exception at the same guest address.
		const instruction = new InstructionBytes(invalid ? UNDEFINED : bytes);
		return { instruction, guest: at, next: (at + length) >>> 0, target };
	}

	/** Translates one instruction; true when the unit ends with it. */
	private instruction(decoded: Decoded): boolean {
		const { guest, instruction } = decoded;
		let kind = classify(instruction);
		if ((kind === "pushf" || kind === "popf") && !this.source.shortFlagForms) kind = "callout";
		if (kind === "ident" && this.source.isSimulated(guest)) kind = "simulate";
		const offset = this.code.length;
		this.recover(guest, { boundary: true, shadowed: this.shadowed });
		this.shadowed = false;
		const tag = this.emit(kind, decoded);
		const ended = ENDS_UNIT.has(kind);
		this.fragment.lines.push({
			guest,
			guestBytes: instruction.bytes,
			offset,
			length: this.code.length - offset,
			tag,
			instruction,
		});
		return ended;
	}

	private emit(kind: InstructionClass, decoded: Decoded): Tag {
		const { code } = this;
		const { instruction, guest, next, target } = decoded;
		switch (kind) {
			case "ident":
			case "trap":
				code.verbatim(instruction.bytes);
				return "IDENT";
			case "jcc": {
				this.exit("taken", target, instruction.opcode & 15);
				this.recover(next, { glue: true, boundary: true });
				this.exit("fallthrough", next);
				return "JCC";
			}
			case "loop": {
				if (instruction.addressSize16) code.emit(0x67);
				code.emit(instruction.opcode, 5);
				this.recover(next, { glue: true, boundary: true });
				this.exit("fallthrough", next);
				this.recover(target, { glue: true, boundary: true });
				this.exit("taken", target);
				return "PCREL";
			}
			case "jmp":
				this.exit("taken", target, -1, false);
				return "JMP";
			case "call":
				code.pushImmediate(next);
				this.recover(target, { glue: true, boundary: true });
				this.exit("taken", target);
				return "CALL";
			case "ret":
				this.ret(decoded);
				return "RET";
			case "jmp-indirect":
			case "call-indirect":
				this.indirect(decoded, kind === "call-indirect");
				return "INDIRECT";
			case "cli":
				code.storeBlockImmediate(VcpuBlock.interruptAdjust, INTERRUPTS_OFF);
				return "PRIV";
			case "sti":
				this.sti(decoded);
				return "PRIV";
			case "pushf":
				this.pushf(guest);
				return "PRIV";
			case "popf":
				this.popf(decoded);
				return "PRIV";
			case "push-selector":
				this.pushSelector(guest, selectorField(pushedSegment(instruction.opcode)));
				return "PRIV";
			case "move-selector":
				if (instruction.operandSize16) code.emit(0x66);
				code.emit(0x65, 0x8b, 0x05 | (instruction.rm << 3));
				code.dword(selectorField(instruction.reg));
				return "PRIV";
			case "simulate":
				this.callout("callout", decoded);
				return "SIMULATE";
			case "callout":
			case "callout-end":
				this.callout(kind, decoded);
				if (holdsInterrupts(instruction)) this.shadowed = true;
				return "CALLOUT";
		}
	}

	/** A jump to a translation of `target`, at first to a continuation. */
	private exit(kind: "taken" | "fallthrough", target: number, condition = -1, elidable = true): void {
		const { code, fragment } = this;
		const stub = this.source.allocateContinuation();
		const jump = code.here;
		if (condition >= 0) code.jumpIf(condition, stub);
		else code.jump(stub);
		const jumpLength = code.here - jump;
		const exit: Exit = { kind, target, jump, jumpLength, elidable, state: "continuation", fragment: -1 };
		fragment.exits.push(exit);
		fragment.sites.push(stub);
		this.sites.push({
			address: stub,
			site: { kind: "continuation", guest: target, next: target, instruction: undefined, exit, fragment },
		});
	}

	private callout(kind: CalloutSite["kind"], { guest, next, instruction }: Decoded): void {
		const { code, fragment } = this;
		fragment.sites.push(code.here);
		this.sites.push({
			address: code.here,
			site: { kind, guest, next, instruction, exit: undefined, fragment },
		});
		code.interrupt(HostVector.callout);
	}

	/** RET, RET imm16: the return address goes through the table that is indexed by its low 16 bits. */
	private ret(decoded: Decoded): void {
		const { code } = this;
		const { guest, instruction } = decoded;
		if (instruction.operandSize16) {
			this.callout("callout-end", decoded);
			return;
		}
		const release = instruction.opcode === 0xc2 ? instruction.immediate(2) & 0xffff : 0;
		code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
		code.emit(0x59); // pop %ecx
		this.recover(guest, { undo: Undo.ecx, stackAdjust: -4 });
		if (release > 0) {
			code.emit(0x8d, 0xa4, 0x24); // lea release(%esp), %esp
			code.dword(release);
			this.recover(guest, { undo: Undo.ecx, stackAdjust: -4 - release });
		}
		code.storeBlock(VcpuBlock.target, Register32.ecx);
		this.lookup();
	}

	/** JMP and CALL through a register or memory. */
	private indirect(decoded: Decoded, call: boolean): void {
		const { code } = this;
		const { guest, instruction, next } = decoded;
		if (instruction.operandSize16) {
			this.callout("callout-end", decoded);
			return;
		}
		code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
		// mov operand, %ecx: the same prefixes, ModRM, SIB and displacement, with reg = ecx.
		code.verbatim(instruction.bytes.subarray(0, instruction.prefixLength));
		code.emit(0x8b, (instruction.modRm & 0xc7) | (Register32.ecx << 3));
		code.verbatim(instruction.bytes.subarray(instruction.modRmAt + 1));
		this.recover(guest, { undo: Undo.ecx });
		code.storeBlock(VcpuBlock.target, Register32.ecx);
		if (call) {
			code.pushImmediate(next);
			this.recover(guest, { undo: Undo.ecx | Undo.target });
		}
		this.lookup();
	}

	/** movzx %cx, %ecx; jmp *%gs:returnTable(,%ecx,4): the target is in VcpuBlock.target, %ecx in savedEcx. */
	private lookup(): void {
		const { code } = this;
		// From here on the guest instruction is complete but for %ecx and %eip.
		this.recover(0, { undo: Undo.ecx | Undo.target, glue: true });
		const jump = code.here;
		code.emit(0x0f, 0xb7, 0xc9);
		code.jumpBlockIndexed(Area.returnTable, Register32.ecx);
		this.fragment.exits.push({
			kind: "indirect",
			target: -1,
			jump,
			jumpLength: 0,
			elidable: false,
			state: "lookup",
			fragment: -1,
		});
	}

	/** STI: nothing but a store, unless a virtual interrupt waits. */
	private sti(decoded: Decoded): void {
		const { code } = this;
		const { guest } = decoded;
		code.storeBlock(VcpuBlock.savedEcx, Register32.ecx);
		code.loadBlock(Register32.ecx, VcpuBlock.pendingInterrupt);
		this.recover(guest, { undo: Undo.ecx });
		code.jumpIfEcxZero(2);
		this.callout("sti", decoded);
		code.loadBlock(Register32.ecx, VcpuBlock.savedEcx);
		this.recover(guest, {});
		code.storeBlockImmediate(VcpuBlock.interruptAdjust, 0);
		this.shadowed = true;
	}

	/** PUSH of a selector: 16 bits are stored, ESP moves by 4 (SDM Vol. 2B, PUSH: what recent processors do). */
	private pushSelector(guest: number, field: number): void {
		const { code } = this;
		const { ecx } = Register32;
		code.storeBlock(VcpuBlock.savedEcx, ecx);
		code.loadBlock(ecx, field);
		this.recover(guest, { undo: Undo.ecx });
		code.emit(0x66, 0x89, 0x4c, 0x24, 0xfc); // mov %cx, -4(%esp)
		code.emit(0x8d, 0x64, 0x24, 0xfc); // lea -4(%esp), %esp
		this.recover(guest, { undo: Undo.ecx, stackAdjust: 4 });
		code.loadBlock(ecx, VcpuBlock.savedEcx);
	}

	/** PUSHF: the real image has IF = 1 and IOPL = 0; interruptAdjust makes the guest's IF of it. */
	private pushf(guest: number): void {
		const { code } = this;
		const { eax, ecx } = Register32;
		code.emit(0x9c);
		this.recover(guest, { stackAdjust: 4 });
		code.storeBlock(VcpuBlock.savedEcx, ecx);
		code.storeBlock(VcpuBlock.savedEax, eax);
		code.emit(0x8b, 0x0c, 0x24); // mov (%esp), %ecx
		this.recover(guest, { undo: Undo.ecx, stackAdjust: 4 });
		code.loadBlock(eax, VcpuBlock.interruptAdjust);
		this.recover(guest, { undo: Undo.ecx | Undo.eax, stackAdjust: 4 });
		code.emit(0x8d, 0x0c, 0x01); // lea (%ecx,%eax), %ecx
		code.emit(0x89, 0x0c, 0x24); // mov %ecx, (%esp)
		code.loadBlock(ecx, VcpuBlock.savedEcx);
		code.loadBlock(eax, VcpuBlock.savedEax);
	}

	/** POPF: tables say by bits 15:8 of the image whether the VMM has to do it and what IF becomes; the rest is the real POPF. */
	private popf(decoded: Decoded): void {
		const { code } = this;
		const { guest } = decoded;
		const { ecx } = Register32;
		code.storeBlock(VcpuBlock.savedEcx, ecx);
		code.emit(0x0f, 0xb6, 0x4c, 0x24, 0x01); // movzbl 1(%esp), %ecx
		this.recover(guest, { undo: Undo.ecx });
		code.loadBlockIndexed(ecx, Area.popfSpecial, ecx);
		code.jumpIfEcxZero(9);
		code.loadBlock(ecx, VcpuBlock.savedEcx);
		this.callout("popf", decoded);
		code.emit(0x0f, 0xb6, 0x4c, 0x24, 0x01);
		code.loadBlockIndexed(ecx, Area.popfInterruptAdjust, ecx);
		code.emit(0x9d);
		this.recover(guest, { undo: Undo.finishPopf });
		code.storeBlock(VcpuBlock.interruptAdjust, ecx);
		code.loadBlock(ecx, VcpuBlock.savedEcx);
	}

	private recover(
		guest: number,
		what: { undo?: number; stackAdjust?: number; boundary?: boolean; glue?: boolean; shadowed?: boolean },
	): void {
		this.fragment.recovery.push({
			offset: this.code.length,
			guest: guest >>> 0,
			undo: what.undo ?? 0,
			stackAdjust: what.stackAdjust ?? 0,
			boundary: what.boundary ?? false,
			glue: what.glue ?? false,
			shadowed: what.shadowed ?? false,
		});
	}
}

const UNDEFINED = new Uint8Array([0x0f, 0x0b]);

const ENDS_UNIT: ReadonlySet<InstructionClass> = new Set<InstructionClass>([
	"jcc",
	"loop",
	"jmp",
	"call",
	"ret",
	"jmp-indirect",
	"call-indirect",
	"callout-end",
	"trap",
]);

function branchTarget(target: bigint): number {
	return Number(BigInt.asUintN(32, target));
}

function pushedSegment(opcode: number): number {
	return opcode === 0x0e ? Segment.cs : opcode === 0x16 ? Segment.ss : Segment.gs;
}

function selectorField(segment: number): number {
	return segment === Segment.cs ? VcpuBlock.guestCs : segment === Segment.ss ? VcpuBlock.guestSs : VcpuBlock.guestGs;
}

/** POP SS and MOV to SS hold interrupts off for one instruction (SDM Vol. 3A §6.8.3). */
function holdsInterrupts({ opcode, reg }: InstructionBytes): boolean {
	return opcode === 0x17 || (opcode === 0x8e && reg === Segment.ss);
}

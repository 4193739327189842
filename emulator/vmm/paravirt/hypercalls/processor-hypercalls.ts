// The state of the vCPU: traps, callbacks, descriptor tables, stacks, segment bases, debug registers, IRET (xen.h, arch-x86/xen.h,
// arch-x86/xen-x86_64.h, arch-x86/xen-x86_32.h, callback.h).

import { Fault } from "../../../engine/fault.ts";
import { Eflags } from "../../../isa/register-bits.ts";
import { Segment } from "../../../isa/state.ts";
import { type Callback, type Domain, failure } from "../domain.ts";
import { isCanonicalAddress } from "../guest-msrs.ts";
import type { HypercallContext, HypercallHandler, HypercallResult } from "../hypercall.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { PageType } from "../memory/frame-table.ts";
import { checkDescriptor } from "../memory/page-tables.ts";
import { FIRST_RESERVED_GDT_ENTRY, GuestSelector, type HypercallName } from "../xen-abi.ts";

const RCX = 1;
const R11 = 11;
/** iret_context.flags: the frame came from a system call, RCX and R11 are the user's business. */
const IN_SYSCALL = 1 << 8;
const CALLBACK_NAMES = ["event", "failsafe", "syscall", "sysenter (deprecated)", "nmi", "sysenter", "6", "syscall32"];

export class ProcessorHypercalls {
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		set_trap_table: (call) => this.setTrapTable(call),
		set_gdt: (call) => this.setGlobalDescriptorTable(call),
		update_descriptor: (call) => this.updateDescriptor(call),
		stack_switch: (call) => this.switchStack(call),
		set_callbacks: (call) => this.setCallbacks(call),
		callback_op: (call) => this.callbackOperation(call),
		fpu_taskswitch: (call) => {
			const { vcpu } = call.domain;
			vcpu.taskSwitched = call.int(0) !== 0;
			call.note("TS", call.int(0));
			this.hypervisor.control.setTaskSwitched(vcpu.taskSwitched);
			return 0;
		},
		set_debugreg: (call) => {
			const done = this.hypervisor.traps.instructions.writeDebug(call.domain, call.int(0), call.long(1));
			return done ? 0 : failure("EINVAL");
		},
		get_debugreg: (call) => {
			const register = call.int(0);
			return register > 7 || register === 4 || register === 5
				? failure("EINVAL")
				: call.domain.vcpu.debugRegisters[register]!;
		},
		set_segment_base: (call) => this.setSegmentBase(call),
		iret: (call) => (call.domain.wide ? this.returnWide(call) : this.returnCompat(call)),
	};

	constructor(private readonly hypervisor: Hypervisor) {}

	/** A selector of guest code, with a privilege that the guest may have. */
	private codeSelector(domain: Domain, selector: number): number {
		const least = domain.wide ? 3 : 1;
		return (selector & 3) < least ? selector | least : selector;
	}

	/** struct trap_info, 16 bytes (64-bit) or 8: vector, flags, selector, address. An address of 0 ends the array. */
	private setTrapTable(call: HypercallContext): HypercallResult {
		const { domain } = call;
		const { traps } = domain.vcpu;
		const table = call.long(0);
		if (table === 0n) {
			traps.fill(undefined);
			return 0;
		}
		const bytes = domain.wide ? 16 : 8;
		for (let index = 0; index < 256; index++) {
			const view = call.memory.view(table + BigInt(index * bytes), bytes);
			if (view === undefined) return failure("EFAULT");
			const address = domain.wide ? view.getBigUint64(8, true) : BigInt(view.getUint32(4, true));
			if (address === 0n) {
				call.note("entries", index);
				return 0;
			}
			if (!isCanonicalAddress(address)) return failure("EINVAL");
			const flags = view.getUint8(1);
			traps[view.getUint8(0)] = {
				selector: this.codeSelector(domain, view.getUint16(2, true)),
				address,
				dpl: flags & 3,
				masksEvents: (flags & 4) !== 0,
			};
		}
		return 0;
	}

	/** Frames of descriptors (32-bit pointer or 64-bit frame numbers), number of entries. */
	private setGlobalDescriptorTable(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain } = call;
		const entries = call.int(1);
		call.note("entries", entries);
		if (entries > FIRST_RESERVED_GDT_ENTRY) return failure("EINVAL");
		const count = Math.ceil(entries / 512);
		const size = domain.longBytes;
		const view = call.memory.view(call.long(0), count * size);
		if (view === undefined) return failure("EFAULT");
		const frames = Array.from({ length: count }, (_, index) =>
			size === 8 ? Number(view.getBigUint64(index * 8, true)) : view.getUint32(index * 4, true),
		);
		return hypervisor.setGlobalDescriptorFrames(domain, frames);
	}

	/** Machine address of a descriptor, and its new value. */
	private updateDescriptor(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain } = call;
		const { tables, memory, frames } = hypervisor;
		const address = domain.wide ? call.long(0) : call.long(0) | (call.long(1) << 32n);
		const value = domain.wide ? call.long(1) : call.long(2) | (call.long(3) << 32n);
		call.note("address", address);
		call.note("descriptor", value);
		const low = Number(BigInt.asIntN(32, value));
		const high = Number(BigInt.asIntN(32, value >> 32n));
		const checked = checkDescriptor(low, high, domain);
		const frame = Number(address >> 12n);
		if (address & 7n || checked === undefined || !tables.getPage(frame, domain.id)) return failure("EINVAL");
		const type = frames.type[frame] === PageType.descriptors ? PageType.descriptors : PageType.writable;
		const result = tables.getType(frame, type);
		if (result === 0) {
			memory.writeEntry(frame, Number(address & 0xfffn) >> 3, checked[0], checked[1]);
			tables.putType(frame);
		}
		tables.putPage(frame);
		return result;
	}

	private switchStack(call: HypercallContext): HypercallResult {
		const { domain } = call;
		const { vcpu } = domain;
		const least = domain.wide ? 3 : 1;
		const selector = call.int(0) & 0xffff;
		vcpu.kernelSs = (selector & 3) < least ? selector | least : selector;
		vcpu.kernelSp = call.long(1);
		call.note("stack", vcpu.kernelSp);
		return 0;
	}

	/** 64-bit: event, failsafe, system call. 32-bit: selector and address of event and of failsafe. */
	private setCallbacks(call: HypercallContext): HypercallResult {
		const { domain } = call;
		const { vcpu } = domain;
		const make = (selector: number, address: bigint, masksEvents = false): Callback => ({
			selector: this.codeSelector(domain, selector),
			address,
			masksEvents,
		});
		if (domain.wide) {
			if (![0, 1, 2].every((index) => isCanonicalAddress(call.long(index)))) return failure("EINVAL");
			vcpu.eventCallback = make(GuestSelector.ring3Code64, call.long(0));
			vcpu.failsafeCallback = make(GuestSelector.ring3Code64, call.long(1));
			vcpu.syscallCallback = make(GuestSelector.ring3Code64, call.long(2));
			return 0;
		}
		vcpu.eventCallback = make(call.int(0) & 0xffff, call.long(1));
		vcpu.failsafeCallback = make(call.int(2) & 0xffff, call.long(3));
		return 0;
	}

	/** struct callback_register: type (16), flags (16), xen_callback_t: an address, or on 32 bits a selector and an address. */
	private callbackOperation(call: HypercallContext): HypercallResult {
		const { domain } = call;
		const { vcpu } = domain;
		const command = call.int(0);
		const view = call.memory.view(call.long(1), domain.wide ? 16 : 12);
		if (view === undefined) return failure("EFAULT");
		const type = view.getUint16(0, true);
		call.note(command === 0 ? "register" : "unregister", CALLBACK_NAMES[type] ?? type);
		if (command === 1) {
			// Only the callbacks that may be missing can be unregistered.
			return type === 5 || type === 3 || type === 7 || type === 4 ? 0 : failure("EINVAL");
		}
		if (command !== 0) return failure("ENOSYS");
		const address = domain.wide ? view.getBigUint64(8, true) : BigInt(view.getUint32(8, true));
		const selector = domain.wide ? GuestSelector.ring3Code64 : view.getUint16(4, true);
		if (!isCanonicalAddress(address)) return failure("EINVAL");
		const callback = {
			selector: this.codeSelector(domain, selector),
			address,
			masksEvents: (view.getUint16(2, true) & 1) !== 0,
		};
		switch (type) {
			case 0:
				vcpu.eventCallback = callback;
				return 0;
			case 1:
				vcpu.failsafeCallback = callback;
				return 0;
			case 2:
				if (!domain.wide) return failure("EINVAL");
				vcpu.syscallCallback = callback;
				return 0;
			// NMIs are not sent; SYSENTER and SYSCALL of 32-bit user code do not reach a guest on this processor.
			case 4:
				return 0;
			default:
				return failure("ENOSYS");
		}
	}

	/** xen-x86_64.h: SEGBASE_FS 0, SEGBASE_GS_USER 1, SEGBASE_GS_KERNEL 2, SEGBASE_GS_USER_SEL 3. */
	private setSegmentBase(call: HypercallContext): HypercallResult {
		const { domain } = call;
		if (!domain.wide) return failure("ENOSYS");
		const { state, host } = this.hypervisor.control;
		const base = call.long(1);
		call.note("segment", ["FS", "GS user", "GS kernel", "GS user selector"][call.int(0)] ?? call.int(0));
		call.note("base", base);
		if (call.int(0) !== 3 && !isCanonicalAddress(base)) return failure("EINVAL");
		switch (call.int(0)) {
			case 0:
				state.setSegmentBase(Segment.fs, base);
				return 0;
			case 1:
				domain.vcpu.otherGsBase = base;
				return 0;
			case 2:
				state.setSegmentBase(Segment.gs, base);
				return 0;
			case 3: {
				// SWAPGS, MOV GS, SWAPGS: a selector that cannot be loaded becomes null.
				const kernel = state.base(Segment.gs);
				state.cpl = 3;
				try {
					host.processor.core.segmentation.load(Segment.gs, Number(base & 0xffffn));
				} catch (fault) {
					if (!(fault instanceof Fault)) throw fault;
					state.setNullSegment(Segment.gs, 0);
				} finally {
					state.cpl = 0;
				}
				domain.vcpu.otherGsBase = state.base(Segment.gs);
				state.setSegmentBase(Segment.gs, kernel);
				return 0;
			}
			default:
				return failure("EINVAL");
		}
	}

	/** struct iret_context at RSP: RAX, R11, RCX, flags, RIP, CS, RFLAGS, RSP, SS. */
	private returnWide(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { frame, entry } = hypervisor;
		const { domain } = call;
		const { state } = hypervisor.control;
		const view = call.memory.view(frame.rsp, 72);
		if (view === undefined) {
			hypervisor.crash(domain, `the frame of its iret hypercall at 0x${frame.rsp.toString(16)} cannot be read`);
			return 0;
		}
		const word = (index: number) => view.getBigUint64(index * 8, true);
		const cs = Number(word(5) & 0xffffn);
		const rflags = Number(word(6) & 0xffffffffn) | 0;
		if ((cs & 3) === 3) {
			if (domain.vcpu.userRoot < 0) {
				hypervisor.crash(domain, "it returns to user mode, but has no user root table");
				return 0;
			}
			entry.switchMode(domain, false);
		}
		if ((Number(word(3)) & IN_SYSCALL) === 0) {
			state.setGpr64(R11, BigInt.asIntN(64, word(1)));
			state.setGpr64(RCX, BigInt.asIntN(64, word(2)));
		}
		Object.assign(frame, { rip: word(4), cs: cs | 3, rflags, rsp: word(7), ss: Number(word(8) & 0xffffn) | 3 });
		entry.maskEvents(domain, (rflags & Eflags.IF) === 0);
		return word(0);
	}

	/** At ESP: EAX, EIP, CS, EFLAGS, and for an outer ring ESP, SS (xen/arch/x86/x86_64/compat/traps.c, compat_iret). */
	private returnCompat(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { frame, entry } = hypervisor;
		const { domain } = call;
		const at = BigInt.asUintN(32, frame.rsp);
		const inner = call.memory.view(at, 16);
		const cs = inner?.getUint16(8, true) ?? 0;
		const outer = (cs & 3) === 3 ? call.memory.view(at + 16n, 8) : undefined;
		if (inner === undefined || ((cs & 3) === 3 && outer === undefined)) {
			hypervisor.crash(domain, `the frame of its iret hypercall at 0x${at.toString(16)} cannot be read`);
			return 0;
		}
		const rflags = inner.getInt32(12, true);
		if (rflags & Eflags.VM) {
			hypervisor.crash(domain, "it returns to virtual-8086 mode, which a processor in long mode does not have");
			return 0;
		}
		frame.rip = BigInt(inner.getUint32(4, true));
		frame.cs = cs;
		frame.rflags = rflags;
		if (outer) {
			frame.rsp = BigInt(outer.getUint32(0, true));
			frame.ss = outer.getUint16(4, true);
		} else frame.rsp = BigInt.asUintN(32, at + 16n);
		entry.maskEvents(domain, (rflags & Eflags.IF) === 0);
		return inner.getInt32(0, true);
	}
}

// Privileged instructions that paravirtual kernels still execute, and that fault: the VMM does what they mean to the guest
// (xen/arch/x86/pv/emul-priv-op.c). User code may do I/O if the guest's kernel said so (PHYSDEVOP_set_iopl).

import type { PortBus } from "../../cpu/port-io.ts";
import { Segment, State } from "../../isa/state.ts";
import type { Domain } from "./domain.ts";
import { guestCpuid } from "./guest-cpuid.ts";
import { readGuestMsr, writeGuestMsr } from "./guest-msrs.ts";
import type { Hypervisor } from "./hypervisor.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;
/** CR0 that every guest believes to have, but for TS: PE, MP, ET, NE, WP, AM, PG. */
const GUEST_CR0 = 0x80050033n;
const CR0_TS = 8n;
/** PAE, OSFXSR, OSXMMEXCPT and DE are the VMM's choice. */
const GUEST_CR4 = 0x628;
/** ud2a; .ascii "xen": CPUID behind it is the VMM's. */
const FORCED = [0x0f, 0x0b, 0x78, 0x65, 0x6e];
const LONGEST = 15;

/** A bus on which no device is. */
const NO_PORTS: PortBus = { read: (_port, size) => 2 ** (size * 8) - 1, write: () => {} };

interface Decoded {
	readonly bytes: Uint8Array;
	/** Offset of the opcode. */
	readonly at: number;
	readonly size16: boolean;
	readonly rep: boolean;
	readonly rex: number;
}

export class PrivilegedInstructions {
	constructor(private readonly hypervisor: Hypervisor) {}

	/** As many of 15 bytes at an address as the guest can read. */
	bytesAt(address: bigint): Uint8Array {
		const { guestMemory } = this.hypervisor;
		const whole = guestMemory.read(address, LONGEST);
		if (whole) return whole;
		const here = Number(4096n - (address & 0xfffn));
		return guestMemory.read(address, Math.min(LONGEST, here)) ?? new Uint8Array(0);
	}

	private decode(domain: Domain): Decoded {
		const bytes = this.bytesAt(this.hypervisor.frame.rip);
		let at = 0;
		let size16 = false;
		let rep = false;
		for (; at < bytes.length; at++) {
			const byte = bytes[at]!;
			if (byte === 0x66) size16 = true;
			else if (byte === 0xf2 || byte === 0xf3) rep = true;
			else if (![0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67].includes(byte)) break;
		}
		let rex = 0;
		if (domain.wide && (bytes[at] ?? 0) >> 4 === 4) rex = bytes[at++]!;
		return { bytes, at, size16, rep, rex };
	}

	private get state() {
		return this.hypervisor.control.state;
	}

	private advance(length: number): void {
		const { frame } = this.hypervisor;
		frame.rip = BigInt.asUintN(64, frame.rip + BigInt(length));
	}

	/** #UD: the forced emulation prefix and CPUID? */
	forced(domain: Domain): boolean {
		const bytes = this.bytesAt(this.hypervisor.frame.rip);
		if (!FORCED.every((byte, index) => bytes[index] === byte) || bytes[5] !== 0x0f || bytes[6] !== 0xa2) return false;
		this.cpuid(domain);
		this.advance(7);
		return true;
	}

	private cpuid(domain: Domain): void {
		const { state } = this;
		const { cpuid } = this.hypervisor.host.processor;
		const [eax, ebx, ecx, edx] = guestCpuid(cpuid, domain, state.gpr32(RAX), state.gpr32(RCX));
		state.setGpr32(RAX, eax);
		state.setGpr32(3, ebx);
		state.setGpr32(RCX, ecx);
		state.setGpr32(RDX, edx);
	}

	/** #GP(0): true when the instruction was one of those, and is done. */
	execute(domain: Domain): boolean {
		const { frame } = this.hypervisor;
		const decoded = this.decode(domain);
		const { bytes, at } = decoded;
		const opcode = bytes[at];
		if (opcode === undefined) return false;
		const kernel = domain.kernelMode(frame.cs);
		if (this.isPortInstruction(opcode)) {
			if (!kernel && domain.vcpu.iopl < 3) return false;
			return this.portInstruction(domain, decoded, opcode);
		}
		if (!kernel) return false;
		switch (opcode) {
			case 0xf4:
				this.advance(at + 1);
				this.hypervisor.entry.maskEvents(domain, false);
				if (!this.hypervisor.entry.eventPending(domain)) this.hypervisor.scheduler.block(domain);
				return true;
			// CLI and STI have no effect: the guest's interrupt flag is the mask in its vcpu_info.
			case 0xfa:
			case 0xfb:
				this.advance(at + 1);
				return true;
			case 0x0f:
				return this.twoByte(domain, decoded);
			default:
				return false;
		}
	}

	private twoByte(domain: Domain, { bytes, at, rex }: Decoded): boolean {
		const { state } = this;
		const modrm = bytes[at + 2] ?? 0;
		const register = ((modrm >> 3) & 7) | (rex & 4 ? 8 : 0);
		const general = (modrm & 7) | (rex & 1 ? 8 : 0);
		switch (bytes[at + 1]) {
			case 0x06:
				domain.vcpu.taskSwitched = false;
				this.hypervisor.control.setTaskSwitched(false);
				this.advance(at + 2);
				return true;
			case 0x08:
			case 0x09:
				this.advance(at + 2);
				return true;
			case 0x20:
			case 0x21: {
				const value =
					bytes[at + 1] === 0x20 ? this.readControl(domain, register) : domain.vcpu.debugRegisters[register];
				if (value === undefined) return false;
				state.setGpr64(general, value);
				this.advance(at + 3);
				return true;
			}
			case 0x22:
			case 0x23: {
				const value = BigInt.asUintN(domain.wide ? 64 : 32, state.gpr64(general));
				const done =
					bytes[at + 1] === 0x22
						? this.writeControl(domain, register, value)
						: this.writeDebug(domain, register, value);
				if (done) this.advance(at + 3);
				return done;
			}
			case 0x30: {
				const value = (BigInt(state.gpr32(RDX) >>> 0) << 32n) | BigInt(state.gpr32(RAX) >>> 0);
				if (!writeGuestMsr(this.hypervisor, domain, state.gpr32(RCX) >>> 0, value)) return false;
				this.advance(at + 2);
				return true;
			}
			case 0x32: {
				const value = readGuestMsr(this.hypervisor, domain, state.gpr32(RCX) >>> 0);
				if (value === undefined) return false;
				state.setGpr64(RAX, value & 0xffffffffn);
				state.setGpr64(RDX, (value >> 32n) & 0xffffffffn);
				this.advance(at + 2);
				return true;
			}
			default:
				return false;
		}
	}

	private readControl(domain: Domain, register: number): bigint | undefined {
		const { vcpu } = domain;
		switch (register) {
			case 0:
				return GUEST_CR0 | (vcpu.taskSwitched ? CR0_TS : 0n);
			case 2:
				return this.hypervisor.entry.faultAddress(domain);
			case 3:
				return BigInt(vcpu.root) * 4096n;
			case 4:
				return BigInt(vcpu.cr4 | GUEST_CR4);
			default:
				return undefined;
		}
	}

	private writeControl(domain: Domain, register: number, value: bigint): boolean {
		const { vcpu } = domain;
		switch (register) {
			case 0:
				if ((value ^ GUEST_CR0) & ~CR0_TS) return false;
				vcpu.taskSwitched = (value & CR0_TS) !== 0n;
				this.hypervisor.control.setTaskSwitched(vcpu.taskSwitched);
				return true;
			case 2:
				this.hypervisor.entry.setFaultAddress(domain, value);
				return true;
			case 3:
				return this.hypervisor.loadGuestRoot(domain, Number((value >> 12n) & 0xffffffffn)) === 0;
			case 4:
				vcpu.cr4 = Number(value & 0xffffffffn);
				return true;
			default:
				return false;
		}
	}

	/** SDM Vol. 3B §17.2: a guest may not stop the VMM, which is why breakpoints on its addresses are refused. */
	writeDebug(domain: Domain, register: number, value: bigint): boolean {
		if (register === 4 || register === 5 || register > 7) return false;
		const { debugRegisters } = domain.vcpu;
		if (register < 4 && domain.wide && value >= 0xffff800000000000n && value < 0xffff880000000000n) return false;
		if (register === 6) debugRegisters[6] = (value & 0xe00fn) | 0xffff0ff0n;
		// General detect would trap the VMM itself, and I/O breakpoints its drivers.
		else if (register === 7) debugRegisters[7] = (value & 0xffffd8ffn) | 0x400n;
		else debugRegisters[register] = value;
		this.state.i64[(State.dr + register * 8) >> 3] = BigInt.asIntN(64, debugRegisters[register]!);
		const { debug } = this.hypervisor.host.processor;
		debug.onDataBreakpoints(debug.hasDataBreakpoints);
		return true;
	}

	// Ports: Domain 0's. For the others nothing answers there.

	private ports(domain: Domain): PortBus {
		return domain.privileged ? this.hypervisor.host.devices.ports : NO_PORTS;
	}

	private isPortInstruction(opcode: number): boolean {
		return (
			(opcode >= 0x6c && opcode <= 0x6f) || (opcode >= 0xe4 && opcode <= 0xe7) || (opcode >= 0xec && opcode <= 0xef)
		);
	}

	private portInstruction(domain: Domain, { bytes, at, size16, rep }: Decoded, opcode: number): boolean {
		const { state } = this;
		const ports = this.ports(domain);
		const size = (opcode & 1) === 0 ? 1 : size16 ? 2 : 4;
		const immediate = opcode < 0xe8 && opcode >= 0xe4;
		const port = immediate ? (bytes[at + 1] ?? 0) : state.gpr32(RDX) & 0xffff;
		const next = at + (immediate ? 2 : 1);
		if (opcode <= 0x6f) return this.stringPort(domain, opcode, port, size, rep, next);
		if (opcode & 2) {
			const value = state.gpr32(RAX) >>> 0;
			ports.write(port, size, size === 4 ? value : value & (size === 2 ? 0xffff : 0xff));
		} else {
			const value = ports.read(port, size);
			const mask = size === 1 ? 0xff : 0xffff;
			if (size === 4) state.setGpr32(RAX, value | 0);
			else state.setGpr64(RAX, (state.gpr64(RAX) & ~BigInt(mask)) | BigInt(value & mask));
		}
		this.advance(next);
		return true;
	}

	/** INS and OUTS: one element at a time, so that a count of any size is interruptible. */
	private stringPort(
		domain: Domain,
		opcode: number,
		port: number,
		size: 1 | 2 | 4,
		rep: boolean,
		next: number,
	): boolean {
		const { state, hypervisor } = this;
		const ports = this.ports(domain);
		const bits = domain.wide ? 64 : 32;
		const count = BigInt.asUintN(bits, state.gpr64(RCX));
		if (rep && count === 0n) {
			this.advance(next);
			return true;
		}
		const pointer = opcode & 2 ? RSI : RDI;
		const offset = BigInt.asUintN(bits, state.gpr64(pointer));
		const base = domain.wide ? 0n : state.base(opcode & 2 ? Segment.ds : Segment.es);
		const address = BigInt.asUintN(bits, base + offset);
		if (opcode & 2) {
			const view = hypervisor.guestMemory.view(address, size);
			if (view === undefined) return false;
			ports.write(
				port,
				size,
				size === 1 ? view.getUint8(0) : size === 2 ? view.getUint16(0, true) : view.getUint32(0, true),
			);
		} else {
			if (hypervisor.guestMemory.translate(address, true) < 0) return false;
			const value = ports.read(port, size);
			const stored = new Uint8Array([value, value >>> 8, value >>> 16, value >>> 24]).subarray(0, size);
			if (!hypervisor.guestMemory.write(address, stored)) return false;
		}
		const step = hypervisor.frame.rflags & 0x400 ? -size : size;
		state.setGpr64(pointer, BigInt.asIntN(64, BigInt.asUintN(bits, offset + BigInt(step))));
		if (rep) state.setGpr64(RCX, BigInt.asIntN(64, BigInt.asUintN(bits, count - 1n)));
		if (!rep || count === 1n) this.advance(next);
		return true;
	}
}

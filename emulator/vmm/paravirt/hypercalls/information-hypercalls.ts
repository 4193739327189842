// xen_version (version.h), console_io (xen.h), and the part of physdev_op (physdev.h) that every kernel uses.

import { failure } from "../domain.ts";
import { XEN_VERSION } from "../guest-cpuid.ts";
import type { HypercallContext, HypercallHandler, HypercallResult } from "../hypercall.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { COMPAT_VIRT_START, Feature, HYPERVISOR_VIRT_START, type HypercallName } from "../xen-abi.ts";

const VERSION_NAMES: readonly string[] = [
	...["version", "extraversion", "compile_info", "capabilities", "changeset", "platform_parameters", "get_features"],
	...["pagesize", "guest_handle", "commandline", "build_id"],
];
const MOST_OUTPUT = 4096;
const COM1 = 0x3f8;

export class InformationHypercalls {
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		xen_version: (call) => this.version(call),
		console_io: (call) => this.console(call),
		physdev_op: (call) => this.physicalDevice(call),
	};
	/** Operations on the host's interrupts; -ENOSYS for others. */
	interrupts: (call: HypercallContext, command: number, argument: bigint) => HypercallResult = () => failure("ENOSYS");
	/** Bytes typed at the hypervisor's console, for CONSOLEIO_read. */
	readonly input: number[] = [];

	constructor(private readonly hypervisor: Hypervisor) {}

	private version(call: HypercallContext): HypercallResult {
		const { domain, memory } = call;
		const at = call.long(1);
		const text = (value: string, length: number): HypercallResult => {
			const bytes = new Uint8Array(length);
			bytes.set(new TextEncoder().encode(value).subarray(0, length - 1));
			return memory.write(at, bytes) ? 0 : failure("EFAULT");
		};
		call.note("command", VERSION_NAMES[call.int(0)] ?? call.int(0));
		switch (call.int(0)) {
			case 0:
				return XEN_VERSION;
			case 1:
				return text(".0-hyperscope", 16);
			case 2: {
				const bytes = new Uint8Array(64 + 16 + 32 + 32);
				bytes.set(new TextEncoder().encode("TypeScript"), 0);
				return memory.write(at, bytes) ? 0 : failure("EFAULT");
			}
			case 3:
				return text("xen-3.0-x86_64 xen-3.0-x86_32p", 1024);
			case 4:
				return text("unavailable", 64);
			case 5: {
				const start = domain.wide ? HYPERVISOR_VIRT_START : BigInt(COMPAT_VIRT_START);
				return memory.writeWords(at, domain.longBytes, start) ? 0 : failure("EFAULT");
			}
			case 6:
				return this.features(call, at);
			case 7:
				return 4096;
			case 8:
				return text("00000000-0000-0000-0000-000000000000", 16);
			case 9:
				return text("", 1024);
			default:
				return failure("ENOSYS");
		}
	}

	/** struct xen_feature_info: submap index, bits. */
	private features(call: HypercallContext, at: bigint): HypercallResult {
		const view = call.memory.view(at, 8);
		if (view === undefined) return failure("EFAULT");
		if (view.getUint32(0, true) !== 0) return failure("EINVAL");
		let bits =
			(1 << Feature.mmuPtUpdatePreserveAd) | (1 << Feature.paePgdirAbove4gb) | (1 << Feature.gnttabMapAvailBits);
		bits |= (1 << Feature.highmemAssist) | (1 << Feature.memoryOpVnodeSupported);
		if (call.domain.privileged) bits |= 1 << Feature.domain0;
		return call.memory.writeWords(at + 4n, 4, bits) ? 0 : failure("EFAULT");
	}

	/** CONSOLEIO_write 0 and CONSOLEIO_read 1: count, buffer. The host's COM1 is the hypervisor's console. */
	private console(call: HypercallContext): HypercallResult {
		const { memory } = call;
		const count = call.int(1);
		const buffer = call.long(2);
		if (call.int(0) === 1) {
			const bytes = Uint8Array.from(this.input.splice(0, Math.min(count, this.input.length)));
			return memory.write(buffer, bytes) ? bytes.length : failure("EFAULT");
		}
		if (call.int(0) !== 0) return failure("ENOSYS");
		const part = Math.min(count, MOST_OUTPUT);
		const bytes = memory.read(buffer, part);
		if (bytes === undefined) return failure("EFAULT");
		call.note("text", new TextDecoder("latin1").decode(bytes.subarray(0, 64)));
		this.write(bytes);
		if (part < count) call.continuation = [0n, BigInt(count - part), buffer + BigInt(part)];
		return 0;
	}

	/** Sends bytes on the host's COM1, a line feed as two characters. */
	write(bytes: Uint8Array): void {
		const { ports } = this.hypervisor.host.devices;
		for (const byte of bytes) {
			if (byte === 0x0a) ports.write(COM1, 1, 0x0d);
			ports.write(COM1, 1, byte);
		}
	}

	private physicalDevice(call: HypercallContext): HypercallResult {
		const { domain, memory } = call;
		const command = call.int(0);
		const argument = call.long(1);
		if (command === 6) {
			// struct physdev_set_iopl
			const view = memory.view(argument, 4);
			if (view === undefined) return failure("EFAULT");
			if (view.getUint32(0, true) > 3) return failure("EINVAL");
			domain.vcpu.iopl = view.getUint32(0, true);
			call.note("IOPL", domain.vcpu.iopl);
			return 0;
		}
		// Port bitmaps are not kept: user code gets ports by IOPL alone.
		if (command === 7) return domain.privileged ? 0 : failure("EPERM");
		return domain.privileged ? this.interrupts(call, command, argument) : failure("EPERM");
	}
}

// sched_op (sched.h), the parts of vcpu_op (vcpu.h) that are no timers, and multicall (xen.h).

import { type Domain, failure } from "../domain.ts";
import { VcpuInfo } from "../guest-entry.ts";
import { HypercallContext, type HypercallHandler, type HypercallResult, hypercallName } from "../hypercall.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { PageType } from "../memory/frame-table.ts";
import { type HypercallName, ShutdownReason } from "../xen-abi.ts";

const SCHED_NAMES = [
	"yield",
	"block",
	"shutdown",
	"poll",
	"remote_shutdown",
	"shutdown_code",
	"watchdog",
	"pin_override",
];
const VCPU_NAMES: readonly string[] = [
	...["initialise", "up", "down", "is_up", "get_runstate_info", "register_runstate_memory_area", "set_periodic_timer"],
	...["stop_periodic_timer", "set_singleshot_timer", "stop_singleshot_timer", "register_vcpu_info", "send_nmi"],
	...["get_physid", "register_vcpu_time_memory_area"],
];
const MOST_POLLED = 128;
const VCPU_INFO_BYTES = 64;
const TIME_BYTES = 32;
/** Calls of a multicall in one portion. */
const PORTION = 512;

export class SchedulingHypercalls {
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		sched_op: (call) => this.schedule(call),
		sched_op_compat: (call) => (call.int(0) <= 1 ? this.schedule(call) : this.shutDown(call.domain, call.int(1))),
		vcpu_op: (call) => this.vcpuOperation(call),
		multicall: (call) => this.multicall(call),
	};
	/** The timers of vcpu_op; -ENOSYS for other commands. */
	timers: (call: HypercallContext, command: number, argument: bigint) => HypercallResult = () => failure("ENOSYS");
	/** The pending bit of a port is set. */
	isPending: (domain: Domain, port: number) => boolean = () => false;
	/** vcpu_info lies elsewhere now: every event is to be looked at anew. */
	infoMoved: (domain: Domain) => void = () => {};

	constructor(private readonly hypervisor: Hypervisor) {}

	private schedule(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain, memory } = call;
		const command = call.int(0);
		call.note("command", SCHED_NAMES[command] ?? command);
		switch (command) {
			case 0:
				hypervisor.scheduler.yield();
				return 0;
			case 1:
				hypervisor.entry.maskEvents(domain, false);
				if (!hypervisor.entry.eventPending(domain)) hypervisor.scheduler.block(domain);
				return 0;
			case 2: {
				const view = memory.view(call.long(1), 4);
				return view === undefined ? failure("EFAULT") : this.shutDown(domain, view.getUint32(0, true));
			}
			case 3:
				return this.poll(call);
			default:
				return failure("ENOSYS");
		}
	}

	private shutDown(domain: Domain, reason: number): HypercallResult {
		const names = Object.entries(ShutdownReason).find(([, value]) => value === reason);
		domain.shutdownReason = reason;
		if (reason === ShutdownReason.crash) this.hypervisor.crash(domain, "its kernel says that it has crashed");
		else this.hypervisor.shutDown(domain, names?.[0] ?? `reason ${reason}`);
		return 0;
	}

	/** struct sched_poll: array of ports, their number, timeout in system time (0: none). */
	private poll(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain, memory } = call;
		const { wide, vcpu } = domain;
		const view = memory.view(call.long(1), wide ? 24 : 16);
		if (view === undefined) return failure("EFAULT");
		const array = wide ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
		const count = view.getUint32(wide ? 8 : 4, true);
		const timeout = view.getBigUint64(wide ? 16 : 8, true);
		if (count > MOST_POLLED) return failure("EINVAL");
		const ports = memory.view(array, count * 4);
		if (ports === undefined) return failure("EFAULT");
		for (let index = 0; index < count; index++) if (this.isPending(domain, ports.getUint32(index * 4, true))) return 0;
		const { clock } = hypervisor.host;
		vcpu.polling = true;
		vcpu.pollAlarm?.cancel();
		vcpu.pollAlarm = undefined;
		if (timeout !== 0n && timeout < 1n << 50n)
			vcpu.pollAlarm = clock.at(Math.max(Number(timeout), clock.now()), () => hypervisor.scheduler.wake(domain));
		hypervisor.scheduler.block(domain);
		return 0;
	}

	private vcpuOperation(call: HypercallContext): HypercallResult {
		const { domain } = call;
		const command = call.int(0);
		const argument = call.long(2);
		call.note("command", VCPU_NAMES[command] ?? command);
		// A domain has one vCPU.
		if (call.int(1) !== 0) return failure("ENOENT");
		switch (command) {
			case 2:
				// The last vCPU of a domain goes down with it.
				return this.shutDown(domain, ShutdownReason.poweroff);
			case 3:
				return 1;
			case 4:
				return call.memory.write(argument, this.runState(domain)) ? 0 : failure("EFAULT");
			case 5: {
				const area = call.memory.readLong(argument);
				if (area === undefined) return failure("EFAULT");
				domain.vcpu.runStateArea = area;
				this.hypervisor.updateRunState(domain);
				return 0;
			}
			case 10:
				return this.registerInfo(call, argument);
			case 13:
				return this.registerTime(call, argument);
			default:
				return this.timers(call, command, argument);
		}
	}

	/** struct vcpu_runstate_info: state, time of entry, nanoseconds in each state. */
	private runState(domain: Domain): Uint8Array {
		return runStateInfo(domain, this.hypervisor.host.now());
	}

	/** struct vcpu_register_vcpu_info: frame (64), offset (32). What vcpu_info held moves along. */
	private registerInfo(call: HypercallContext, argument: bigint): HypercallResult {
		const { hypervisor } = this;
		const { domain } = call;
		const { vcpu } = domain;
		const { memory, tables } = hypervisor;
		const view = call.memory.view(argument, 12);
		if (view === undefined) return failure("EFAULT");
		const frame = view.getBigUint64(0, true);
		const offset = view.getUint32(8, true);
		if (vcpu.infoFrame !== domain.sharedInfoFrame) return failure("EINVAL");
		if (offset > 4096 - VCPU_INFO_BYTES || frame >= BigInt(memory.frames)) return failure("EINVAL");
		const result = tables.getPageAndType(Number(frame), domain.id, PageType.writable);
		if (result < 0) return result;
		const bytes = memory.bytes(vcpu.infoFrame, vcpu.infoOffset, VCPU_INFO_BYTES).slice();
		vcpu.infoFrame = Number(frame);
		vcpu.infoOffset = offset;
		memory.store(vcpu.infoFrame, offset, bytes);
		this.infoMoved(domain);
		return 0;
	}

	/** A second copy of the vCPU's time, which user code can be shown. Time stamps are nanoseconds for ever, so that it never changes. */
	private registerTime(call: HypercallContext, argument: bigint): HypercallResult {
		const { infoFrame, infoOffset } = call.domain.vcpu;
		const area = call.memory.readLong(argument);
		if (area === undefined) return failure("EFAULT");
		const time = this.hypervisor.memory.bytes(infoFrame, infoOffset + VcpuInfo.time, TIME_BYTES).slice();
		return area === 0n || call.memory.write(area, time) ? 0 : failure("EFAULT");
	}

	/** struct multicall_entry: op, result, six arguments, all longs. */
	private multicall(call: HypercallContext): HypercallResult {
		const { hypervisor } = this;
		const { domain, memory } = call;
		const size = domain.longBytes;
		let address = call.long(0);
		let count = call.int(1);
		const names: { name: string; value: bigint }[] = [];
		const { work } = hypervisor.tables;
		for (let index = 0; count > 0 && !domain.ended; index++) {
			if (index >= PORTION || hypervisor.tables.work - work > 1 << 18) {
				call.continuation = [address, BigInt(count)];
				break;
			}
			const view = memory.view(address, size * 8);
			if (view === undefined) return failure("EFAULT");
			const word = (at: number) =>
				size === 8 ? view.getBigUint64(at * 8, true) : BigInt(view.getUint32(at * 4, true));
			const number = Number(word(0) & 0xffffffffn);
			const name = hypercallName(number);
			const inner = new HypercallContext(domain, memory, [2, 3, 4, 5, 6, 7].map(word));
			hypervisor.hypercalls.count(name);
			// Calls that change where the guest goes on make no sense here.
			const allowed = name !== "multicall" && name !== "iret";
			const handler = allowed ? hypervisor.hypercalls.find(number) : undefined;
			const result = handler ? handler(inner) : failure("ENOSYS");
			if (inner.continuation) {
				memory.writeWords(address + BigInt(2 * size), size, ...inner.continuation);
				call.continuation = [address, BigInt(count)];
				break;
			}
			if (names.length < 32) names.push({ name, value: BigInt.asIntN(64, BigInt(result)) });
			if (!memory.writeWords(address + BigInt(size), size, result)) return failure("EFAULT");
			address += BigInt(size * 8);
			count--;
		}
		call.note("calls", names);
		return 0;
	}
}

/** struct vcpu_runstate_info as the guest has it. */
export function runStateInfo(domain: Domain, now: number): Uint8Array {
	const { vcpu } = domain;
	const start = domain.wide ? 8 : 4;
	const bytes = new Uint8Array(start + 40);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, vcpu.runState, true);
	view.setBigUint64(start, BigInt(vcpu.runStateSince), true);
	vcpu.runStateTimes.forEach((time, state) => {
		const since = state === vcpu.runState ? now - vcpu.runStateSince : 0;
		view.setBigUint64(start + 8 + state * 8, BigInt(time + since), true);
	});
	return bytes;
}
